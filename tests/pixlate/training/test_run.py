"""A run folder's options and log."""

import json
import tomllib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from pixlate.data.kinds import degraded
from pixlate.errors import PixlateError
from pixlate.options import DegradedOptions, TrainingOptions, since
from pixlate.options.degraded import SECOND_ORDER
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.runs.folder import OPTIONS
from pixlate.training.run import Log, RunOptions

METHODS = installed().offered(Method)
CHANGED: dict[str, Any] = {
    "network": "msrresnet",
    "tail": "direct",
    "objective": "hinge",
    "pixel": "l1",
    "jpeg": 50,
    "jpeg_most": 80,
    "optimizer": "lion",
    "weights": (3.0, 1.0),
    "schedule": "step",
    "milestones": (0.25, 1 / 3),
    "steps": 0,
    "epochs": 7,
    "average_decay": 0.123456789,
    "learning_rate": 1 / 3e4,
    "perceptual_layer": "conv1_2",
    "perceptual_layers": ("conv1_2",),
    "device": "cuda",
    "accumulate": 4,
    "batch": 32,
    "augment": ("color", "cutout"),
    "start_from": 'runs/"old" ü',
    "discriminator": "patch",
}
"""Values of fields whose others below would be refused, or are worth having."""


def other(owner: type[Any]) -> Any:
    """Return options of a dataclass that all differ from its defaults."""
    values = {item.name: CHANGED[item.name] if item.name in CHANGED else another(item.name, item.default) for item in fields(owner)}
    return owner(**{name: value for name, value in values.items() if name not in LEFT})


LEFT = {
    "perceptual",
    "perceptual_layers",
    "stages",
    "schedule",
    "pixel_share",
    "periods",
    "patience",
    "scale",
    "damaged",
    "precision",
    "decay_epochs",
    "unroll",
    "schedule_end",
    "depth",
    "groups",
    "heads",
    "window",
    "degradation",
    *SECOND_ORDER,
}
"""Fields that belong to other choices than these, or take none but a few values."""


def another(name: str, default: Any) -> Any:
    if isinstance(default, bool):
        return not default
    if isinstance(default, tuple):
        return tuple(value / 2 for value in default)
    if isinstance(default, str):
        return f"{default}x"
    return default * 2 if isinstance(default, int) and default > 1 else 0.5 if isinstance(default, float) else 2


def test_every_option_comes_back_from_the_run_folder(tmp_path: Path) -> None:
    folders = (Path("/photos/1"), Path("/photos/zwei ü"))
    method = METHODS["srgan"]
    options = RunOptions(method, other(method.options), folders, other(method.data.options), other(method.training))
    for part in (options.method_options, options.data, options.training):
        same = {item.name for item in fields(part) if getattr(part, item.name) == item.default}
        assert same <= LEFT, "each is another value than the default"
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, METHODS) == options


@pytest.mark.parametrize("name", ["srgan", "pix2pix", "cyclegan", "cut", "stargan"])
def test_defaults_of_every_method_come_back_from_the_run_folder(name: str, tmp_path: Path) -> None:
    method = METHODS[name]
    options = RunOptions(method, method.options(), (Path("/a"), Path("/b")), method.data.options(), method.training())
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, METHODS) == options


@dataclass(frozen=True)
class Optional:
    depth: int | None = None
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("values", [Optional(), Optional(3, ("a", "b"))])
def test_optional_values_of_a_plugin_come_back(values: Optional, tmp_path: Path) -> None:
    method = Method("toy", "for tests", degraded, Optional, lambda options: None)  # type: ignore[arg-type,return-value]
    options = RunOptions(method, values, (), DegradedOptions(), TrainingOptions())
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, {"toy": method}) == options


def changed(tmp_path: Path, **values: Any) -> Path:
    """Return a run folder with some lines of its options replaced."""
    method = METHODS["srgan"]
    RunOptions(method, method.options(), (tmp_path,), method.data.options(), method.training()).save(tmp_path)
    lines = [line for line in (tmp_path / OPTIONS).read_text().splitlines() if line.partition(" = ")[0] not in values]
    (tmp_path / OPTIONS).write_text("\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in values.items())]))
    return tmp_path


def test_option_that_the_method_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"options\.toml: srgan has no option stepz; fix the file"):
        RunOptions.load(changed(tmp_path, stepz=3), METHODS)


def test_option_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="--steps to be a whole number, got 'many'"):
        RunOptions.load(changed(tmp_path, steps="many"), METHODS)


@pytest.mark.parametrize("named", [True, False])
def test_run_whose_range_of_penalties_nothing_reads_goes_on(named: bool, tmp_path: Path) -> None:
    method = METHODS["pix2pix"]
    RunOptions(method, method.options(), (tmp_path,), method.data.options(), method.training()).save(tmp_path)
    text = (tmp_path / OPTIONS).read_text()
    assert 'penalty_range = "symmetric"\n' in text
    (tmp_path / OPTIONS).write_text(text.replace('penalty_range = "symmetric"\n', 'penalty_range = "unit"\n' if named else ""))
    assert RunOptions.load(tmp_path, METHODS).method_options.penalty_range == "unit"


def test_method_that_builds_no_gan_is_named(tmp_path: Path) -> None:
    method = replace(installed().offered(Method)["srgan"], build=lambda options: 7)  # type: ignore[arg-type, return-value]
    with pytest.raises(PixlateError, match=r"method 'srgan': expected build to return a pixlate\.GAN, got int; change it in the plugin"):
        RunOptions(method, method.options(), (tmp_path,), method.data.options(), method.training()).build()


def test_run_of_a_method_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"by the method 'srgan', installed are \['other'\]; install the plugin"):
        RunOptions.load(changed(tmp_path), {"other": replace(METHODS["srgan"], name="other")})


