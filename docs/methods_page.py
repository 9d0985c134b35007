"""Makes ``docs/methods.md`` from the installed methods, from what ``methods.toml`` says of each, and from ``benchmarks/results/methods.json``."""

import inspect
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scale_page import RESULTS, load, of_machine

from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method

DOCS = Path(__file__).parent
WORDS = ("gives", "when", "paper")
MORE = "more"
"""What ``methods.toml`` may say besides."""
TEXT = """# Methods

Generated from the installed methods, `docs/methods.toml` and `benchmarks/results/methods.json` by `docs/generate.py`.

A method is a way to train: `pixlate train METHOD FOLDER...`. All are trained by one engine, exported by `pixlate export` and used by `pixlate convert` alike ([train.md](train.md)); [plugins](write_a_plugin.md)
add others.

{table}

{cost}

The pictures are of toys: what small networks make of drawn landscapes after less than a minute of one core (`python benchmarks/bench_toys.py`). From above they are sources, outputs and what is wanted; of `dcgan` they are
drawn from noise.

{sections}

## Ideas without a method of their own

Several well-known GANs are known for one idea that the methods above have as an option or as a part:

{ideas}

## What is outside

Pixlate translates images into images. These are GANs, or neighbours of theirs, that it leaves to others:

- **Text**: words are discrete, so that no gradient reaches a generator through them; language models are trained without an adversary, and better.
- **Audio**: its networks, codecs and measures are others, and only spectrograms would be images; vocoders such as HiFi-GAN have well-kept packages.
- **3D**: shapes, radiance fields and voxels are no images, and rendering them is an engine of its own.
- **Drug discovery**: molecules are graphs with rules of chemistry that decide what is valid; nothing here knows them.
- **Diffusion**: it needs many passes of a large network for a picture, where a translation here is one; its training, schedulers and samplers have a library of their own, Diffusers. A distilled one-step model that was
  exported to ONNX is converted like any other.
"""


def page() -> str:
    """Return the page."""
    methods = installed().offered(Method)
    words: dict[str, Any] = tomllib.loads((DOCS / "methods.toml").read_text())
    ideas = [
        "| idea | known from | where it is |",
        "|---|---|---|",
        *(f"| {each['idea']} | {each['known_from']} | {each['where']} |" for each in words.pop("ideas")),
    ]
    if missing := [name for name in methods if set(words.get(name, ())) - {MORE} != set(WORDS)]:
        sys.exit(f"expected docs/methods.toml to say {', '.join(WORDS)} of every installed method, and it does not of {', '.join(missing)}; add it")
    shown = [name for name in words if name in methods]
    costs = load("methods") if (RESULTS / "methods.json").is_file() else {}
    measured: Mapping[str, Any] = costs.get("methods", {})
    rows = [
        f"| [`{name}`](#{name}) | {methods[name].data.summary} | {words[name]['gives']} | {words[name]['paper'].partition(',')[0]} | {_seconds(measured.get(name))} |"
        for name in shown
    ]
    table = ["| method | learns from | gives | published by | a step |", "|---|---|---|---|---|", *rows]
    sections = "\n\n".join(section(methods[name], words[name], measured) for name in shown)
    return TEXT.format(table="\n".join(table), cost=_measured_on(costs), sections=sections, ideas="\n".join(ideas))


def section(method: Method, words: Mapping[str, str], measured: Mapping[str, Any]) -> str:
    """Return what is said of a method: what it needs, when to take it, its defaults, its cost and its toy."""
    picture = DOCS / "sheets" / f"method-{method.name}.webp"
    shown = [f"![The toy of {method.name}](sheets/{picture.name})", ""] if picture.is_file() else []
    lines = [
        f"## {method.name}",
        "",
        f"{method.summary}.",
        "",
        *shown,
        f"- **Needs** {method.data.name} images, `pixlate train {method.name} {method.data.example}`: {_sentence(method.data.summary)}",
        f"- **Gives** {_sentence(words['gives'])}",
        f"- **Take it when** {_sentence(words['when'])}",
        f"- **Paper**: {words['paper']}.",
        f"- **Defaults**: {_sentence(_first_paragraph(method.options))} {defaults(method)}",
    ]
    if MORE in words:
        lines.append(f"- **More**: {_sentence(words[MORE])}")
    if method.presets:
        recipes = "; ".join(f"`--preset {name}` {path.read_text().partition(chr(10))[0].removeprefix('#').strip()}" for name, path in method.presets.items())
        lines.append(f"- **Recipes**: {recipes}.")
    if own := measured.get(method.name):
        of_presets = (
            f"; with `{side.removeprefix(f'{method.name} ')}` {_takes(cost)}" for side, cost in measured.items() if side.startswith(f"{method.name} --preset")
        )
        lines.append(
            f"- **Cost**: {own['trained']:,} weights are trained, of which the exported model has {own['exported']:,}; a step of batch {method.training().batch} takes "
            f"{_takes(own)}{''.join(of_presets)}."
        )
    return "\n".join(lines)


def defaults(method: Method) -> str:
    """Return how long and how fast a method trains by default."""
    training, data = method.training(), method.data.options()
    length = f"{training.steps:,} steps" if training.steps else f"{training.epochs} epochs"
    average = f", weights averaged with {training.average_decay:g}" if training.average_decay else ""
    patches = f"patches of {data.patch}" + (f" from images resized to {data.resize}" if getattr(data, "resize", 0) else "")
    moments = " and ".join(f"{beta:g}" for beta in training.betas)
    return f"{length} of batch {training.batch}, {training.optimizer.capitalize()} at {training.learning_rate:g} with betas {moments}, learning rate {training.schedule}{average}; {patches}."


def _seconds(cost: Mapping[str, Any] | None) -> str:
    return f"{cost['seconds']:.2g} s" if cost else "not measured"


def _takes(cost: Mapping[str, Any]) -> str:
    return f"{_seconds(cost)} and {cost['peak_mb'] / 1000:.1f} GB"


def _measured_on(costs: Mapping[str, Any]) -> str:
    if not costs:
        return ""
    return (
        f"A step is one update of every player at the published sizes and batch, in 32 bits: seconds of processor time with {costs['threads']} threads on {of_machine(costs)}, which two free "
        "cores do in about half as many, and the most memory that training had. The machine was busy: compare them with each other. `srgan` was in its first stage. `--precision auto` and a GPU are faster ([train.md](train.md#speed))."
    )


def _first_paragraph(owner: type[Any]) -> str:
    return " ".join(inspect.cleandoc(owner.__doc__ or "").partition("\n\n")[0].split()).replace("``", "`")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
