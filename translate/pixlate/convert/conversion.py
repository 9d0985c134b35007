"""Puts a conversion together: plan, model, journal, report, pipeline and sheet."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.contracts import Translator
from pixlate.convert.executor import Executor
from pixlate.convert.homes import open_journal
from pixlate.convert.job import identity
from pixlate.convert.journal import digest_file
from pixlate.convert.jpeg_choice import Choice, choose
from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipeline import Conversion
from pixlate.convert.places import locate
from pixlate.convert.plan import Plan, make_plan
from pixlate.convert.report import Report, Summary
from pixlate.convert.sheet import Sheet
from pixlate.errors import PixlateError
from pixlate.images import ImageFormat
from pixlate.models import find, load
from pixlate.plugins import installed

if TYPE_CHECKING:
    from pixlate.convert.cluster import Cluster


def run(sources: Sequence[str | Path], out: str | Path, model: str | Path, options: ConvertOptions, watch: Callable[[Report], None]) -> Summary:
    """Convert the sources into ``out``; see :func:`pixlate.convert`."""
    if options.dry_run:
        raise PixlateError("expected a conversion, got dry_run; call pixlate.convert.preview.preview for what would be done")
    path = find(model)
    for option, file in (("report", options.report), ("sheet", options.sheet)):
        if file is not None and identity(file) == identity(path):
            raise PixlateError(f"--{option} {file} would take the place of the model; name another file")
    formats = installed().image_formats()
    plan = make_plan([locate(source) for source in sources], locate(out), options, formats)
    clustered = options.engine == "ray"
    executors = load_executors(model, replace(options, device="cpu") if clustered else options)  # on a cluster the workers have the device
    jpeg = Choice() if clustered else choose(options, plan, [executor.translator.device for executor in executors], formats)
    settings = settings_digest(path, options)
    with ExitStack() as held:
        cluster = held.enter_context(_cluster(options, plan, path, settings, formats)) if clustered else None
        report = held.enter_context(Report(options.report, len(plan.jobs) + len(plan.failures), plan.ignored))
        sheet = Sheet(options.sheet, str(model)) if options.sheet else None
        if sheet is not None:
            held.callback(sheet.discard)
        journal = open_journal(plan.root, settings)
        held.enter_context(journal)
        if cluster is not None:
            cluster.run(journal, report, sheet, watch)
        else:
            report.summary.device = options.device if len(split_devices(options.device)) > 1 else executors[0].translator.device
            Conversion(plan, executors, journal, report, options, formats, sheet, watch, jpeg).run()
            report.summary.jpeg = jpeg.told()
        if sheet is not None:
            sheet.save(report.summary)
    return report.summary


def _cluster(options: ConvertOptions, plan: Plan, model: Path, settings: str, formats: Mapping[str, ImageFormat]) -> "Cluster":
    """Connect to a cluster; its modules come in only here, since their workers import this one."""
    from pixlate.convert.cluster import Cluster

    return Cluster(options, plan, model, settings, formats)


def load_executors(model: str | Path, options: ConvertOptions) -> list[Executor]:
    """Load a model once for each device; one on a GPU stands twice, so that a batch is copied while the one before it is computed."""
    executors = []
    for device in split_devices(options.device):
        executor = Executor(load_for_pictures(model, device), options.tile, options.batch, options.bucket)
        executors += [executor] * (1 if executor.translator.device == "cpu" else 2)
    return executors


def split_devices(device: str) -> list[str]:
    """Return the devices that a text such as ``cuda:0,1`` names, one by one.

    Raises:
        PixlateError: One stands there twice.
    """
    kind, colon, numbers = device.partition(":")
    devices = [f"{kind}:{number}" for number in numbers.split(",")] if colon else [device]
    if len(set(devices)) < len(devices):
        raise PixlateError(f"expected each GPU once for --device, got {device}; leave out the second")
    return devices


def load_for_pictures(model: str | Path, device: str) -> Translator:
    """Load a model and refuse one that takes or makes no grey or RGB pictures."""
    translator = load(model, device)
    spec = translator.spec
    for way, channels in (("takes", spec.channels_in), ("makes", spec.channels_out)):
        if channels not in (1, 3):
            raise PixlateError(f"expected a model for pictures of 1 (grey) or 3 (RGB) channels, but {model} {way} {channels}; use another model")
    return translator


def settings_digest(model: Path, options: ConvertOptions) -> str:
    """Return a digest of the model file and of the options that shape an output."""
    shaping = {"format": options.format, "quality": options.quality, "strip_metadata": options.strip_metadata, "model": digest_file(model)}
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]
