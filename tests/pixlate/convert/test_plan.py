"""Every output's name is settled, or the conversion refused, before anything is written."""

import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.pixlate.conftest import Run, folder, load, outputs, save, stamps, tree

import pixlate
from pixlate.convert import ConvertOptions
from pixlate.convert.plan import Plan, make_plan
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN
from pixlate.places import paths
from pixlate.places.local import LocalStore, locate
from pixlate.places.paths import identity
from pixlate.system.text import printable


def plan(*sources: Path, out: Path, **options: object) -> Plan:
    return make_plan([locate(source) for source in sources], locate(out), ConvertOptions(**options), BUILT_IN)  # type: ignore[arg-type]


def names(found: Plan) -> list[str]:
    return [job.name for job in found.jobs]


def test_a_folder_keeps_its_tree_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.jpg", "a/y.PNG", "c.TIFF", "a/b/c/d.webp"):
        save(tmp_path / "in" / name)
    assert names(plan(tmp_path / "in", out=tmp_path / "out")) == ["a/b/c/d.webp", "a/y.PNG", "a/z.jpg", "b.png", "c.TIFF"]


def test_hidden_and_other_files_are_counted_as_ignored(tmp_path: Path) -> None:
    for name in ("a.png", ".hidden.png", "._a.png", ".git/b.png"):
        save(tmp_path / name)
    for name in ("notes.txt", "movie.mp4", "README", "a.png.bak", ".DS_Store"):
        (tmp_path / name).write_text("x")
    found = plan(tmp_path, out=tmp_path / "out")
    assert names(found) == ["a.png"]
    assert found.ignored == {".txt": 1, ".mp4": 1, "without an ending": 1, ".bak": 1, "hidden": 3}  # a hidden folder is not entered


def test_several_sources_go_into_one_folder(tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.png")
    save(tmp_path / "two" / "sub" / "b.png")
    save(tmp_path / "c.png")
    found = plan(tmp_path / "one", tmp_path / "two", tmp_path / "c.png", out=tmp_path / "out")
    assert names(found) == ["a.png", "sub/b.png", "c.png"]


def test_a_file_named_by_hand_is_taken_even_where_it_is_hidden(tmp_path: Path) -> None:
    assert names(plan(save(tmp_path / ".a.png"), out=tmp_path / "out")) == [".a.png"]


def test_suffix_and_format_shape_the_name(tmp_path: Path) -> None:
    save(tmp_path / "cat.jpg")
    save(tmp_path / "dog.JPEG")
    save(tmp_path / "v1.2.png")
    assert names(plan(tmp_path, out=tmp_path / "o", suffix="_x4")) == ["cat_x4.jpg", "dog_x4.JPEG", "v1.2_x4.png"]
    found = plan(tmp_path, out=tmp_path / "o", format="jpeg")
    assert names(found) == ["cat.jpg", "dog.JPEG", "v1.2.jpg"]
    assert {job.format for job in found.jobs} == {"jpeg"}
    assert names(plan(tmp_path, out=tmp_path / "o", format="webp", suffix=".big")) == ["cat.big.webp", "dog.big.webp", "v1.2.big.webp"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png"]),
        ("**/*.png", ["a.png", "x/b.png", "x/y/c.png"]),
        ("x/*", ["b.png", "d.jpg"]),
        ("x/**", ["b.png", "d.jpg", "y/c.png"]),
        ("**/y/*", ["x/y/c.png"]),
        ("?/[bd].*", ["x/b.png", "x/d.jpg"]),
        ("*/*/*", ["x/y/c.png"]),
    ],
)
@pytest.mark.parametrize("relative", [True, False])
def test_a_glob_names_files_below_its_fixed_part(pattern: str, expected: list[str], relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "x/b.png", "x/d.jpg", "x/y/c.png", ".h/e.png"):
        save(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path)
    source = Path("in" if relative else tmp_path / "in") / pattern
    assert names(plan(source, out=tmp_path / "out")) == expected


def test_a_glob_agrees_with_pathlib(tmp_path: Path) -> None:
    folder(tmp_path / "in", 12)
    for pattern in ("*/00?.png", "**/*1.png", "[01]/*.png", "2/**/*"):
        expected = sorted(str(path) for path in (tmp_path / "in").glob(pattern) if path.is_file())
        assert sorted(job.source for job in plan(tmp_path / "in" / pattern, out=tmp_path / "out").jobs) == expected


