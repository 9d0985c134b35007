"""Which runtime and arithmetic convert a folder: what the user names, what the folder was begun with, or what a trial on its pictures finds."""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.pixlate.conftest import noise, write_conditional
from tests.pixlate_onnx.test_statistics import SPEC as FILE
from tests.pixlate_onnx.test_statistics import network

import pixlate
from pixlate.cli.convert import convert as command
from pixlate.convert import ConvertOptions, convert
from pixlate.convert import choosing as choices
from pixlate.convert.preview import DryRun
from pixlate.convert.report import Summary
from pixlate.errors import PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference import models, trial
from pixlate.plugin.manager import Plugins, installed
from pixlate.plugin.spec import ModelSpec

SPEC = ModelSpec(io="uint8")


CLOCK = [0.0]
"""Seconds that stand-ins have taken, which trials read as the time."""


@dataclass
class Way:
    """A stand-in translator: the negative, off by some levels, after some seconds of :data:`CLOCK`."""

    levels: int = 0
    seconds: float = 0.0
    arithmetics: str = "float32"
    spec: ModelSpec = SPEC
    device: str = "cpu"
    runs: int = 0

    def __call__(self, pixels: Pixels | None, **conditions: NDArray[Any]) -> Pixels:
        assert pixels is not None
        self.runs += 1
        CLOCK[0] += 0.001 + self.seconds
        peak = 65535 if pixels.dtype == np.uint16 else 255
        made: Pixels = np.clip(peak - pixels.astype(int) + self.levels, 0, peak).astype(pixels.dtype)
        return made

    def arithmetic(self, kind: "np.dtype[Any]") -> str:
        return "float32" if kind == np.uint16 else self.arithmetics


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Have two runtimes for ``.mine``: ``exact``, slow, and ``quick``, which also computes in bfloat16; returns the model."""
    offered = Plugins.offered
    monkeypatch.setattr(choices, "WORTH_S", 0.0)
    monkeypatch.setattr("pixlate.inference.trial.time.perf_counter", lambda: CLOCK[0])
    monkeypatch.setattr(choices, "WORTH_PARTS", 0.0)

    def make(exact: Way | Exception | None = None, quick: Way | Exception | None = None, arithmetics: tuple[str, ...] = ("float32", "bfloat16")) -> Path:
        exact, quick = exact or Way(seconds=0.02), quick or Way(1, arithmetics="bfloat16")

        def opening(way: Way | Exception) -> Callable[[Path, str, str], Any]:
            def open_it(path: Path, device: str, arithmetic: str) -> Way:
                if isinstance(way, Exception):
                    raise way
                return way if arithmetic != "float32" else replace(way, levels=0, arithmetics="float32")

            return open_it

        found = {
            "exact": pixlate.Runtime("exact", (".mine",), lambda: True, opening(exact), devices=("cpu",), arithmetics=lambda: ("float32",)),
            "quick": pixlate.Runtime("quick", (".mine",), lambda: True, opening(quick), devices=("cpu", "gpu"), arithmetics=lambda: arithmetics),
        }
        monkeypatch.setattr(Plugins, "offered", lambda self, wanted, of=None: found if wanted is pixlate.Runtime else offered(self, wanted, of))
        (tmp_path / "a.mine").write_bytes(b"a model")
        return tmp_path / "a.mine"

    yield make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of four pictures."""
    (tmp_path / "in").mkdir()
    for index in range(4):
        Image.fromarray(noise(30, 20 + index)).save(tmp_path / f"in/{index}.png")
    return tmp_path / "in"


def converted(source: Path, model: Path, **options: object) -> Summary:
    return convert(source, source.parent / "out", model, ConvertOptions(**options))  # type: ignore[arg-type]


def test_the_faster_way_is_taken_where_it_stays_near_and_what_was_measured_is_said(install: Install, source: Path) -> None:
    summary = converted(source, install(), report=source.parent / "report.json")
    assert (summary.converted, summary.runtime, summary.arithmetic) == (4, "quick", "bfloat16")
    assert summary.choice.startswith("quick in bfloat16: ")
    assert "dB and at most 1 level from float32 on parts of 3 pictures" in summary.choice
    report = json.loads((source.parent / "report.json").read_text())
    assert {file["arithmetic"] for file in report["files"]} == {"bfloat16"}
    assert report["summary"]["choice"] == summary.choice


def test_decibels_and_levels_are_those_of_the_picture_that_differs_most(install: Install, source: Path) -> None:
    summary = converted(source, install(quick=Way(1, arithmetics="bfloat16")))
    assert "at most 1 level" in summary.choice
    assert f"{20 * np.log10(255):.1f} dB"[:3] in summary.choice  # an error of one level everywhere, but where it was clipped


