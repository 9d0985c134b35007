"""Translates a set of images and measures the outputs."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pixlate.errors import PixlateError
from pixlate.evaluation.folders import ImageSets, Layout, find_images, read
from pixlate.evaluation.meters import KINDS, Figure, Kind, MeanMeter, Meter, SlicedWassersteinMeter, choose
from pixlate.evaluation.metrics import luma_correlation, psnr_luma
from pixlate.images import Picture, Pixels
from pixlate.images.picture import luma
from pixlate.inference.batcher import in_order
from pixlate.inference.conditions import Arrays, ImageConditions
from pixlate.inference.executor import Executor
from pixlate.inference.models import load_for_pictures
from pixlate.inference.pictures import from_model
from pixlate.inference.ready import identified, identified_if_any
from pixlate.inference.sampling import Sampler
from pixlate.inference.strength import blend, described
from pixlate.options import output_strength
from pixlate.plugin.manager import installed
from pixlate.plugin.metric import Metric
from pixlate.plugin.spec import ModelSpec
from pixlate.system.extras import import_for

INCEPTION = ("fid", "kid", "is", "precision", "recall")
TORCHMETRICS = ("psnr", "ssim", "ms-ssim", "lpips")
FID_IMAGES = 2049
"""Fewest images that give a covariance of 2048 features its full rank."""


@dataclass(frozen=True)
class Evaluation:
    """How good a model's outputs are."""

    model: str
    """Its name and version, or file, and how it was blended."""
    device: str
    metrics_device: str
    """Where those metrics ran that use PyTorch."""
    layout: Layout
    images: int
    """Sources translated."""
    targets: int
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    """What the reader should know of them."""


def evaluate(
    model: str | Path,
    folders: Sequence[Path],
    *,
    metrics: Sequence[str] = (),
    layout: Layout = "auto",
    device: str = "auto",
    inception: Path | None = None,
    set: Sequence[str] = (),
    mask: Path | None = None,
    seed: int = 0,
    strength: float | None = None,
    blend_with: str | Path | None = None,
    watch: Callable[[int, int], None] = lambda done, planned: None,
) -> Evaluation:
    """Translate every source and return the metrics of the outputs; arguments are those of ``pixlate evaluate``, and ``watch``.

    A model that takes no image draws as many pictures as one folder holds, and is compared with that. ``folders`` are one or two, as the layout wants; see :func:`pixlate.evaluation.folders.find_images`.
    ``metrics`` names :data:`KINDS` or plugins' metrics; without any, those are computed that need no weights and fit the images.
    ``inception`` is a file of weights, or None for the folder of ``torch.hub``. ``set`` has texts such as ``hair=blond``.
    ``watch`` is called with the images done and planned.

    Raises:
        PixlateError: The model, a folder, an image, a metric or its weights are not as they should be. All but damage inside an image file
            is found before the first image is translated.
    """
    translator = load_for_pictures(model, device, blend_with, strength, samplers=True)
    spec, sampler = translator.spec, not translator.spec.takes_image
    sets = _beside_drawings(model, spec, folders, layout) if sampler else find_images(folders, layout, spec.scale, (spec.channels_in, spec.channels_out))
    sets = replace(sets, smallest_side=min(sets.smallest_side, *spec.output_size)) if spec.output_size else sets
    own = sorted(installed().offered(Metric).keys() & KINDS.keys())
    offered = {name: metric for name, metric in installed().offered(Metric).items() if name not in own}
    kinds = KINDS | {name: Kind(name, "pairs", metric.higher_is_better) for name, metric in offered.items()}
    chosen, notes = choose(metrics, {name: kind for name, kind in kinds.items() if not sampler or kind.compares == "sets"}, sets)
    notes += [f"a plugin offers a metric named {name!r}, as Pixlate does, whose own was taken; ask its author for another name" for name in own]
    if inception is not None and not any(kind.name in INCEPTION for kind in chosen):
        raise PixlateError(f"--inception names weights for {', '.join(INCEPTION)}, and none of them is asked for; add --metrics fid, or leave it out")
    metrics_device, meters = _meters(chosen, offered, sets, translator.device, inception)
    if metrics_device != translator.device:
        notes.append(f"the metrics ran on {metrics_device}, since this PyTorch cannot use {translator.device}")
    count = min(len(sets.sources), len(sets.targets))
    if any(kind.name == "fid" for kind in chosen) and count < FID_IMAGES:
        notes.append(f"fid of {count} images is biased upwards; compare it only with that of as many images")
    conditions = ImageConditions(spec, set, seed, mask and mask.absolute(), installed().image_formats())
    conditions.require_some(sets.names)
    executor = Executor(translator, "auto", "auto")
    planned = len(sets.sources) + (0 if sets.paired else len(sets.targets))
    waiting: deque[tuple[Pixels, Pixels, Pixels | None]] = deque()

    def read_ahead() -> Iterator[tuple[Pixels, Arrays]]:
        for index, (path, name) in enumerate(zip(sets.sources, sets.names, strict=True)):
            source, target = sets.source_and_target(index)
            compared = None if target is None else _rgb(_with_channels(target, spec.channels_out, sets.targets[index], "makes"))
            taken = _with_channels(source, spec.channels_in, path, "takes")
            waiting.append((source, taken, compared))
            try:
                yield taken, conditions.arrays(name, *taken.shape[:2])
            except PixlateError as error:
                raise PixlateError(f"{path}: {error}") from error

    if sampler:
        _add_drawn(Sampler(translator), [conditions.arrays(name, 0, 0) for name in sets.names], meters)
    outputs = in_order(executor, read_ahead())
    for index, path in enumerate(() if sampler else sets.sources):
        watch(index, planned)
        translated = _made(next(outputs), path)
        source, taken, compared = waiting.popleft()
        picture = from_model(blend(translated, taken, output_strength(strength, blend_with)), Picture(source), spec)
        notes += [note for note in (*picture.notes, *executor.notes(*source.shape[:2])) if note not in notes]
        output = _rgb(picture.pixels.astype(np.uint8, copy=False))
        for meter in meters:
            meter.add_output(output, _rgb(source), compared)
            if compared is not None:
                meter.add_target(compared)
    for index, path in enumerate(() if sets.paired else sets.targets):
        watch(len(sets.sources) + index, planned)
        compared = _rgb(_with_channels(read(path, spec.channels_out), spec.channels_out, path, "makes"))
        for meter in meters:
            meter.add_target(_fitting(compared, spec.output_size))
    watch(planned, planned)
    found = {figure.metric: figure for meter in meters for figure in meter.figures()}
    figures = tuple(found[kind.name] for kind in chosen)
    return Evaluation(
        f"{identified(model)}{described(strength, identified_if_any(blend_with))}",
        translator.device,
        metrics_device,
        sets.layout,
        len(sets.sources),
        len(sets.targets),
        figures,
        tuple(notes),
    )


