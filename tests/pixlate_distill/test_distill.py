"""Distillation: what a student learns from, that the teacher is asked once, and that a killed run goes on."""

import errno
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pixlate
import pixlate_distill
import pixlate_distill.model
from pixlate.cli.cache import clear_folder
from pixlate.data.degradation import reduced
from pixlate.errors import PixlateError
from pixlate.inference.executor import Executor
from pixlate.inference.models import find
from pixlate.networks.hed import HED
from pixlate.plugin.spec import METADATA_KEY, ModelInput, ModelSpec, Provenance
from pixlate.plugin.testing import check_method, make_photographs
from pixlate.training.checkpoint import load_checkpoint
from pixlate.training.engine import Progress, train
from pixlate.training.run import RunOptions
from pixlate_distill.costs import SIDE, network_costs, translator_costs
from pixlate_distill.data import TaughtImages
from pixlate_distill.options import DistillData, DistillOptions, DistillTraining
from pixlate_distill.teacher import Lessons, Teacher
from pixlate_export.exporter import export_run
from pixlate_export.from_onnx import export_model
from pixlate_export.options import ExportOptions

pixlate_load = pixlate.load
(METHOD,) = pixlate_distill.pixlate_methods()
SMALL = DistillOptions(channels=8, blocks=1)
X2 = ModelSpec(method="repeats", scale=2, tiling_exact=True, halo=0, provenance=Provenance(licence="CC0"))


class Repeats:
    """A teacher that repeats pixels and inverts them; ``seen`` counts the pictures that it was shown."""

    device = "cpu"

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.seen = spec, 0

    def __call__(self, pixels: Any, **conditions: Any) -> Any:
        self.seen += pixels.shape[1] != SIDE  # the pictures by which costs are measured
        return 255 - pixels.repeat(self.spec.scale, axis=1).repeat(self.spec.scale, axis=2)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photographs(tmp_path_factory.mktemp("photographs"), 3, 70, 90)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def teach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Repeats]:
    """Return a function that makes ``tmp_path/teacher.model`` open as a stand-in of a spec."""

    def install(spec: ModelSpec = X2, contents: bytes = b"a teacher") -> Repeats:
        (tmp_path / "teacher.model").write_bytes(contents)
        found = Repeats(spec)
        monkeypatch.setattr(pixlate, "load", lambda model: found)
        return found

    return install


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., DistillData]:
    def make(**changes: Any) -> DistillData:
        values = {"teacher": str(tmp_path / "teacher.model"), "cache_folder": str(tmp_path / "kept"), "patch": 8, "hold_out": 1, "crops": 2, "crop_side": 16}
        return DistillData(**{**values, "workers": 1, **changes})

    return make


@pytest.fixture
def run_of(photographs: Path, data: Callable[..., DistillData]) -> Callable[..., RunOptions]:
    def make(options: DistillOptions = SMALL, steps: int = 4, data_options: DistillData | None = None, **changes: Any) -> RunOptions:
        training = DistillTraining(steps=steps, batch=2, log_every=1, device="cpu", **changes)
        return RunOptions(METHOD, options, (photographs,), data_options or data(), training)

    return make


class CrashError(Exception):
    """Ends a run as a crash does."""


def fit(options: RunOptions, run: Path, crash: int = 0, resume: bool = False) -> list[Progress]:
    progress: list[Progress] = []

    def watch(now: Progress) -> None:
        progress.append(now)
        if now.step == crash:
            raise CrashError

    try:
        train(options, run, watch, lambda warning: None, resume=resume)
    except CrashError:
        assert crash
    return progress


def spec_of(teacher: Teacher) -> ModelSpec:
    return METHOD.gan(SMALL, teacher.facts()).spec()


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "changes", [{"network": "msrresnet"}, {"network": "compact"}, {"network": "span"}, {"adversarial_weight": 0.1, "discriminator_channels": 4}], ids=str
)
def test_contract_is_kept_by_every_student_and_scale(scale: int, changes: dict[str, Any]) -> None:
    method = replace(METHOD, build=lambda options: pixlate_distill.build(options, {"scale": scale, "teacher": "t", "sha256": "0", "sources": "degraded"}))
    check_method(method, replace(SMALL, **changes), side=16)


