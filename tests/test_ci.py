"""The workflow of the public forge names what there is, and what it imports can be imported on Windows."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pixlate.system.extras import BESIDE

ROOT = Path(__file__).parent.parent
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
MAKEFILE = (ROOT / "Makefile").read_text()
COMMANDS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def test_suite_runs_on_three_systems_with_the_oldest_python_and_the_newest() -> None:
    systems = {system for job in JOBS.values() for system in job.get("strategy", {}).get("matrix", {}).get("system", [job["runs-on"]])}
    assert {"ubuntu-latest", "macos-latest", "windows-latest"} == systems
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest
    for job in ("linux", "macos-and-windows"):
        assert JOBS[job]["strategy"]["matrix"]["python"] == [oldest[1], "3.x"]


def test_each_make_target_and_each_file_that_is_named_exists() -> None:
    targets = [target for command in COMMANDS for target in re.findall(r"\bmake (\S+)", command)]
    assert {"demo", "test", "lint", "docs"} == set(targets)
    assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in targets)
    files = [name for command in COMMANDS for name in re.findall(r"\b[\w/]+\.py\b", command)]
    assert files and all((ROOT / name).is_file() for name in files)


def test_systems_without_make_run_what_make_test_does() -> None:
    steps = [step.get("run", "") for step in JOBS["macos-and-windows"]["steps"]]
    (tests,) = (step for step in steps if "pytest" in step)
    parallel = re.search(r"^PARALLEL := (.*)$", MAKEFILE, re.MULTILINE)
    assert parallel and tests == f'python -m pytest {parallel[1]} -m "not slow"' and "$(PARALLEL) -m 'not slow'" in MAKEFILE
    assert f"python -m {BESIDE['web']}" in steps
    beside = re.findall(r"--no-deps ([^#\n]*)", MAKEFILE)
    assert sorted(word.strip("'\"") for line in beside for word in line.split()) == sorted(
        word.strip('"') for step in steps if "--no-deps" in step for word in step.partition("--no-deps ")[2].split()
    )


@pytest.mark.slow
def test_every_module_and_every_test_can_be_imported_without_what_windows_lacks() -> None:
    done = subprocess.run([sys.executable, ROOT / "tests/without_posix.py"], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
