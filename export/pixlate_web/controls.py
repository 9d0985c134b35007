"""The controls of a tab that converts: which model, what it takes besides the picture, and what becomes of its outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import gradio as gr

from pixlate.convert import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.plugin.manager import installed
from pixlate.plugin.spec import ModelInput
from pixlate_web.models import Offered
from pixlate_web.options import WebOptions

SAME = "as it is"
"""The choice of no format."""
SIZES = {"of the model": "", "times": "scale", "long side": "long_side", "million pixels": "megapixels"}
"""The choices of a size -> options of the conversion."""
MOST_NUMBERS = 8
"""Most numbers of a vector that have a field each; those of a longer one are in one field, with commas between."""


@dataclass(frozen=True)
class Asked:
    """What the page asks for one condition of a model; of several kinds of noise, which share a seed, for the first."""

    condition: ModelInput
    fields: Sequence[Any]

    def given(self, values: Sequence[Any]) -> str | int:
        """Return the values of the fields as ``NAME=VALUE``, or the seed of noise.

        Raises:
            PixlateError: A number is missing, or is none.
        """
        name, kind, length = self.condition.name, self.condition.kind, self.condition.length
        if kind == "label":
            return f"{name}={values[0]}"
        if kind == "noise":
            if values[0] is None:
                raise PixlateError("expected a whole number for the seed, got none; write one, such as 0")
            return int(values[0])
        texts = values if length <= MOST_NUMBERS else str(values[0]).split(",")
        try:
            numbers = [float(text) for text in texts]
        except (TypeError, ValueError):
            numbers = []
        if len(numbers) != length or not all(map(isfinite, numbers)):
            count = "a number" if length == 1 else f"{length} numbers{' with commas between' if length > MOST_NUMBERS else ''}"
            raise PixlateError(f"expected {count} for {name}, got {', '.join('nothing' if text is None else str(text).strip() for text in texts)}; change it")
        return f"{name}={','.join(map(repr, numbers))}"


@dataclass(frozen=True)
class Controls:
    """What a tab has for choosing how to convert."""

    options: WebOptions
    shared: Sequence[Any]
    """Model, strength, size, number, format and quality."""
    asked: Mapping[str, Sequence[Asked]]
    """What is asked besides, by model."""

    @property
    def inputs(self) -> list[Any]:
        """Return all of them, in the order in which :meth:`chosen` takes their values."""
        return [*self.shared, *(field for asked in self.asked.values() for each in asked for field in each.fields)]

    def chosen(self, values: Sequence[Any]) -> tuple[str, ConvertOptions]:
        """Return the model and the options that the values stand for; those at their defaults as the command has them.

        Raises:
            PixlateError: The model is none of the page, since a request that the page did not make could name any file, or a number is none that an option has.
        """
        model, strength, size, number, format, quality, *rest = values
        if model not in self.asked:
            raise PixlateError(f"expected a model of the page, got {model!r}; choose one of the cards")
        option = SIZES.get(size, "")
        if option and number is None:
            raise PixlateError(f"expected a number for the size in {size}, got none; write one beside it")
        whole = int(number) if option == "long_side" and number == int(number or 0) else number
        fields = iter(rest)
        of_models = {name: [(each, tuple(islice(fields, len(each.fields)))) for each in asked] for name, asked in self.asked.items()}
        given = [each.given(of) for each, of in of_models[model]]
        return str(model), ConvertOptions(
            **({option: whole} if option else {}),  # type: ignore[arg-type]
            format=None if format == SAME else format,
            quality=int(quality),
            strength=None if strength == 1 else float(strength),
            set=tuple(each for each in given if isinstance(each, str)),
            seed=next((each for each in given if isinstance(each, int)), 0),
            device=self.options.device,
            runtime=self.options.runtime,
            arithmetic=self.options.arithmetic,
            max_pixels=self.options.max_pixels,
        )


def controls(options: WebOptions, models: Sequence[Offered]) -> Controls:
    """Add the controls to the tab that is being built."""
    names = list(dict.fromkeys(format.name for format in installed().image_formats().values() if format.write is not None))
    first = models[0].model if models else None
    model = gr.Radio([(each.text, each.model) for each in models], value=first, label="Model", elem_classes="px-cards")
    asked: dict[str, list[Asked]] = {}
    groups: dict[str, gr.Row] = {}
    for each in models:
        asked[each.model] = []
        if each.conditions:
            with gr.Row(visible=each.model == first, elem_classes="px-conditions") as groups[each.model]:
                asked[each.model] = _asked(each.conditions)
    with gr.Row():
        size = gr.Dropdown(list(SIZES), value=next(iter(SIZES)), label="Size", min_width=150)
        number = gr.Number(2, label="Number", minimum=0, visible=False, min_width=80)
        format = gr.Dropdown([SAME, *names], value=SAME, label="Format", min_width=150)
    with gr.Row():
        strength = gr.Slider(0, 1, 1, step=0.05, label="Strength", info="the rest is the original", min_width=190)
        quality = gr.Slider(1, 100, 95, step=1, label="Quality", info="of JPEG, WebP and AVIF", min_width=190)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    size.change(lambda chosen: gr.update(visible=bool(SIZES.get(chosen))), size, number, **quiet)
    if groups:
        model.change(lambda chosen: {group: gr.update(visible=name == chosen) for name, group in groups.items()}, model, list(groups.values()), **quiet)
    return Controls(options, [model, strength, size, number, format, quality], asked)


def _asked(conditions: Sequence[ModelInput]) -> list[Asked]:
    """Add the fields of the conditions of one model."""
    found = []
    for each in conditions:
        label = each.name.replace("_", " ")
        if each.kind == "label":
            found.append(Asked(each, [gr.Dropdown(list(each.choices), value=each.default or each.choices[0], label=label, min_width=150)]))
        elif each.kind == "vector":
            default = each.default if isinstance(each.default, tuple) else (0.0,) * each.length
            fields: list[Any]
            if each.length > MOST_NUMBERS:
                fields = [gr.Textbox(",".join(f"{number:g}" for number in default), label=label, info=f"{each.length} numbers with commas between")]
            else:
                fields = [gr.Number(value, label=label if each.length == 1 else f"{label} {place}", min_width=80) for place, value in enumerate(default, 1)]
            found.append(Asked(each, fields))
        elif each.kind == "mask":
            gr.HTML("<pixlate-mask></pixlate-mask>", apply_default_css=False)
        elif all(other.condition.kind != "noise" for other in found):
            found.append(Asked(each, [gr.Number(0, label="Seed", info="another draws another variant", minimum=0, precision=0, min_width=150)]))
    return found
