"""Puts a conversion together: plan, model, journal, report, pipeline and sheet."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from pixlate.convert.cluster import Cluster
from pixlate.convert.options import ConvertOptions
from pixlate.convert.pipeline import Conversion
from pixlate.convert.plan import make_plan
from pixlate.convert.report import Report, Summary
from pixlate.convert.sheet import Sheet
from pixlate.errors import PixlateError
from pixlate.inference.loading import load_executors, split_devices
from pixlate.inference.models import find
from pixlate.places.homes import open_journal
from pixlate.places.journal import digest_file
from pixlate.places.local import identity
from pixlate.places.locating import locate
from pixlate.plugin.manager import installed


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
    settings = settings_digest(path, options)
    with ExitStack() as held:
        cluster = held.enter_context(Cluster(options, plan, path, settings, formats)) if clustered else None
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
            Conversion(plan, executors, journal, report, options, formats, sheet, watch).run()
        if sheet is not None:
            sheet.save(report.summary)
    return report.summary


def settings_digest(model: Path, options: ConvertOptions) -> str:
    """Return a digest of the model file and of the options that shape an output."""
    shaping = {"format": options.format, "quality": options.quality, "strip_metadata": options.strip_metadata, "model": digest_file(model)}
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]