def test_a_name_with_brackets_that_exists_is_no_glob(tmp_path: Path) -> None:
    save(tmp_path / "trip [2024]" / "a.png")
    assert names(plan(tmp_path / "trip [2024]", out=tmp_path / "out")) == ["a.png"]


def test_a_glob_does_not_read_the_output_folder_again(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "sub" / "b.png")
    for _ in range(2):
        run(tmp_path / "**" / "*.png", tmp_path / "out")
    assert sorted(outputs(tmp_path / "out")) == ["a.png", "sub/b.png"]


def test_a_folder_named_like_an_image_is_walked(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "x.png" / "a.png")
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert list(outputs(tmp_path / "out")) == ["x.png/a.png"]


def test_a_link_to_a_folder_above_is_reported_and_its_images_converted_once(tmp_path: Path) -> None:
    save(tmp_path / "in" / "sub" / "a.png")
    (tmp_path / "in" / "sub" / "loop").symlink_to(tmp_path / "in")
    for source in (tmp_path / "in", tmp_path / "in" / "**" / "*.png"):
        found = plan(source, out=tmp_path / "out")
        assert names(found) == ["sub/a.png"]
        [(path, reason)] = found.failures
        assert path.endswith("sub/loop")
        assert "link back" in reason


def test_the_walk_ends_on_many_link_loops(tmp_path: Path) -> None:
    """Two links to the folder itself are 2 to the power of 40 paths for who follows them."""
    save(tmp_path / "in" / "a.png")
    for name in ("x", "y", "z"):
        (tmp_path / "in" / name).symlink_to(".")
    assert len(plan(tmp_path / "in" / "**" / "*.png", out=tmp_path / "out").failures) == 3


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    assert names(plan(tmp_path / "in", out=tmp_path / "out")) == ["b.png", "link/a.png"]


def test_links_that_lead_nowhere_fail_alone(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "self.png").symlink_to("self.png")
    (tmp_path / "in" / "broken.png").symlink_to("nothing.png")
    summary = run(tmp_path / "in", tmp_path / "out")
    reasons = {Path(source).name: reason for source, reason in summary.failures}
    assert (summary.converted, summary.failed) == (1, 2)
    assert "link to a file that is not there" in reasons["broken.png"]
    assert "symbolic links" in reasons["self.png"]


def test_pipes_and_sockets_fail_alone_and_are_not_waited_for(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "good.png")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "in" / "s.png"))
        summary = run(tmp_path / "in", tmp_path / "out")
    assert (summary.converted, summary.failed) == (1, 2)
    assert all("a pipe, socket or device" in reason for _, reason in summary.failures)


AWKWARD = [
    "a b.png",
    "new\nline.png",
    "ünï © 日本.png",
    "e\u0301.png",
    "é.png",
    "-x.png",
    "'\"$(x).png",
    os.fsdecode(b"\xff.png"),
    "a.b.c.png",
    "tab\t.png",
    "💡.png",
]


def test_awkward_names_are_kept(tmp_path: Path, run: Run) -> None:
    for name in AWKWARD:
        Image.new("RGB", (4, 3)).save(tmp_path / "x.png")
        (tmp_path / "in" / name[0]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "x.png").rename(tmp_path / "in" / name[0] / name)
    summary = run(tmp_path / "in", tmp_path / "out", report=tmp_path / "report.json", sheet=tmp_path / "sheet.png")
    assert summary.exit_code == 0
    assert sorted(path.name for path in outputs(tmp_path / "out").values()) == sorted(AWKWARD)
    before = stamps(tmp_path / "out")
    assert run(tmp_path / "in", tmp_path / "out").finished_before == len(AWKWARD)
    assert stamps(tmp_path / "out") == before


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_name_prints_on_one_line(name: str) -> None:
    shown = printable(name)
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")


def test_two_inputs_for_one_output_are_refused_and_both_named(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "cat.jpg")
    save(tmp_path / "in" / "cat.png")
    before = tree(tmp_path)
    with pytest.raises(PixlateError, match=r"cat\.jpg and .*cat\.png would both give cat\.webp"):
        run(tmp_path / "in", tmp_path / "out", format="webp")
    assert tree(tmp_path) == before


def test_one_source_named_twice_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    with pytest.raises(PixlateError, match="would both give"):
        plan(path, path, out=tmp_path / "out")