def test_unet_learns_at_scale_1_alone() -> None:
    unet = DistillOptions(network="unet", channels=8, depth=2)
    assert pixlate_distill.build(unet, {"scale": 1, "teacher": "t", "sha256": "0"}).spec().norm == "per-image"
    with pytest.raises(PixlateError, match="expected scale 1 with --network unet, got 4"):
        pixlate_distill.build(unet)


def test_losses_are_the_weighted_differences_from_teacher_and_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixlate_distill.model, "load_hed", HED)
    student = pixlate_distill.build(
        replace(SMALL, teacher_weight=2.0, truth_weight=0.5, perceptual_weight=1.0), {"scale": 1, "teacher": "t", "sha256": "0", "sources": "degraded"}
    )
    student.prepare(torch.device("cpu"))
    batch = {name: torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed, name in enumerate(("source", "target", "truth"))}
    with torch.no_grad():
        images = student.generate(batch)
        losses = student.generator_losses(batch, images)
    assert losses.keys() == {"teacher", "truth", "perceptual"}
    assert float(losses["teacher"]) == pytest.approx(2 * 2 * float((images["target"] - batch["target"]).abs().mean()), rel=1e-5)
    assert float(losses["truth"]) == pytest.approx(0.5 * 2 * float((images["target"] - batch["truth"]).abs().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("spec", "changes", "sentence"),
    [
        (X2, {"teacher": ""}, "expected --teacher with the model to learn from, got none"),
        (X2, {"reduce": 3}, r"expected --reduce to divide the scale of teacher.model, 2, got 3"),
        (replace(X2, channels_in=1), {}, "expected a teacher of 3 channels in and out, got teacher.model of 1 and 3"),
        (
            replace(X2, inputs=(ModelInput("image", "image"), ModelInput("hole", "mask"))),
            {},
            "a teacher that takes a picture alone, got teacher.model, which takes hole",
        ),
    ],
)
def test_teacher_that_cannot_teach_is_refused(
    spec: ModelSpec, changes: dict[str, Any], sentence: str, teach: Callable[..., Repeats], data: Callable[..., DistillData]
) -> None:
    teach(spec)
    with pytest.raises(PixlateError, match=sentence):
        METHOD.data.facts((), data(**changes))


def test_student_of_another_scale_than_its_teacher_and_of_another_teacher_is_refused(
    teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path
) -> None:
    teach()
    spec = spec_of(Teacher(data()))
    teach(replace(X2, scale=4))
    with pytest.raises(PixlateError, match=r"expected a teacher of scale 2 for a student of scale 2, got teacher\.model of 4"):
        TaughtImages((photographs,), data(), spec)
    teach(contents=b"another")
    with pytest.raises(PixlateError, match=r"expected the teacher that the run began with \(teacher.model, licence CC0, SHA-256"):
        TaughtImages((photographs,), data(), spec)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"crop_side": 16, "patch": 32}, "expected --crop-side of at least --patch, 32, got 16"),
        ({"crops": 0, "crop_side": 64}, "expected --crop-side with --crops above 0 only"),
        ({"transforms": "some.json"}, "expected no --transforms, got some"),
    ],
)
def test_options_that_cannot_be_kept_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=sentence):
        DistillData(**changes)


def test_variants_and_photographs_need_a_degradation(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path) -> None:
    teach(replace(X2, scale=1))
    with pytest.raises(PixlateError, match="expected a degradation with --variants above 1"):
        TaughtImages((photographs,), data(variants=2), spec_of(Teacher(data())))
    with pytest.raises(PixlateError, match="expected a degradation with --truth-weight"):
        METHOD.gan(replace(SMALL, truth_weight=1.0), Teacher(data()).facts())
    assert len(TaughtImages((photographs,), data(variants=3, noise=9.0), spec_of(Teacher(data()))).pieces) == 2 * 2 * 3


