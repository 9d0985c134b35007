"""``pixlate anomaly``: how unusual pictures are to the networks of a run, and where. No PyTorch here."""

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pixlate.cli.periodic import Periodic
from pixlate.errors import PixlateError
from pixlate.inference.ready import named
from pixlate.places.paths import require_folder, unwritable
from pixlate.system.extras import import_for
from pixlate.system.text import printable
from pixlate_anomaly.options import AnomalyOptions

if TYPE_CHECKING:
    from pixlate_anomaly.folder import Findings

OUT = Path("anomalies")
SHOWN = 5
"""The most unusual pictures, and files that were passed over, that are printed."""


def anomaly(run: Path, folder: Path, /, *, out: Path = OUT, options: Annotated[AnomalyOptions | None, Parameter(name="*")] = None) -> int:
    """Score pictures by what a run has not learned, and show where it is: for finding defects with networks that were trained on good pictures.

    Writes a heat map for each picture and scores.csv. Where FOLDER has the sub-folder good and others, these labels give the area under the curve.
    Exit codes: 0 all scored, 1 some could not be read, 2 refused.

    Parameters
    ----------
    run
        Folder that pixlate train wrote, or one of its checkpoints: of cyclegan, inpaint, pix2pix or srgan at scale 1, see docs/anomaly.md.
    folder
        Pictures to score, of any size; searched recursively.
    out
        The folder to write, which must be new.
    """
    chosen = options or AnomalyOptions()
    _require_places(run, folder, out, chosen)
    scorer = import_for("finding anomalies", "pixlate_anomaly.scorer", say=True).Scorer(run, chosen)
    lines = Periodic()
    findings = import_for("finding anomalies", "pixlate_anomaly.folder").score_folder(
        scorer, folder, out, chosen, lambda: lines.due() and print(f"{lines.seconds:.0f} s", file=sys.stderr, flush=True)
    )
    print(f"{scorer.name} on {scorer.device}: {len(findings.pictures)} pictures, written to {printable(out)}")
    print("\n".join(_summary(findings, chosen)))
    for path, reason in findings.failures.items():
        print(f"pixlate: {printable(path)} was passed over: {printable(reason)}", file=sys.stderr)
    return 1 if findings.failures else 0


def _require_places(run: Path, folder: Path, out: Path, options: AnomalyOptions) -> None:
    """Refuse what can be known before PyTorch is imported."""
    if run.is_file() or (not run.exists() and named(str(run)) is not None):
        raise PixlateError(
            f"expected a run folder, got the model {run}, which holds one generator alone and no discriminator; name the folder given to --out of pixlate train"
        )
    for place in (folder, *([options.good] if options.good else [])):
        require_folder(place)
        if out.resolve().is_relative_to(place.resolve()):
            raise PixlateError(f"expected an output folder outside of {place}, whose pictures are scored, got {out}; name another with --out")
    if out.exists() or out.is_symlink():
        raise PixlateError(f"expected a new folder for --out, but {out} exists; name another")
    if reason := unwritable(out):
        raise PixlateError(f"the folder {out} cannot be written ({reason}); name another with --out")


def _summary(findings: "Findings", options: AnomalyOptions) -> Iterator[str]:
    """Yield what is usual, the areas under the curve, the threshold and the most unusual pictures, a line each."""
    for score, level in findings.levels.items():
        yield f"  {score:<14} usual {level.mean:.4g} ± {level.deviation:.2g}, highest {level.high:.4g}"
    whose = f"the {findings.compared} good pictures" if options.good else "these pictures themselves, since --good names no others"
    yield f"usual and highest are those of {whose}; combined is the mean over the scores of the standard deviations above the usual"
    for score, area in findings.areas.items():
        yield f"  {score:<14} area under the curve {area:.4f}"
    if findings.threshold is not None:
        how = f"mean plus {options.deviations:g} standard deviations" if options.deviations else f"{options.quantile:g} quantile"
        above = sum(findings.above(scores["combined"]) == "yes" for scores in findings.pictures.values())
        yield f"{above} of {len(findings.pictures)} pictures are above the threshold of {findings.threshold:.4g}, the {how} of the good pictures' combined"
    yield "the most unusual, by combined:"
    for name, scores in islice(findings.pictures.items(), SHOWN):
        yield f"  {scores['combined']:10.4g}  {printable(name)}"