def test_equal_outputs_are_said_in_words(install: Install, source: Path) -> None:
    assert converted(source, install(quick=Way())).choice == "quick in bfloat16: 21.0 times as fast, equal to float32 on parts of 3 pictures"


@pytest.mark.parametrize(
    ("quick", "reason"),
    [
        (Way(9, 0.03), r"quick in bfloat16 is not used, since it differs by up to 9 levels \(29\.\d dB\); at most 8 levels and at least 45 dB are allowed"),
        (Way(4, 0.03), r"since it differs by up to 4 levels \(36\.\d dB\)"),
        (Way(seconds=0.03), r"since it is only 0\.\d+ times as fast"),
        (PixlateError("it takes no such graph"), "quick in bfloat16 is not used: it takes no such graph"),
    ],
)
def test_the_first_runtime_is_kept_where_the_other_is_far_slow_or_does_not_run(quick: Way | Exception, reason: str, install: Install, source: Path) -> None:
    summary = converted(source, install(quick=quick))
    assert summary.converted == 4
    assert (summary.runtime, summary.arithmetic) == ("exact", "auto")
    assert re.search(reason, summary.choice)


def test_the_next_arithmetic_of_a_runtime_is_tried_where_the_fastest_is_too_far(install: Install, source: Path) -> None:
    summary = converted(source, install(quick=Way(9, arithmetics="bfloat16")))
    assert (summary.converted, summary.runtime, summary.arithmetic) == (4, "quick", "float32")
    chosen, refused = summary.choice.split("; ", 1)
    assert re.fullmatch(r"quick in float32: \d+\.\d times as fast, equal to float32 on parts of 3 pictures", chosen)
    assert refused.startswith("quick in bfloat16 is not used, since it differs by up to 9 levels")


@pytest.mark.parametrize("quick", [Way(1, 0.03), PixlateError("it takes no such graph")])
def test_a_runtime_whose_fastest_arithmetic_is_slow_or_does_not_run_is_not_tried_in_another(quick: Way | Exception, install: Install, source: Path) -> None:
    summary = converted(source, install(quick=quick))
    assert summary.choice.startswith("exact; quick in bfloat16 is not used")
    assert "quick in float32" not in summary.choice


