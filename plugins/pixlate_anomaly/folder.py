"""Scores a folder of pictures and writes a heat map beside each."""

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

import numpy as np

from pixlate.convert.options import ConvertOptions
from pixlate.errors import PixlateError
from pixlate.images import read_picture
from pixlate.inference.pictures import refuse_colour, to_model
from pixlate.places.paths import images_by_name, make_folders
from pixlate.plugin.manager import installed
from pixlate.plugin.spec import ModelSpec
from pixlate.system.text import printable
from pixlate.training.devices import out_of_memory
from pixlate_anomaly.figures import Level, area_under_curve, score_of, threshold_of
from pixlate_anomaly.heat import Panel, sheet
from pixlate_anomaly.options import AnomalyOptions
from pixlate_anomaly.scorer import Floats, Scorer

GOOD, BAD = "good", "bad"
"""Labels; pictures in the sub-folder ``good`` are good, those in any other bad, as in the folders ``test`` of MVTec AD."""
COMBINED = "combined"
"""The mean over the scores of how many standard deviations each is above what is usual."""


@dataclass
class Findings:
    """What was found in a folder; scores are by name, with ``combined``."""

    levels: dict[str, Level] = field(default_factory=dict)
    compared: int = 0
    """Pictures that the levels are of: the good ones, or without these the folder's own."""
    threshold: float | None = None
    pictures: dict[str, dict[str, float]] = field(default_factory=dict)
    """Scores by the name of the picture, the most unusual first."""
    areas: dict[str, float] = field(default_factory=dict)
    """Area under the curve of each score, where sub-folders say which pictures are good."""
    failures: dict[Path, str] = field(default_factory=dict)
    """Why a file was passed over."""

    def scored(self, maps: Mapping[str, Floats]) -> dict[str, float]:
        """Return the scores of a picture."""
        scores = {score: score_of(values) for score, values in maps.items()}
        return {**scores, COMBINED: float(np.mean([(scores[name] - level.mean) / level.deviation for name, level in self.levels.items()]))}

    def above(self, combined: float) -> str:
        """Return whether it is above the threshold, ``yes`` or ``no``; empty where there is none."""
        return "" if self.threshold is None else "yes" if combined > self.threshold else "no"


def score_folder(scorer: Scorer, folder: Path, out: Path, options: AnomalyOptions, watch: Callable[[], object] = lambda: None) -> Findings:
    """Measure first what the pictures are compared with, then the pictures; write a heat map for each and ``scores.csv``.

    ``out`` appears when all of it is written. ``watch`` is called after each picture.

    Raises:
        PixlateError: A folder holds too few pictures that can be read, or there is too little memory.
    """
    findings, place = Findings(), options.good or folder
    usual, means = ({str(score): list[float]() for score in scorer.scores} for _ in range(2))
    for _, _, maps in _measured(scorer, place, options.batch, findings.failures):
        for score, values in maps.items():
            usual[score].append(score_of(values))
            means[score].append(float(values.mean()))
        watch()
    findings.compared, least = len(usual[scorer.scores[0]]), 2 if options.good else 1
    if findings.compared < least:
        raise PixlateError(f"expected pictures in {place} that can be read, at least {least}, got {findings.compared}; name a folder that holds some")
    findings.levels = {score: Level.of(usual[score], means[score]) for score in usual}
    if options.good:
        steps = [(np.array(usual[score]) - level.mean) / level.deviation for score, level in findings.levels.items()]
        findings.threshold = threshold_of(np.mean(steps, axis=0).tolist(), options.quantile, options.deviations)
    part = out.with_name(f".{out.name}.{token_hex(4)}.part")
    make_folders(part)
    try:
        for name, pictures, maps in _measured(scorer, folder, options.batch, findings.failures):
            findings.pictures[name] = findings.scored(maps)
            heat = part / f"{name}.png"
            make_folders(heat.parent)
            sheet(_panels(name, pictures, maps, findings)).save(heat)
            watch()
        findings.pictures = dict(sorted(findings.pictures.items(), key=lambda each: -each[1][COMBINED]))
        sets = {label: [scores for name, scores in findings.pictures.items() if label_of(name) == label] for label in (GOOD, BAD)}
        if all(sets.values()):
            findings.areas = {score: area_under_curve(*([each[score] for each in sets[label]] for label in sets)) for score in (*usual, COMBINED)}
        with (part / "scores.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["name", *usual, COMBINED, "above", "label"])
            for name, scores in findings.pictures.items():
                rows.writerow([printable(name), *(f"{each:.6g}" for each in scores.values()), findings.above(scores[COMBINED]), label_of(name)])
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return findings


def label_of(name: str) -> str:
    """Return ``good`` or ``bad``, by the sub-folder of a picture; empty where it is in none."""
    first, inside, _ = name.partition("/")
    return "" if not inside else GOOD if first == GOOD else BAD


def read(path: Path, spec: ModelSpec) -> Floats:
    """Return a picture, (channels, height, width) in [0, 1], as the networks take it."""
    picture = read_picture(path, max_pixels=ConvertOptions.max_pixels, formats=installed().image_formats())
    refuse_colour(picture, spec)
    pixels = to_model(picture, spec)
    return (pixels / np.float32(255 if pixels.dtype == np.uint8 else 65535)).astype(np.float32).transpose(2, 0, 1)


def _measured(scorer: Scorer, folder: Path, most: int, failures: dict[Path, str]) -> Iterator[tuple[str, tuple[Floats, Floats], dict[str, Floats]]]:
    """Yield name, picture and reconstruction, and maps of each file that can be read; those that follow each other with one size are measured together."""
    waiting: dict[str, Floats] = {}

    def measure() -> Iterator[tuple[str, tuple[Floats, Floats], dict[str, Floats]]]:
        try:
            again, maps = scorer(np.stack(list(waiting.values())))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise PixlateError(f"there is too little memory on {scorer.device} for {len(waiting)} pictures at once; lower --batch or --tile") from error
        for number, (name, picture) in enumerate(waiting.items()):
            yield name, (picture, again[number]), {score: values[number] for score, values in maps.items()}
        waiting.clear()

    for name, path in images_by_name(folder, installed().image_formats()).items():
        try:
            picture = read(path, scorer.spec)
        except (PixlateError, OSError) as error:
            failures[path] = str(error)
            continue
        if waiting and (len(waiting) == most or next(iter(waiting.values())).shape != picture.shape):
            yield from measure()
        waiting[name] = picture
    if waiting:
        yield from measure()


def _panels(name: str, pictures: tuple[Floats, Floats], maps: Mapping[str, Floats], findings: Findings) -> list[Panel]:
    """Return what the sheet of a picture shows; the brightest colour is the highest usual score, where that is of good pictures twice as far from the darkest."""
    scores, limit, factor = findings.pictures[name], findings.threshold, 1 if findings.threshold is None else 2
    verdict = "" if limit is None else f", {'above' if scores[COMBINED] > limit else 'not above'} {limit:.3g}"
    captions = f"{printable(Path(name).name)}\n{COMBINED} {scores[COMBINED]:.3g}{verdict}", "given back"
    ends = {score: (level.low, level.low + factor * (level.high - level.low)) for score, level in findings.levels.items()}
    heats: list[Panel] = [(f"{score}\nscore {scores[score]:.4g}", values[None], ends[score]) for score, values in maps.items()]
    return [*((caption, picture, None) for caption, picture in zip(captions, pictures, strict=True)), *heats]
