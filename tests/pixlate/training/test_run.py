"""A run folder's options and log."""

import json
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from pixlate.errors import PixlateError
from pixlate.method import Method
from pixlate.options import DataOptions, TrainingOptions
from pixlate.plugins import installed
from pixlate.training.run import OPTIONS, Log, RunOptions

METHODS = installed().methods()
OTHER: dict[str, Any] = {
    "scale": 3,
    "network": "msrresnet",
    "channels": 9,
    "blocks": 3,
    "tail": "direct",
    "pixel_weight": 2.5,
    "patch": 12,
    "rescale": (1.0, 0.3),
    "hold_out": 4,
    "steps": 77,
    "batch": 3,
    "learning_rate": 1 / 3e4,
    "betas": (0.5, 0.999),
    "schedule": "linear",
    "warm_up": 5,
    "average_decay": 0.1,
    "gradient_clip": 0.7,
    "precision": "bf16-mixed",
    "device": "cpu",
    "seed": 9,
    "validate_every": 11,
    "checkpoint_every": 12,
    "keep": 3,
    "log_every": 13,
    "start_from": 'runs/"old" ü',
}


def other(owner: type[Any]) -> Any:
    return owner(**{item.name: OTHER[item.name] for item in fields(owner)})


def test_every_option_comes_back_from_the_run_folder(tmp_path: Path) -> None:
    method = METHODS["srgan"]
    folders = (Path("/photos/1"), Path("/photos/zwei ü"))
    for options in (
        RunOptions(method, other(method.options), folders, other(method.data), other(method.training)),
        RunOptions(method, method.options(), folders, method.data(), method.training()),
    ):
        options.save(tmp_path)
        assert RunOptions.load(tmp_path, METHODS) == options


@dataclass(frozen=True)
class Optional:
    depth: int | None = None
    names: tuple[str, ...] = ()


@pytest.mark.parametrize("values", [Optional(), Optional(3, ("a", "b"))])
def test_optional_values_of_a_plugin_come_back(values: Optional, tmp_path: Path) -> None:
    method = Method("toy", "for tests", "degraded", Optional, lambda options: None)  # type: ignore[arg-type,return-value]
    options = RunOptions(method, values, (), DataOptions(), TrainingOptions())
    options.save(tmp_path)
    assert RunOptions.load(tmp_path, {"toy": method}) == options


def changed(tmp_path: Path, **values: Any) -> Path:
    """Return a run folder with some lines of its options replaced."""
    method = METHODS["srgan"]
    RunOptions(method, method.options(), (tmp_path,), method.data(), method.training()).save(tmp_path)
    lines = [line for line in (tmp_path / OPTIONS).read_text().splitlines() if line.partition(" = ")[0] not in values]
    (tmp_path / OPTIONS).write_text("\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in values.items())]))
    return tmp_path


def test_option_that_the_method_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"options\.toml: srgan has no option stepz; mend the file"):
        RunOptions.load(changed(tmp_path, stepz=3), METHODS)


def test_option_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="--steps to be a whole number, got 'many'"):
        RunOptions.load(changed(tmp_path, steps="many"), METHODS)


def test_run_of_a_method_that_is_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=r"by the method 'srgan', installed are \['other'\]; install the plugin"):
        RunOptions.load(changed(tmp_path), {"other": replace(METHODS["srgan"], name="other")})


@pytest.mark.parametrize(
    "text", [None, "", "train", "train = 3", "[train]", "[train.srgan]\nsteps = 3", "[train]\nsrgan = 3", "[other]", "[train.a]\n[train.b]"]
)
def test_folder_without_options_that_can_be_read_is_no_run(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / OPTIONS).write_text(text)
    with pytest.raises(PixlateError, match=r"expected a run folder with options\.toml, but .* has none that can be read .*; name the folder given to --out"):
        RunOptions.load(tmp_path, METHODS)


def test_options_are_toml_with_one_table_for_the_method(tmp_path: Path) -> None:
    changed(tmp_path)
    table = tomllib.loads((tmp_path / OPTIONS).read_text())
    assert list(table) == ["train"] and list(table["train"]) == ["srgan"] and table["train"]["srgan"]["folders"] == [str(tmp_path)]


def test_log_is_one_json_object_a_line_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    for step in (1, 2):
        with Log(tmp_path) as log:
            log.write(step=step, pixel=0.5)
            assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1]) == {"step": step, "pixel": 0.5}, "flushed at once"
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
