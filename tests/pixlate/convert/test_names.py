"""``--name``: outputs named by a template; what cannot be is refused before anything is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pixlate.conftest import Run, folder, outputs, save, write_onnx

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.errors import PixlateError


@pytest.mark.parametrize(("template", "options", "made"), [
    ("{stem}@2x{suffix}", {}, {"b.x@2x.PNG", "below/a@2x.png"}),
    ("{stem}@2x{suffix}", {"format": "jpg"}, {"b.x@2x.jpg", "below/a@2x.jpg"}),
    ("{number:04}{suffix}", {}, {"0001.PNG", "below/0002.png"}),
    ("{stem}-{model}-{number}{suffix}", {}, {"b.x-stand-in-1.PNG", "below/a-stand-in-2.png"}),
    ("{stem:.1}_{{x}}.png", {"format": "png"}, {"b_{x}.png", "below/a_{x}.png"}),
])  # fmt: skip
def test_outputs_are_named_by_the_template(template: str, options: dict[str, Any], made: set[str], tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in/b.x.PNG")
    save(tmp_path / "in/below/a.png")
    assert run(tmp_path / "in", tmp_path / "out", name=template, **options).converted == 2
    assert set(outputs(tmp_path / "out")) == made
    assert run(tmp_path / "in", tmp_path / "out", name=template, **options).finished_before == 2


def test_numbers_follow_the_names_and_leave_out_what_is_left_out(tmp_path: Path, run: Run) -> None:
    for name in ("c", "a", "b", "d"):
        save(tmp_path / f"in/{name}.png", seed=ord(name))
    run(tmp_path / "in", tmp_path / "out", name="{number}-{stem}{suffix}", exclude=("b.png",), limit=2)
    assert set(outputs(tmp_path / "out")) == {"1-a.png", "2-c.png"}


def test_a_chain_is_named_by_all_of_its_models(tmp_path: Path, onnx_model: Path) -> None:
    second = write_onnx(tmp_path / "other.v2.onnx", None)
    pixlate.convert(save(tmp_path / "in/a.png"), tmp_path / "out", onnx_model, then=(second,), name="{stem} {model}{suffix}", device="cpu")
    assert set(outputs(tmp_path / "out")) == {"a nearest+other.v2.png"}


def test_a_ready_model_has_its_name(tmp_path: Path) -> None:
    pixlate.convert(save(tmp_path / "in/a.png"), tmp_path / "out", "upscale-x2", name="{model}{suffix}", device="cpu")
    assert set(outputs(tmp_path / "out")) == {"upscale-x2.png"}


@pytest.mark.parametrize(("template", "said"), [
    ("{stem}@{scale}x{suffix}", "expected --name with the fields {stem}, {suffix} (with its dot), {model} and {number}, got {scale}; use one of these"),
    ("{stem.__class__}{suffix}", "got {stem.__class__}; use one of these"),
    ("{stem!r}{suffix}", "got {stem!r}; use one of these"),
    ("{}{suffix}", "got {}; use one of these"),
    ("{stem}{", "got '{stem}{' (Single '{' encountered in format string); write braces of the name itself twice"),
    ("{stem:04d}{suffix}", "expected formats that fit the fields of --name, such as {number:04}"),
    ("{number:99999999}{suffix}", "expected a short format after the colon of a field of --name, such as {number:04}, got '99999999'"),
    ("{number:{stem}}{suffix}", "expected a short format after the colon"),
    ("{stem}{number:c}{suffix}", "expected a format of --name that writes a number in digits, such as {number:04}, got {number:c}; leave out the c"),
    ("x/{stem}{suffix}", "expected --name to name a file, without slashes, got 'x/{stem}{suffix}'; write: --name '{stem}@2x{suffix}'"),
    ("..\\{stem}{suffix}", "expected --name to name a file, without slashes"),
    ("..", "expected --name to name a file"),
    ("", "expected --name to name a file, without slashes, got ''; write: --name '{stem}@2x{suffix}'"),
    (" ", "expected --name to name a file"),
])  # fmt: skip
def test_a_template_that_names_nothing_is_a_sentence(template: str, said: str) -> None:
    with pytest.raises(PixlateError) as refused:
        ConvertOptions(name=template)
    assert said in str(refused.value)


def test_names_that_clash_are_refused_before_the_start(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 2)
    for path in source.rglob("*.png"):
        path.rename(source / path.name)
    with pytest.raises(PixlateError, match=r"would both give x.png.*\{stem\} or \{number\} in --name"):
        run(source, tmp_path / "out", name="x{suffix}")
    assert not (tmp_path / "out").exists()


def test_a_template_that_ends_as_another_format_is_refused(tmp_path: Path, run: Run) -> None:
    for template in ("{stem}.png", "{stem}"):
        with pytest.raises(PixlateError, match=r"expected --name to end as the format of the output of .*a.jpg \(.jpg\), got a(.png)?; end it with \{suffix\}"):
            run(save(tmp_path / "in/a.jpg"), tmp_path / "out", name=template)
    assert not (tmp_path / "out").exists()


def test_template_and_suffix_exclude_each_other_and_a_full_name_both(tmp_path: Path, use: Callable[..., Path], run: Run) -> None:
    with pytest.raises(
        PixlateError, match=r"expected one of --name and --suffix, got both; write the suffix into the template: --name '\{stem\}_x2\{suffix\}'"
    ):
        ConvertOptions(name="{stem}{suffix}", suffix="_x2")
    with pytest.raises(PixlateError, match=r"--name makes the names in an output folder, but .*out.png is named in full; leave it out"):
        run(save(tmp_path / "a.png"), tmp_path / "out.png", name="{stem}{suffix}")


def test_a_name_that_no_file_system_holds_is_refused(tmp_path: Path, run: Run) -> None:
    with pytest.raises(PixlateError, match="expected names of at most 255 bytes of --name, got 'aaa"):
        run(save(tmp_path / "in/a.png"), tmp_path / "out", name=f"{'a' * 250}{{stem}}{{suffix}}{{suffix}}")


def test_outputs_beside_their_sources_are_no_sources_of_the_next_run(tmp_path: Path, run: Run) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png")
    images = str(tmp_path / "*.png")
    assert run(images, tmp_path, name="{stem}@2x{suffix}").converted == 3
    assert run(images, tmp_path, name="{stem}@2x{suffix}").finished_before == 3
    with pytest.raises(PixlateError, match="would be replaced by its own conversion; give --suffix"):
        run(images, tmp_path, name="{stem}{suffix}")


def test_names_of_python_are_those_of_the_command(tmp_path: Path, onnx_model: Path) -> None:
    assert convert(save(tmp_path / "in/a.png"), tmp_path / "out", onnx_model, ConvertOptions(name="{stem}x{suffix}", device="cpu")).converted == 1
    assert (tmp_path / "out/ax.png").exists()