def _meters(chosen: Sequence[Kind], offered: Mapping[str, Metric], sets: ImageSets, device: str, inception: Path | None) -> tuple[str, list[Meter]]:
    """Return where PyTorch's metrics run, and a meter for each metric or group of them; refuse where a library or weights are missing."""
    from pixlate import __version__

    meters: list[Meter] = []
    if any(kind.name in (*TORCHMETRICS, *INCEPTION) for kind in chosen) and device != "cpu":
        runtime, _, number = device.partition(":")  # a GPU is PyTorch's too where it is NVIDIA's
        there = runtime in ("cuda", "tensorrt") and import_for("evaluating", "torch").cuda.is_available()
        device = f"cuda:{number or 0}" if there else "cpu"
    for kind in chosen:
        if kind.name in TORCHMETRICS:
            meters.append(MeanMeter(kind, *import_for("evaluating", "pixlate.evaluation.similarity").make(kind.name, device)))
        elif kind.name == "psnr-luma":
            constants = f"BT.601 luma, {sets.scale} pixels of border left out"
            meters.append(MeanMeter(kind, partial(psnr_luma, border=sets.scale), f"pixlate {__version__}, {constants}"))
        elif kind.name == "luma-correlation":
            meters.append(MeanMeter(kind, luma_correlation, f"pixlate {__version__}, BT.601 luma"))
        elif kind.name == "sliced-wasserstein":
            meters.append(SlicedWassersteinMeter(kind, len(sets.sources), len(sets.targets), __version__))
        elif kind.name in offered:
            compute = offered[kind.name].compute
            meters.append(MeanMeter(kind, compute, f"plugin {getattr(compute, '__module__', type(compute).__module__)}"))
    if grouped := [kind for kind in chosen if kind.name in INCEPTION]:
        meters.append(import_for("evaluating", "pixlate.evaluation.inception").InceptionMeter(grouped, inception, device))
    return device, meters


def _beside_drawings(model: str | Path, spec: ModelSpec, folders: Sequence[Path], layout: Layout) -> ImageSets:
    """Return the pictures of the one folder with which drawings are compared, as both sets; refuse others."""
    if len(folders) != 1 or layout not in ("auto", "unpaired"):
        got = f"{len(folders)} folder{'s' if len(folders) > 1 else ''} with --layout {layout}"
        raise PixlateError(f"expected one folder of pictures like those that {model} draws from noise, got {got}; write: pixlate evaluate {model} FOLDER")
    return find_images((folders[0], folders[0]), "unpaired", spec.scale, (spec.channels_in, spec.channels_out))


def _add_drawn(sampler: Sampler, conditions: Sequence[Arrays], meters: Sequence[Meter]) -> None:
    """Draw a picture for each of the conditions, and add them to the meters, which compare sets."""
    for pixels in sampler(conditions):
        for meter in meters:
            meter.add_output(_rgb(pixels), _rgb(pixels), None)


def _fitting(target: Pixels, size: tuple[int, ...]) -> Pixels:
    """Return an image cut and resized to (height, width), where a sampler draws pictures of one size."""
    return target if not size or target.shape[:2] == size else np.asarray(ImageOps.fit(Image.fromarray(target), (size[1], size[0])))


def _made(translated: Pixels | Exception, path: Path) -> Pixels:
    """Return a translated image, or raise why there is none; names the file."""
    if isinstance(translated, PixlateError):
        raise PixlateError(f"{path}: {translated}") from translated
    if isinstance(translated, Exception):
        raise translated
    return translated


def _with_channels(pixels: Pixels, channels: int, path: Path, verb: str) -> Pixels:
    """Return an image with the channels a model takes or makes: grey is repeated for RGB, RGB is turned to grey, others are refused."""
    found = pixels.shape[2]
    if (found, channels) == (3, 1):
        return luma(pixels)
    if found not in (1, channels):
        wanted = "a grey or RGB image" if channels == 1 else f"{channels} channels"
        raise PixlateError(f"expected {wanted} in {path}, since the model {verb} those, got {found} channels; convert it or use another model")
    return np.repeat(pixels, channels // found, axis=2)


def _rgb(pixels: Pixels) -> Pixels:
    """Return (height, width, 3) of grey or RGB; other numbers of channels stay as they are."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