def test_an_output_whose_name_is_a_folder_of_other_outputs_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "in" / "cat.jpg")
    save(tmp_path / "in" / "cat.png" / "deep" / "a.jpg")
    with pytest.raises(PixlateError, match=r"cat\.jpg would give a file, and .*a\.jpg a folder of the same name cat\.png"):
        plan(tmp_path / "in", out=tmp_path / "out", format="png")


def test_a_folder_of_outputs_is_told_from_files_that_sort_between_it_and_the_file_of_its_name(tmp_path: Path) -> None:
    for name in ("cat.jpg", "cat.png!.png", "cat.png-2.png", "cat.png/a.jpg"):
        save(tmp_path / "in" / name)
    with pytest.raises(PixlateError, match=r"cat\.jpg would give a file, and .*a\.jpg a folder of the same name cat\.png;"):
        plan(tmp_path / "in", out=tmp_path / "out", format="png")


def test_the_same_name_in_two_sources_is_refused_however_many_files_are_between(tmp_path: Path) -> None:
    for name in ("one/a.png", "one/b.png", "one/c.png", "two/0.png", "two/a/x.png", "two/b.png"):
        save(tmp_path / name)
    with pytest.raises(PixlateError, match=r"one/b\.png and .*two/b\.png would both give b\.png;"):
        plan(tmp_path / "one", tmp_path / "two", out=tmp_path / "out")


def test_names_that_differ_by_case_alone_are_two_files_here(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "a.png", seed=1)
    save(tmp_path / "in" / "A.png", seed=2)
    assert run(tmp_path / "in", tmp_path / "out").converted == 2


@pytest.mark.parametrize(("first", "second"), [("a.png", "A.png"), ("é.png", "e\u0301.png"), ("x/a.png", "X/a.png")])
def test_names_that_differ_by_case_alone_are_refused_on_a_case_insensitive_disk(
    first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "in" / first)
    save(tmp_path / "in" / second)
    monkeypatch.setattr(LocalStore, "folds_case", lambda store: True)
    with pytest.raises(PixlateError, match=r"would both give .* case-insensitive"):
        plan(tmp_path / "in", out=tmp_path / "out")