@pytest.mark.parametrize(
    "text", [None, "", "train", "train = 3", "[train]", "[train.srgan]\nsteps = 3", "[train]\nsrgan = 3", "[other]", "[train.a]\n[train.b]"]
)
def test_folder_without_readable_options_is_not_a_run(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / OPTIONS).write_text(text)
    with pytest.raises(PixlateError, match=r"expected a run folder with options\.toml, but .* has none that can be read .*; name the folder given to --out"):
        RunOptions.load(tmp_path, METHODS)


def test_options_are_toml_with_one_table_for_the_method(tmp_path: Path) -> None:
    changed(tmp_path)
    table = tomllib.loads((tmp_path / OPTIONS).read_text())
    assert list(table) == ["listing", "train"] and list(table["train"]) == ["srgan"] and table["train"]["srgan"]["folders"] == [str(tmp_path)]


def test_log_is_one_json_object_per_line_and_is_appended_to(tmp_path: Path) -> None:
    for step in (1, 2):
        with closing(Log(tmp_path, step - 1)) as log:
            log.write("losses", step, pixel=0.5)
            last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
            assert last == {"kind": "losses", "step": step, "pixel": 0.5}, "flushed at once"
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def test_log_drops_lines_of_steps_after_the_checkpoint_that_is_resumed(tmp_path: Path) -> None:
    with closing(Log(tmp_path)) as log:
        for step in range(1, 6):
            log.write("losses", step, pixel=0.5)
    whole = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(whole + '{"kind": "losses", "st')
    Log(tmp_path, 3).close()
    assert (tmp_path / "log.jsonl").read_text() == "".join(whole.splitlines(keepends=True)[:3])
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_options_that_change_no_weight_may_differ_and_others_are_listed(tmp_path: Path) -> None:
    method = METHODS["pix2pix"]
    options = RunOptions(method, method.options(), (tmp_path,), method.data.options(), method.training())
    before = json.loads(json.dumps(options.state()))
    free = replace(options, data=replace(options.data, workers=7, cache=1))
    free = replace(free, training=replace(options.training, device="cpu", keep=9, log_every=3, checkpoint_every=4))
    free.require_same(before, tmp_path)
    other_options = replace(options, training=replace(options.training, learning_rate=1e-3), method_options=replace(options.method_options, l1_weight=50.0))
    with pytest.raises(
        PixlateError,
        match=r"l1_weight was 100\.0 and is 50\.0; learning_rate was 0\.0002 and is 0\.001; undo this in .*options.toml, or start a new run with --start-from",
    ):
        other_options.require_same(before, tmp_path)
    srgan = METHODS["srgan"]
    with pytest.raises(PixlateError, match="method was 'pix2pix' and is 'srgan'"):
        RunOptions(srgan, srgan.options(), (tmp_path,), srgan.data.options(), srgan.training()).require_same(before, tmp_path)


@dataclass(frozen=True)
class Grown:
    """Options of a method that gained one and lost one."""

    depth: int = 3
    kernel: Literal["large", "small"] = since("large", before="small")
    sides: tuple[int, ...] = (4, 4)
    GONE: ClassVar[Mapping[str, str]] = {"tables": "the tables are always used"}


GROWN = Method("toy", "for tests", degraded, Grown, lambda options: None)  # type: ignore[arg-type,return-value]


def write_old(tmp_path: Path, *lines: str) -> dict[str, Any]:
    """Write the options of a run that knows neither ``kernel`` nor ``sides``; return what its checkpoints hold of them."""
    RunOptions(GROWN, Grown(), (tmp_path,), DegradedOptions(), TrainingOptions()).save(tmp_path)
    kept = [line for line in (tmp_path / OPTIONS).read_text().replace("sides = [\n    4,\n    4,\n]\n", "").splitlines() if not line.startswith("kernel")]
    (tmp_path / OPTIONS).write_text("\n".join([*kept, *lines]))
    return {"method": "toy", **tomllib.loads((tmp_path / OPTIONS).read_text())["train"]["toy"]}


def test_option_missing_from_an_older_run_has_the_earlier_behaviour(tmp_path: Path) -> None:
    then = write_old(tmp_path)
    options = RunOptions.load(tmp_path, {"toy": GROWN})
    assert options.method_options == Grown(kernel="small") and Grown() == Grown(kernel="large")
    options.require_same(then, tmp_path)
    with pytest.raises(PixlateError, match="kernel was 'small' and is 'large'; undo this"):
        replace(options, method_options=Grown()).require_same(then, tmp_path)
    with pytest.raises(PixlateError, match=r"sides was \[4, 4\] and is \[4, 5\]; undo this"):
        replace(options, method_options=replace(options.method_options, sides=(4, 5))).require_same(then, tmp_path)
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, {"toy": GROWN}) == options, "and keeps it"


def test_option_that_is_gone_is_dropped_with_a_note(tmp_path: Path) -> None:
    then = write_old(tmp_path, "tables = true")
    with pytest.warns(UserWarning, match="the option tables = True of this run is gone: the tables are always used"):
        options = RunOptions.load(tmp_path, {"toy": GROWN})
    options.require_same(then, tmp_path)


def test_facts_come_back_and_must_stay_the_same(tmp_path: Path) -> None:
    options = RunOptions(GROWN, Grown(), (tmp_path,), DegradedOptions(), TrainingOptions(), {"domains": ["a", "b"]})
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, {"toy": GROWN}) == options
    with pytest.raises(PixlateError, match=r"facts was .*'a', 'b'.* and is .*'a', 'c'"):
        replace(options, facts={"domains": ["a", "c"]}).require_same(options.state(), tmp_path)
