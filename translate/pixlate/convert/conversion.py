"""Puts a conversion together: plan, model, journal, report, pipeline and sheet."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from pixlate.contracts import Translator
from pixlate.convert.executor import Executor
from pixlate.convert.homes import open_journal
from pixlate.convert.job import identity
from pixlate.convert.journal import digest_file
from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipeline import Conversion
from pixlate.convert.places import locate
from pixlate.convert.plan import make_plan
from pixlate.convert.report import Report, Summary
from pixlate.convert.sheet import Sheet
from pixlate.errors import PixlateError
from pixlate.models import find, load
from pixlate.plugins import installed


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
    executors = load_executors(model, options)
    settings = settings_digest(path, options)
    with ExitStack() as held:
        report = held.enter_context(Report(options.report, len(plan.jobs) + len(plan.failures), plan.ignored))
        sheet = Sheet(options.sheet, str(model)) if options.sheet else None
        if sheet is not None:
            held.callback(sheet.discard)
        journal = open_journal(plan.root, settings)
        held.enter_context(journal)
        report.summary.device = options.device if len(split_devices(options.device)) > 1 else executors[0].translator.device
        Conversion(plan, executors, journal, report, options, formats, sheet, watch).run()
        if sheet is not None:
            sheet.save(report.summary)
    return report.summary


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