def test_a_disk_that_folds_case_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates such a disk by finding ``NAME`` for ``name`` where a path is looked up."""
    (tmp_path / "name").touch()
    assert not paths.folds_case(tmp_path / "not" / "there")
    real = identity
    monkeypatch.setattr(paths, "identity", lambda path: real(Path(path).with_name(Path(path).name.lower())))
    assert paths.folds_case(tmp_path / "not" / "there")


def test_the_output_inside_the_source_is_not_read_on_a_second_run(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 4)
    (source / "again").symlink_to("out")
    for _ in range(2):
        summary = run(source, source / "out")
    assert (summary.planned, summary.finished_before) == (4, 4)
    assert len(outputs(source / "out")) == 4


@pytest.mark.parametrize("way", ["same", "link", "dots", "slash"])
def test_a_source_that_is_the_output_is_refused(way: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "in", 2)
    (tmp_path / "link").symlink_to(source)
    out = {"same": source, "link": tmp_path / "link", "dots": source / "0" / "..", "slash": Path(f"{source}/")}[way]
    before = tree(tmp_path)
    with pytest.raises(PixlateError, match="other than the source"):
        plan(source, out=out)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("way", ["file", "glob", "name", "link"])
def test_an_image_that_would_be_replaced_by_its_own_conversion_is_refused(way: str, tmp_path: Path) -> None:
    path = save(tmp_path / "in" / "a.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    source, out = {
        "file": (path, path.parent),
        "glob": (path.parent / "*.png", path.parent),
        "name": (path, path.parent / ".." / "in" / "a.png"),
        "link": (path, tmp_path / "link"),
    }[way]
    with pytest.raises(PixlateError, match="replaced by its own conversion"):
        plan(source, out=out, on_exists="overwrite")


def test_an_image_that_another_conversion_would_replace_is_refused(tmp_path: Path) -> None:
    sources = [save(tmp_path / "a.png"), save(tmp_path / "a_x.png")]
    with pytest.raises(PixlateError, match=r"a_x\.png is to be converted, but the conversion of .*a\.png would take its name"):
        plan(*sources, out=tmp_path, suffix="_x", on_exists="overwrite")


def test_outputs_beside_their_sources_are_not_converted_again(tmp_path: Path, run: Run) -> None:
    """``pixlate convert photos/*.png photos --suffix _x`` twice: the shell names the outputs as sources the second time."""
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    for count, ignored in ((2, 0), (2, 2)):
        summary = run(sorted(tmp_path.glob("*.png")), tmp_path, suffix="_x")
        assert (summary.planned, sum(summary.ignored.values()), summary.exit_code) == (count, ignored, 0)
    assert sorted(outputs(tmp_path)) == ["a.png", "a_x.png", "b.png", "b_x.png", "stand-in.model"]


def test_an_output_named_alone_is_converted_again_when_asked(tmp_path: Path, run: Run) -> None:
    run(save(tmp_path / "a.png", 3, 4), tmp_path, suffix="_x")
    assert run(tmp_path / "a_x.png", tmp_path, suffix="_x").converted == 1
    assert load(tmp_path / "a_x_x.png").size == (16, 12)


@pytest.mark.parametrize("option", ["report", "sheet"])
def test_a_report_or_sheet_never_takes_the_place_of_an_image_or_output(option: str, tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "in" / "a.png")
    before = tree(tmp_path)
    for path, what in ((source, "an image"), (tmp_path / "out" / "a.png", "an output")):
        with pytest.raises(PixlateError, match=f"--{option} .* would take the place of {what}"):
            run(tmp_path / "in", tmp_path / "out", **{option: path})
    with pytest.raises(PixlateError, match="two files for --report and --sheet"):
        ConvertOptions(report=Path("x.png"), sheet=Path("x.png"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("option", ["report", "sheet"])
def test_a_report_or_sheet_never_takes_the_place_of_journal_folder_model_link_or_pipe(option: str, tmp_path: Path, run: Run) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "stand-in.model").write_bytes(b"a model")
    (tmp_path / "link.png").symlink_to("elsewhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    before = tree(tmp_path)
    places = {
        tmp_path / "out" / ".pixlate" / "journal.png": "output folder or of its journal",
        tmp_path / "stand-in.model": "place of the model|name a .png file",
        tmp_path / "link.png": "link, device or pipe",
        tmp_path / "pipe.png": "link, device or pipe",
        Path(): "to name a file|name a .png file",
    }
    for path, what in places.items():
        with pytest.raises(PixlateError, match=what):
            run(tmp_path / "in", tmp_path / "out", **{option: path})
    assert tree(tmp_path) == before


def test_a_misspelled_name_for_a_single_output_is_refused_where_it_would_become_a_folder(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "a.png")
    with pytest.raises(PixlateError, match=r"big\.jpgg does not end as an image's .*fix it, or make a folder of that name first"):
        run(source, tmp_path / "big.jpgg")
    (tmp_path / "photos.old").mkdir()
    assert run(source, tmp_path / "photos.old").converted == 1
    assert run(source, tmp_path / "version-1.2").converted == 1


def test_a_single_file_goes_into_a_file_of_the_format_of_its_suffix(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "a.png", 5, 7)
    assert run(source, tmp_path / "new" / "b.jpg").converted == 1
    image = load(tmp_path / "new" / "b.jpg")
    assert (image.format, image.size) == ("JPEG", (14, 10))
    assert run(source, tmp_path / "new" / "b.jpg").finished_before == 1


def test_a_single_file_without_a_suffix_is_converted_to_the_format_of_the_output(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "a.png").rename(tmp_path / "photo")
    assert run(source, tmp_path / "b.tif").converted == 1
    with pytest.raises(PixlateError, match="--format"):
        run(source, tmp_path / "out")


def test_a_single_file_goes_into_a_folder_that_is_named_like_an_image(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    assert names(plan(save(tmp_path / "a.png"), out=tmp_path / "out.png")) == ["a.png"]


def test_a_single_broken_link_makes_no_folder_named_like_the_output(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.png").symlink_to("nothing")
    assert run(tmp_path / "a.png", tmp_path / "b.png").failed == 1
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(("options", "message"), [({"format": "jpeg"}, "says png, but --format says jpeg"), ({"suffix": "_x"}, "--suffix")])
def test_options_that_contradict_the_name_of_a_single_output_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=message):
        plan(save(tmp_path / "a.png"), out=tmp_path / "b.png", **options)


def test_nothing_found_says_where_and_among_how_many(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").touch()
    for source, count in ((tmp_path / "in", 1), (tmp_path / "*.jpg", 0), (tmp_path / "none" / "*.jpg", 0)):
        with pytest.raises(PixlateError, match=f"found none among {count} files"):
            plan(source, out=tmp_path / "out")


def test_nothing_found_since_everything_is_excluded_names_the_option_and_not_the_path(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.txt").touch()
    with pytest.raises(PixlateError, match=r"found none among 2 files \(left out: 1 \.txt, 1 by --exclude\); check --exclude$"):
        plan(tmp_path / "in", out=tmp_path / "out", exclude=("*.png",))


def test_the_name_of_one_image_for_the_outputs_of_several_is_refused_unless_it_is_a_folder(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png")
    for sources in ((tmp_path / "in",), (tmp_path / "in" / "*.png",), (tmp_path / "in" / "a.png", tmp_path / "in" / "b.png")):
        with pytest.raises(PixlateError, match=r"expected a folder for the output, got .*two\.png, which is named as one image; name a folder"):
            plan(*sources, out=tmp_path / "two.png")
    (tmp_path / "two.png").mkdir()
    assert len(plan(tmp_path / "in", out=tmp_path / "two.png").jobs) == 2


def test_a_missing_source_and_a_file_for_an_output_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="missing does not exist"):
        plan(tmp_path / "missing", out=tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(PixlateError, match="expected a folder for the output, got the file"):
        plan(folder(tmp_path / "in", 1), out=tmp_path / "file")


def test_names_too_long_for_the_disk_are_a_sentence(tmp_path: Path, run: Run) -> None:
    source = save(tmp_path / "in" / f"{'n' * 248}.png")
    save(tmp_path / "in" / "short.png")
    summary = run(source.parent, tmp_path / "out", suffix="_enlarged")
    assert (summary.converted, summary.failed) == (1, 1)
    assert "File name too long" in summary.failures[0][1]
    assert run(source.parent, tmp_path / "out2").converted == 2
    for call in (lambda: plan(tmp_path / ("x" * 300), out=tmp_path / "out"), lambda: run(source.parent, tmp_path / ("x" * 300))):
        with pytest.raises(PixlateError):
            call()


def test_a_tree_deeper_than_the_recursion_limit_is_converted(tmp_path: Path, run: Run) -> None:
    deep = tmp_path / "in"
    try:
        here = os.open(tmp_path, os.O_RDONLY)
        path = save(tmp_path / "a.png")
        parts = ["d"] * 1200
        subprocess.run(["mkdir", "-p", deep.joinpath(*parts)], check=True)
        path.rename(deep.joinpath(*parts, "a.png"))
        os.close(here)
        assert run(deep, tmp_path / "out").converted == 1
        assert run(deep / "**" / "*.png", tmp_path / "out").finished_before == 1
        assert tmp_path.joinpath("out", *parts, "a.png").is_file()
    finally:
        subprocess.run(["rm", "-rf", deep, tmp_path / "out"], check=True)  # shutil would recurse


def test_a_folder_that_may_not_be_read_is_reported_and_the_others_converted(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "closed" / "b.png")
    real: Callable[[str], object] = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    summary = run(tmp_path / "in", tmp_path / "out")
    assert (summary.converted, summary.failed, summary.exit_code) == (1, 1, 1)
    assert "the folder cannot be read (Permission denied)" in summary.failures[0][1]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: pixlate.load(5), "expected a model's name or the path of a file, got 5"),  # type: ignore[arg-type]
        (lambda: pixlate.convert(5, "out", "upscale-x2"), "expected a source to be a path or a URL, got 5"),  # type: ignore[arg-type]
        (lambda: pixlate.convert(["a", None], "out", "upscale-x2"), "expected a source to be a path or a URL, got None"),  # type: ignore[list-item]
        (lambda: pixlate.convert("a", 7, "upscale-x2"), "expected the output folder to be a path or a URL, got 7"),  # type: ignore[arg-type]
        (lambda: pixlate.ConvertOptions(set=["hair=blond"]), "expected --set to be a list of texts, in Python as a tuple, got ['hair=blond']"),  # type: ignore[arg-type]
        (lambda: pixlate.ConvertOptions(mask="masks"), "expected --mask to be a path (in Python a pathlib.Path) or nothing, got 'masks'"),  # type: ignore[arg-type]
    ],
)
def test_values_of_wrong_types_are_refused_with_the_type_to_give(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        call()


def test_a_suffix_longer_than_a_name_is_refused_before_the_start() -> None:
    with pytest.raises(PixlateError, match="expected --suffix of at most 200 bytes, got 300"):
        ConvertOptions(suffix="é" * 150)