def test_a_file_of_int8_is_compared_with_what_the_first_runtime_makes_of_it_in_int8(install: Install, source: Path) -> None:
    summary = converted(source, install(Way(seconds=0.02, arithmetics="int8")))
    assert "at most 1 level from int8 on parts of 3 pictures" in summary.choice


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("quick", "line"),
    [
        (Way(1, arithmetics="bfloat16"), r"chosen: quick in bfloat16: \d+\.\d times as fast, .* from float32 on parts of 3 pictures"),
        (Way(1, 0.03), r"runtime: exact; quick in bfloat16 is not used, since it is only 0\.\d+ times as fast"),
    ],
)
def test_the_command_says_what_is_chosen_or_why_nothing_else_is(
    quick: Way, line: str, dry_run: bool, install: Install, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, options = str(install(quick=quick)), ConvertOptions(dry_run=dry_run)
    assert command(source, source.parent / "out", model=model, options=options) == 0
    (found,) = said(capsys)
    assert re.fullmatch(line, found)
    assert command(source, source.parent / "other", model=model, options=options, json=True) == 0
    assert re.fullmatch(line.partition(": ")[2], json.loads(capsys.readouterr().out)["choice"])


def test_the_command_says_that_it_goes_on_as_the_folder_was_begun(install: Install, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = install()
    converted(source, model, limit=2)
    for options in (ConvertOptions(dry_run=True), ConvertOptions()):
        assert command(source, source.parent / "out", model=str(model), options=options) == 0
        assert said(capsys) == ["chosen: quick in bfloat16, as the output folder was begun"]


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that say what runs the model."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(("chosen: ", "runtime: "))]


def test_a_later_run_of_the_folder_uses_what_the_first_chose(install: Install, source: Path) -> None:
    converted(source, install(), limit=2)
    exact = Way(seconds=0.02)
    model = install(exact, Way(9, arithmetics="bfloat16"))  # which a trial would refuse now
    summary = converted(source, model)
    assert (summary.finished_before, summary.converted, summary.failed) == (2, 2, 0)
    assert summary.choice == "quick in bfloat16, as the output folder was begun"
    assert exact.runs == 0


def test_a_folder_that_was_begun_before_there_was_a_choice_goes_on_as_it_was(install: Install, source: Path) -> None:
    model = install(arithmetics=())
    converted(source, model, limit=2)
    summary = converted(source, install())
    assert (summary.finished_before, summary.converted) == (2, 2)
    assert (summary.runtime, summary.choice) == ("exact", "")


@pytest.mark.parametrize("named", [{"runtime": "exact"}, {"arithmetic": "float32", "runtime": "quick"}])
def test_naming_another_way_is_refused_as_other_settings_with_the_way_to_go_on(named: dict[str, str], install: Install, source: Path) -> None:
    converted(source, install())
    summary = converted(source, install(), **named)
    assert summary.failed == 4
    assert "made with quick in bfloat16; go on with --runtime quick --arithmetic bfloat16, choose another folder" in summary.failures[0][1]


@pytest.mark.parametrize("named", [{}, {"runtime": "quick"}, {"arithmetic": "float32"}])
def test_a_folder_that_was_begun_in_an_arithmetic_that_this_machine_lacks_is_not_sent_back_to_it(named: dict[str, str], install: Install, source: Path) -> None:
    converted(source, install())
    summary = converted(source, install(arithmetics=("float32",)), **named)
    assert (summary.converted, summary.failed) == (0, 4)
    said = summary.failures[0][1]
    assert "made with quick in bfloat16, which is not offered here; go on with it on a machine that has it, choose another folder, or" in said
    assert converted(source, install(arithmetics=("float32",)), on_exists="overwrite", **named).converted == 4


def test_a_library_that_does_not_load_is_explained_in_one_whole_sentence(install: Install, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = f"expected a library that loads, got {'one that is broken ' * 20}; reinstall it"
    model = install()

    def broken() -> NoReturn:
        raise PixlateError(reason)

    for name, runtime in installed().offered(pixlate.Runtime).items():
        monkeypatch.setitem(installed().offered(pixlate.Runtime), name, replace(runtime, arithmetics=broken) if name == "quick" else runtime)
    with pytest.warns(UserWarning, match=re.escape(f"the runtime quick is left out ({reason})")):
        assert converted(source, model).converted == 4
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        converted(source, model, runtime="quick", on_exists="overwrite")
    assert said == []


def test_naming_the_way_that_is_used_anyway_changes_nothing(install: Install, source: Path) -> None:
    converted(source, install(arithmetics=()))
    assert converted(source, install(), runtime="exact", arithmetic="float32").finished_before == 4


@pytest.mark.parametrize("named", [{}, {"runtime": "quick"}, {"arithmetic": "float32"}, {"runtime": "quick", "arithmetic": "float32"}])
def test_a_gpu_that_one_runtime_knows_does_the_same_work_whatever_is_named(named: dict[str, str], install: Install, source: Path) -> None:
    model = install(quick=Way(device="gpu:0"))
    assert converted(source, model, device="gpu", limit=2).converted == 2
    summary = converted(source, model, device="gpu", **named)
    assert (summary.finished_before, summary.converted, summary.runtime) == (2, 2, "quick")


def test_an_arithmetic_of_the_cpu_is_not_taken_for_one_of_a_gpu(install: Install, source: Path) -> None:
    converted(source, install(), limit=2)
    summary = converted(source, install(quick=Way(device="gpu:0")), device="gpu", runtime="quick", limit=2)
    assert summary.failed == 2
    assert "made with quick in bfloat16; go on with --runtime quick --arithmetic bfloat16" in summary.failures[0][1]


def test_a_file_of_float16_runs_as_it_is_where_its_runtime_is_named(tmp_path: Path, source: Path) -> None:
    model = network(tmp_path / "a.onnx", replace(FILE, precision="float16"), half=True)
    summary = converted(source, model, runtime="onnxruntime", device="cpu", report=tmp_path / "report.json")
    assert (summary.converted, summary.arithmetic) == (4, "auto")
    assert {file["arithmetic"] for file in json.loads((tmp_path / "report.json").read_text())["files"]} == {"float16"}


def test_pictures_of_16_bits_are_float32_in_the_report(install: Install, source: Path) -> None:
    Image.fromarray(noise(30, 20)[:, :, 0].astype(np.uint16) * 257).save(source / "deep.png")
    converted(
        source,
        install(quick=Way(1, arithmetics="bfloat16", spec=ModelSpec(channels_in=1, channels_out=1))),
        arithmetic="bfloat16",
        report=source.parent / "report.json",
    )
    found = {Path(file["source"]).name: file["arithmetic"] for file in json.loads((source.parent / "report.json").read_text())["files"]}
    assert found == {"0.png": "bfloat16", "1.png": "bfloat16", "2.png": "bfloat16", "3.png": "bfloat16", "deep.png": "float32"}


def test_so_little_work_that_a_trial_is_not_repaid_is_done_by_the_first_runtime(install: Install, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, runs = Way(arithmetics="bfloat16"), []
    for name, value in (("WORTH_S", 1000.0), ("WORTH_PARTS", 1000.0)):
        monkeypatch.setattr(choices, name, value)
        exact = Way()
        summary = converted(source, install(exact, quick), on_exists="overwrite")
        assert (summary.runtime, quick.runs) == ("exact", 0)
        runs.append(exact.runs)
    assert runs == [6, 4]  # part of one picture before, twice since it is quick; and none


def test_damaged_pictures_are_left_out_of_the_trial(install: Install, source: Path) -> None:
    for index in (0, 3):
        (source / f"{index}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    summary = converted(source, install())
    assert (summary.runtime, summary.converted, summary.failed) == ("quick", 2, 2)
    assert "parts of 2 pictures" in summary.choice


def test_a_dry_run_says_what_would_be_chosen_and_records_nothing(install: Install, source: Path) -> None:
    found = DryRun([source], source.parent / "out", install(), ConvertOptions())
    assert found.task.choice.startswith("quick in bfloat16: ")
    assert [item.action for item in found.files()] == ["convert"] * 4
    assert not (source.parent / "out").exists()


def test_a_runtime_that_is_not_there_is_refused_with_those_that_are(install: Install, source: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected --runtime auto, exact, quick for a\.mine, got 'slow'; choose one of these"):
        converted(source, install(), runtime="slow")
    with pytest.raises(PixlateError, match=r"expected --arithmetic that a runtime offers on this machine \(exact: float32; quick: float32\), got bfloat16"):
        converted(source, install(arithmetics=("float32",)), arithmetic="bfloat16")


def test_a_library_that_breaks_is_warned_of_and_left_out(install: Install, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = install()

    def broken() -> tuple[str, ...]:
        raise OSError("libtbb.so.12 is missing")

    runtimes = {
        "exact": pixlate.Runtime("exact", (".mine",), lambda: True, lambda *_: Way()),
        "quick": pixlate.Runtime("quick", (".mine",), lambda: True, lambda *_: Way(), arithmetics=broken),
    }
    monkeypatch.setattr(Plugins, "offered", lambda self, wanted, of=None: runtimes if wanted is pixlate.Runtime else {})
    with pytest.warns(UserWarning, match=r"the runtime quick is left out \(libtbb\.so\.12 is missing\)"):
        found = models.arithmetics_of(runtimes["quick"])
    assert found == ()
    assert model.exists()


def test_a_condition_at_its_default_finds_the_folder_as_it_was_begun(tmp_path: Path) -> None:
    from pixlate.plugin.spec import ModelInput

    hair = ModelInput("hair", "label", choices=("blond", "red"), default="red")
    model = write_conditional(tmp_path / "model.onnx", [hair])
    Image.fromarray(noise(8, 9)).save(tmp_path / "a.png")
    for given in ((), ("hair=red",)):
        summary = convert(
            tmp_path / "a.png",
            tmp_path / "out",
            model,
            ConvertOptions(set=given, runtime="openvino" if not given else "auto", arithmetic="float32" if not given else "auto"),
        )
        assert summary.failed == 0
    assert (summary.finished_before, summary.choice) == (1, "openvino in float32, as the output folder was begun")


def test_the_part_that_is_tried_is_the_middle_of_a_large_picture() -> None:
    from pixlate.inference.executor import Executor

    picture = np.zeros((1000, 1001, 3), np.uint8)
    picture[404:596, 404:596] = 1
    assert trial.part_of(picture, Executor(Way(), "auto", "auto")).all()
    assert trial.part_of(picture, Executor(Way(spec=ModelSpec(io="uint8", whole=True)), "auto", "auto")) is picture


def test_what_is_left_to_the_machine_is_left_out_of_the_settings(tmp_path: Path) -> None:
    from pixlate.convert.conversion import settings_digest
    from pixlate.inference.models import find

    model, plain = find("upscale-x2"), ConvertOptions()
    same = [plain, ConvertOptions(runtime="onnxruntime"), ConvertOptions(runtime="onnxruntime", arithmetic="float32"), ConvertOptions(arithmetic="float32")]
    assert len({settings_digest(model, options) for options in same}) == 1
    other = [ConvertOptions(runtime="openvino", arithmetic=name) for name in ("float32", "bfloat16")]
    assert len({settings_digest(model, options) for options in [plain, *other]}) == 3
    assert settings_digest(model, ConvertOptions(runtime="openvino")) == settings_digest(model, other[0]), "what it computes in where nothing is named"


def test_the_trial_is_of_the_whole_chain(install: Install, source: Path) -> None:
    model = install()
    summary = converted(source, model, then=(model, str(model)))
    assert (summary.converted, summary.runtime, summary.arithmetic) == (4, "quick", "bfloat16")
    assert "at most 1 level from float32" in summary.choice  # each of three turns the picture round, and the one before it back
    assert converted(source, model, then=(model, model)).finished_before == 4


def test_a_runtime_that_does_not_take_every_model_of_a_chain_is_refused_by_name(install: Install, source: Path, onnx_model: Path) -> None:
    with pytest.raises(PixlateError, match=r"expected --runtime auto for nearest.onnx, got 'quick'"):
        converted(source, install(), then=(onnx_model,), runtime="quick")