def test_patches_of_source_target_and_truth_show_the_same(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path) -> None:
    teach()
    images = TaughtImages((photographs,), data(), spec_of(Teacher(data())))

    @given(st.integers(0, 2**32 - 1))
    def hold(seed: int) -> None:
        (draw,) = images.draw(0, 1, seed)
        batch = images.load(draw, 8)
        assert batch["source"].shape == (3, 8, 8) and batch["target"].shape == batch["truth"].shape == (3, 16, 16)
        repeated = batch["source"].repeat_interleave(2, 1).repeat_interleave(2, 2)
        assert torch.allclose(batch["target"], 1 - repeated, atol=1e-6)
        means = torch.nn.functional.avg_pool2d(batch["truth"], 2)
        assert float((means - batch["source"]).abs().mean()) < 0.05, "the photograph is of the same place as its reduction"

    hold()


def test_held_out_crops_are_cut_to_what_the_student_takes(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path) -> None:
    teach()
    options = data(crop_side=17)
    (batch,) = TaughtImages((photographs,), options, replace(spec_of(Teacher(options)), multiple=4, minimum=4)).validation()
    assert {name: tuple(image.shape) for name, image in batch.items()} == {"source": (1, 3, 16, 16), "target": (1, 3, 32, 32), "truth": (1, 3, 32, 32)}


def test_teacher_is_asked_once_for_each_crop_also_by_a_second_run(
    teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], data: Callable[..., DistillData], tmp_path: Path
) -> None:
    teacher = teach()
    fit(run_of(steps=8), tmp_path / "first")
    assert teacher.seen == 2 * 2 + 1, "two crops of each of two photographs, and one held out"
    again = teach()
    fit(run_of(steps=8), tmp_path / "second")
    assert again.seen == 0
    assert not list((tmp_path / "kept").rglob("*.part"))
    fit(run_of(steps=2, data_options=data(crop_side=24)), tmp_path / "third")
    assert again.seen > 0, "other crops are other pictures"


def test_teacher_is_not_asked_again_because_a_newer_pixlate_has_one_more_option(
    teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path
) -> None:
    @dataclass(frozen=True)
    class Newer(DistillData):
        haze: float = 0.0

    teacher = teach()
    for options in (data(), Newer(**asdict(data()))):
        images = TaughtImages((photographs,), options, spec_of(Teacher(options)))
        images.lesson(images.pieces[0])
    assert teacher.seen == 1
    hazy = TaughtImages((photographs,), Newer(**asdict(data()), haze=0.5), spec_of(Teacher(data())))
    hazy.lesson(hazy.pieces[0])
    assert teacher.seen == 2


def test_damaged_file_of_the_cache_is_made_again(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path, tmp_path: Path) -> None:
    teacher = teach()
    images = TaughtImages((photographs,), data(cache=0), spec_of(Teacher(data())))
    first = images.lesson(images.pieces[0])
    (file,) = (tmp_path / "kept").rglob("*.npz")
    whole = file.read_bytes()

    @settings(max_examples=60)
    @given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
    def hold(place: float, value: int, cut: bool) -> None:
        position = int(place * len(whole))
        file.write_bytes(whole[:position] if cut else whole[:position] + bytes([value]) + whole[position + 1 :])
        second = images.lesson(images.pieces[0])
        assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))

    hold()
    assert teacher.seen > 2


def test_full_disk_ends_training_with_a_sentence_and_the_run_goes_on_when_there_is_room(
    teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], data: Callable[..., DistillData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach()
    kinds = {name: data(crops=8, cache_folder=str(tmp_path / name)) for name in ("roomy", "full")}
    fit(run_of(data_options=kinds["roomy"], checkpoint_every=1), tmp_path / "whole")
    kept, room = np.savez_compressed, iter(range(3))

    def keep(*given: Any, **arrays: Any) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        kept(*given, **arrays)

    monkeypatch.setattr(np, "savez_compressed", keep)
    with pytest.raises(PixlateError, match=r"full cannot be written \(No space left on device\); make room there or name another --cache-folder"):
        fit(run_of(data_options=kinds["full"], checkpoint_every=1), tmp_path / "stopped")
    monkeypatch.setattr(np, "savez_compressed", kept)
    assert len(list((tmp_path / "full").rglob("*.npz"))) == 3 and not list((tmp_path / "full").rglob("*.part"))
    fit(RunOptions.load(tmp_path / "stopped", {"distill": METHOD}), tmp_path / "stopped", resume=True)
    first, second = (load_checkpoint(tmp_path / name).weights for name in ("whole", "stopped"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_cache_folder_that_is_a_file_is_one_sentence(
    teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path, tmp_path: Path
) -> None:
    teach()
    (tmp_path / "file").touch()
    options = data(cache_folder=str(tmp_path / "file"))
    images = TaughtImages((photographs,), options, spec_of(Teacher(options)))
    with pytest.raises(PixlateError, match=r"file cannot be written \(.*\); make room there or name another --cache-folder"):
        images.lesson(images.pieces[0])


def test_cache_may_be_cleared_while_a_picture_is_made(
    teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach()
    images = TaughtImages((photographs,), data(), spec_of(Teacher(data())))
    kept = np.savez_compressed
    cleared: list[tuple[int, int]] = []

    def keep(*given: Any, **arrays: Any) -> None:
        kept(*given, **arrays)
        if not cleared:
            cleared.append(clear_folder(tmp_path))

    monkeypatch.setattr(np, "savez_compressed", keep)
    images.lesson(images.pieces[0])
    assert cleared[0][0] == 1 and len(list((tmp_path / "kept").rglob("*.npz"))) == 1
    assert clear_folder(tmp_path)[0] == 1 and not (tmp_path / "kept").exists()


def test_half_written_file_of_a_killed_run_is_removed_after_a_day(teach: Callable[..., Repeats], data: Callable[..., DistillData], tmp_path: Path) -> None:
    teach()
    (tmp_path / "kept" / "0a").mkdir(parents=True)
    old, new = (tmp_path / "kept" / "0a" / f".{name}.part" for name in ("old", "new"))
    for part, hours in ((old, 25), (new, 1)):
        part.touch()
        os.utime(part, (time.time() - hours * 3600,) * 2)
    Lessons(Teacher(data()), data())
    assert not old.exists() and new.exists()


def test_changed_photograph_has_pictures_of_its_own(teach: Callable[..., Repeats], data: Callable[..., DistillData], tmp_path: Path) -> None:
    teacher = teach()
    folder = make_photographs(tmp_path / "photographs", 2, 70, 90)
    lessons = []
    for turns in range(2):
        for path in folder.iterdir():
            Image.open(path).rotate(180 * turns).save(path, quality=95)
        images = TaughtImages((folder,), data(), spec_of(Teacher(data())))
        lessons.append(images.lesson(images.pieces[0]))
    assert teacher.seen == 2 and not np.array_equal(lessons[0][2], lessons[1][2])


@pytest.mark.parametrize("scale", [1, 2])
def test_teacher_sees_the_degraded_source_or_the_clean_one(
    scale: int, teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path
) -> None:
    teach(replace(X2, scale=scale))
    found = {}
    for sees in ("source", "clean"):
        options = data(noise=40.0, teacher_sees=sees)
        images = TaughtImages((photographs,), options, spec_of(Teacher(options)))
        found[sees] = images.lesson(images.pieces[0])
    (source, target, truth), (same, clean, _) = found["source"], found["clean"]
    assert np.array_equal(source, same), "the student sees the same"
    assert np.array_equal(target, 255 - source.repeat(scale, 0).repeat(scale, 1))
    assert np.array_equal(clean, 255 - reduced(truth, 1)) if scale == 1 else np.abs(255.0 - clean - truth).mean() < np.abs(255.0 - target - truth).mean() / 2
    with pytest.raises(PixlateError, match="expected a degradation with --teacher-sees clean, without which it sees what the student sees; add --noise"):
        TaughtImages((photographs,), data(teacher_sees="clean"), spec_of(Teacher(data())))


def test_preset_trains_a_student_of_the_size_of_photo_x4(
    teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], data: Callable[..., DistillData], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pixlate_distill.model, "load_hed", HED)
    table = tomllib.loads(METHOD.presets["photo"].read_text())["train"]["distill"]
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    options = DistillOptions(**{item.name: values[item.name] for item in fields(DistillOptions) if item.name in values})
    teach(replace(X2, scale=4))
    student = pixlate_distill.build(options, Teacher(data()).facts()).exports()["source_to_target"]
    known = translator_costs(Executor(pixlate_load("photo-x4", "cpu"), "auto", 1), find("photo-x4"))
    assert network_costs(student.module, student.spec, torch.device("cpu"))["parameters"] == pytest.approx(known["parameters"], rel=0.01)
    small = replace(options, channels=4, blocks=1, discriminator_channels=2)
    own = {item.name: values[item.name] for item in fields(DistillData) if item.name in values} | {
        "teacher": data().teacher,
        "patch": 16,
        "crops": 1,
        "crop_side": 16,
    }
    fit(run_of(small, 2, data(**own)), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert all({"teacher", "perceptual", "adversarial", "discriminator"} <= line.keys() for line in lines if line["kind"] == "losses")


def test_reduced_teacher_of_scale_2_teaches_at_scale_1(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path) -> None:
    teach()
    options = data(reduce=2, noise=20.0)
    assert Teacher(options).facts()["scale"] == 1
    images = TaughtImages((photographs,), options, spec_of(Teacher(options)))
    source, target, truth = images.lesson(images.pieces[0])
    assert np.array_equal(target, 255 - source) and source.shape == truth.shape and not np.array_equal(source, truth)


def test_whole_photographs_are_taken_without_crops(teach: Callable[..., Repeats], data: Callable[..., DistillData], photographs: Path) -> None:
    teach()
    options = DistillData(**{**vars(data()), "crops": 0, "crop_side": 128})
    images = TaughtImages((photographs,), options, spec_of(Teacher(options)))
    assert images.images == 2 and images.lesson(images.pieces[0])[0].shape == (35, 45, 3)


def test_killed_run_goes_on_to_the_same_weights(
    teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], data: Callable[..., DistillData], tmp_path: Path
) -> None:
    teach()
    options = run_of(replace(SMALL, adversarial_weight=0.1, discriminator_channels=4), data_options=data(patch=16), checkpoint_every=2)
    fit(options, tmp_path / "whole")
    fit(options, tmp_path / "killed", crash=3)
    fit(RunOptions.load(tmp_path / "killed", {"distill": METHOD}), tmp_path / "killed", resume=True)
    first, second = (load_checkpoint(tmp_path / name).weights for name in ("whole", "killed"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_student_learns_and_is_measured_beside_its_teacher(teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], tmp_path: Path) -> None:
    teach(replace(X2, scale=1))
    options = run_of(DistillOptions(channels=8, blocks=1), steps=60, learning_rate=2e-2, validate_every=20)
    ratios = [now.figures["psnr_luma"] for now in fit(options, tmp_path / "run") if now.figures]
    assert ratios[-1] > ratios[0] + 3, "a negative is learnt from the teacher alone"


def test_report_has_the_ratios_of_student_teacher_and_bicubic(teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], tmp_path: Path) -> None:
    teach()
    fit(run_of(), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    figures = next(line for line in lines if line["kind"] == "validation")
    names = {f"psnr_photograph_{name}" for name in ("student", "teacher", "bicubic")}
    assert names <= figures.keys() and figures["psnr_photograph_bicubic"] > figures["psnr_photograph_teacher"], "the teacher inverts"
    assert all(name in (tmp_path / "run/report.html").read_text() for name in names)


def test_measured_ratio_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    generator = np.random.default_rng(0)
    truth, image = generator.random((2, 20, 22, 3), np.float32)
    given = [torch.from_numpy(each.transpose(2, 0, 1).copy())[None] for each in (image, truth)]
    assert pixlate_distill.model._psnr(given[0], given[1], 2) == pytest.approx(
        metrics.peak_signal_noise_ratio(truth[2:-2, 2:-2], image[2:-2, 2:-2], data_range=1), abs=1e-4
    )


@pytest.mark.parametrize(("teacher", "reduce", "keeps"), [(ModelSpec(), 1, False), (ModelSpec(keeps_grey=True), 1, True), (X2, 2, True)])
def test_student_keeps_grey_where_its_teacher_does(
    teacher: ModelSpec, reduce: int, keeps: bool, teach: Callable[..., Repeats], data: Callable[..., DistillData]
) -> None:
    teach(teacher)
    assert spec_of(Teacher(data(reduce=reduce))).keeps_grey == keeps


def test_spec_of_a_student_names_its_teacher_and_keeps_its_licence(teach: Callable[..., Repeats], data: Callable[..., DistillData]) -> None:
    teach()
    origin = spec_of(Teacher(data())).provenance
    assert origin == Provenance(licence="CC0", teacher=f"teacher.model, licence CC0, SHA-256 {hashlib.sha256(b'a teacher').hexdigest()}")
    teach(replace(X2, provenance=Provenance()))
    assert "licence not stated" in spec_of(Teacher(data())).provenance.teacher


@pytest.mark.slow
@pytest.mark.usefixtures("operators_read_once")
def test_exported_student_names_its_teacher_and_keeps_its_licence(teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], tmp_path: Path) -> None:
    teach()
    fit(run_of(steps=1), tmp_path / "run")
    export_run(tmp_path / "run", tmp_path / "student.onnx")
    found = {each.key: each.value for each in onnx.load(tmp_path / "student.onnx").metadata_props}
    origin = ModelSpec.from_json(found[METADATA_KEY]).provenance
    assert origin.licence == "CC0" and origin.teacher.startswith("teacher.model, licence CC0, SHA-256 ") and origin.steps == 1


def test_costs_of_a_network_are_those_of_its_file_and_of_arithmetic() -> None:
    student = pixlate_distill.build(DistillOptions()).exports()["source_to_target"]
    costs = network_costs(student.module, student.spec, torch.device("cpu"))
    assert costs["parameters"] == 621_424 and costs["seconds_per_megapixel"] > 0
    assert costs["macs_per_pixel"] == 9 * (3 * 64 + 16 * 64 * 64 + 64 * 48)
    path = find("upscale-x2")
    known = translator_costs(Executor(pixlate.load("upscale-x2", "cpu"), "auto", 1), path)
    weights = [each.dims for each in onnx.load(path).graph.initializer if len(each.dims) == 4]
    assert known["macs_per_pixel"] == sum(np.prod(dims) for dims in weights), "all its convolutions are at the source's size"
    assert known["parameters"] > known["macs_per_pixel"] > 6e5 and known["seconds_per_megapixel"] > 0


@pytest.mark.usefixtures("operators_read_once")
def test_costs_of_a_teacher_of_whole_levels_are_those_of_its_network(tmp_path: Path) -> None:
    export_model("upscale-x2", tmp_path / "levels.onnx", ExportOptions(io="uint8"))
    costs = [translator_costs(Executor(pixlate.load(model, "cpu"), "auto", 1), find(model)) for model in ("upscale-x2", tmp_path / "levels.onnx")]
    assert costs[0]["macs_per_pixel"] == costs[1]["macs_per_pixel"] and costs[1]["parameters"] == pytest.approx(costs[0]["parameters"], rel=1e-3)


def test_report_shows_the_costs_of_student_and_teacher(teach: Callable[..., Repeats], run_of: Callable[..., RunOptions], tmp_path: Path) -> None:
    teach()
    fit(run_of(steps=1), tmp_path / "run")
    page = (tmp_path / "run/report.html").read_text()
    assert "<th>student</th><th>teacher</th>" in page and "<td>seconds per megapixel</td>" in page
    assert "<td>parameters</td><td>" in page and "<td>not known</td>" in page, "the stand-in's file is no ONNX"


NOISY: dict[str, Any] = {"noise": 20.0}
JUDGED: dict[str, Any] = {"adversarial_weight": 0.5, "discriminator_channels": 4, "patch": 16}
OF_HED: dict[str, Any] = {"perceptual_weight": 0.5, "perceptual_layers": ("conv1_1",)}
UNET: dict[str, Any] = {"network": "unet", "reduce": 2, "depth": 2, "blocks": 16, "noise": 20.0}
MSR: dict[str, Any] = {"network": "msrresnet"}
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "network": ({}, {"network": "span"}),
    "channels": ({}, {"channels": 9}),
    "blocks": ({}, {"blocks": 2}),
    "depth": (UNET, {**UNET, "depth": 3}),
    "tail": ({**MSR, "scale": 4}, {**MSR, "scale": 4, "tail": "direct"}),
    "shrink": ({}, {"shrink": 2}),
    "teacher_weight": ({"truth_weight": 1.0}, {"truth_weight": 1.0, "teacher_weight": 2.0}),
    "truth_weight": ({}, {"truth_weight": 1.0}),
    "perceptual_weight": ({}, OF_HED),
    "perceptual_layers": (OF_HED, {**OF_HED, "perceptual_layers": ("conv1_2",)}),
    "adversarial_weight": (JUDGED, {**JUDGED, "adversarial_weight": 1.0}),
    "discriminator": ({**JUDGED, "patch": 16}, {**JUDGED, "discriminator": "patch"}),
    "discriminator_channels": (JUDGED, {**JUDGED, "discriminator_channels": 5}),
    "teacher_sees": (NOISY, {**NOISY, "teacher_sees": "clean"}),
    "reduce": (NOISY, {**NOISY, "reduce": 2}),
    "crops": ({}, {"crops": 3}),
    "crop_side": ({}, {"crop_side": 20}),
    "variants": (NOISY, {**NOISY, "variants": 2}),
    "degradation": ({}, {"degradation": "second-order"}),
    "rescale": ({}, {"rescale": (1.0, 0.9)}),
    "degrade_validation": (NOISY, {**NOISY, "degrade_validation": True}),
}
OTHERS = {
    "teacher": "test_student_of_another_scale_than_its_teacher_and_of_another_teacher_is_refused",
    "cache_folder": "test_teacher_is_asked_once_for_each_crop",
}


@pytest.mark.parametrize("name", EFFECTS)
def test_option_has_an_effect(
    name: str,
    teach: Callable[..., Repeats],
    data: Callable[..., DistillData],
    run_of: Callable[..., RunOptions],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def load_hed() -> HED:
        torch.manual_seed(0)
        return HED()

    monkeypatch.setattr(pixlate_distill.model, "load_hed", load_hed)
    own = {item.name for item in fields(DistillOptions)}
    outcomes = []
    for number, case in enumerate(EFFECTS[name]):
        changes = dict(case)
        teach(replace(X2, scale=changes.pop("scale", 2)))
        options = replace(SMALL, **{key: value for key, value in changes.items() if key in own})
        run = run_of(options, 3, data(**{key: value for key, value in changes.items() if key not in own}))
        fit(run, tmp_path / str(number))
        lines = [json.loads(line) for line in (tmp_path / str(number) / "log.jsonl").read_text().splitlines()]
        outcomes.append([{**line, "steps_per_second": 0} for line in lines if line["kind"] != "costs"])
    assert outcomes[0] != outcomes[1]


def test_no_option_is_left_untested() -> None:
    names = {item.name for item in fields(DistillOptions)} | {item.name for item in fields(DistillData)} - {
        item.name for item in fields(pixlate.DegradedOptions)
    }
    assert names <= EFFECTS.keys() | OTHERS.keys()
