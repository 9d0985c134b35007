"""Links planted in an output folder: none is followed, none is written through, and nothing that Pixlate did not write is deleted."""

import os
from pathlib import Path

import pytest
from tests.pixlate.conftest import Run, folder, outputs, save, tree

from pixlate.errors import PixlateError
from pixlate.places.local import LocalStore

LINK = "is a link, and Pixlate follows none that it finds where it writes; remove the link"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder with a file, elsewhere."""
    path = tmp_path / "precious"
    path.mkdir()
    (path / "abc0").write_bytes(b"precious")
    return path


@pytest.mark.parametrize("name", [".pixlate", ".pixlate/parts", ".pixlate/journal.jsonl", ".pixlate/journal.part"])
@pytest.mark.parametrize("target", ["precious", "precious/abc0", "nothing"])
def test_a_link_in_place_of_what_is_pixlates_own_is_refused_by_name(name: str, target: str, tmp_path: Path, precious: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(tmp_path / target)
    before = tree(tmp_path)
    if name.endswith("part"):  # met at the end, where the journal as it is serves as well
        assert run(source, out).converted == 2
        assert (out / name).is_symlink()
    else:
        with pytest.raises(PixlateError, match=f"{out / name} {LINK}"):
            run(source, out)
        assert tree(tmp_path) == before, "which a dry run says, too, and before the model is loaded"
        with pytest.raises(PixlateError, match=f"{out / name} {LINK}"):
            LocalStore(out).hold()
    assert tree(precious) == {"abc0": b"precious"}
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("on_exists", ["resume", "skip", "overwrite"])
def test_a_linked_folder_of_outputs_fails_its_files_alone(on_exists: str, tmp_path: Path, precious: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 3), tmp_path / "out"
    out.mkdir()
    (out / "1").symlink_to(precious)
    summary = run(source, out, on_exists=on_exists)
    assert (summary.converted, summary.failed) == (2, 1)
    assert summary.failures == [(str(source / "1" / "001.png"), f"{out / '1'} {LINK}, or name another folder")]
    assert tree(precious) == {"abc0": b"precious"}
    assert run(source, out / "new" / "..").failed == 1, "a dot-dot that the user writes is the user's"


def test_a_linked_output_is_replaced_itself_where_it_may_be_and_never_written_through(tmp_path: Path, precious: Path, run: Run) -> None:
    source, out = save(tmp_path / "in" / "a.png").parent, tmp_path / "out"
    out.mkdir()
    (out / "a.png").symlink_to(precious / "abc0")
    assert run(source, out).failures[0][1].startswith("the output exists and is not one of this conversion")
    assert run(source, out, on_exists="overwrite").converted == 1
    assert not (out / "a.png").is_symlink()
    assert tree(precious) == {"abc0": b"precious"}


def test_a_link_that_appears_while_a_folder_is_converted_is_not_followed(tmp_path: Path, precious: Path, run: Run) -> None:
    """The folders that were opened at the start are used to the end, whatever their paths lead to since."""
    source, out = folder(tmp_path / "in", 9), tmp_path / "out"

    def plant(report: object) -> None:
        if (home := out / ".pixlate").is_dir() and not home.is_symlink():
            home.rename(out / "moved")
            home.symlink_to(precious)

    run(source, out, watch=plant)
    assert tree(precious) == {"abc0": b"precious"}


def test_nothing_in_the_folder_of_parts_is_deleted_but_parts(tmp_path: Path, precious: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    parts = out / ".pixlate" / "parts"
    (parts / "mine").mkdir(parents=True)
    (parts / "photo.png").write_bytes(b"mine")
    (parts / "0123abcd").write_bytes(b"left by a killed conversion")
    (parts / "abcd").symlink_to(precious / "abc0")
    assert run(source, out).converted == 2
    assert sorted(path.name for path in parts.iterdir()) == ["abcd", "mine", "photo.png"]
    assert tree(precious) == {"abc0": b"precious"}


def test_a_journal_that_a_copy_of_hard_links_shares_is_continued_in_a_file_of_its_own(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    os.link(out / ".pixlate" / "journal.jsonl", tmp_path / "backup.jsonl")
    before = (tmp_path / "backup.jsonl").read_bytes()
    save(source / "new.png")
    assert (summary := run(source, out)).converted == 1
    assert summary.finished_before == 2
    assert (tmp_path / "backup.jsonl").read_bytes() == before
    assert run(source, out).finished_before == 3


@pytest.mark.parametrize("option", ["report", "sheet"])
@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe"])
def test_a_report_or_sheet_is_not_written_through_a_planted_name(option: str, kind: str, tmp_path: Path, precious: Path, run: Run) -> None:
    source, part = folder(tmp_path / "in", 1), tmp_path / ".result.png.part"
    match kind:
        case "link":
            part.symlink_to(precious / "abc0")
        case "dangling":
            part.symlink_to(tmp_path / "nothing")
        case "hard link":
            os.link(precious / "abc0", part)
        case _:
            os.mkfifo(part)
    with pytest.raises(PixlateError) as caught:
        run(source, tmp_path / "out", **{option: tmp_path / "result.png"})
    assert str(part) in str(caught.value)
    assert tree(precious) == {"abc0": b"precious"}
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "out").exists()


def test_a_report_left_by_a_killed_conversion_is_written_again(tmp_path: Path, run: Run) -> None:
    (tmp_path / ".report.json.part").write_text("half a repo" * 1000)
    assert run(folder(tmp_path / "in", 1), tmp_path / "out", report=tmp_path / "report.json").exit_code == 0
    assert (tmp_path / "report.json").read_text().endswith("}}\n")
    assert not (tmp_path / ".report.json.part").exists()


def test_a_journal_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, run: Run) -> None:
    (tmp_path / "out" / ".pixlate").mkdir(parents=True)
    os.mkfifo(tmp_path / "out" / ".pixlate" / "journal.jsonl")
    with pytest.raises(PixlateError, match=r"journal\.jsonl to be a file of Pixlate's own, got something else"):
        run(folder(tmp_path / "in", 1), tmp_path / "out")
    assert outputs(tmp_path / "out") == {}


@pytest.mark.parametrize("name", [".pixlate", ".pixlate/parts", ".pixlate/journal.jsonl", "1"])
def test_links_are_refused_where_folders_cannot_be_opened_too(name: str, tmp_path: Path, precious: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where paths are checked just before they are used."""
    monkeypatch.setattr("pixlate.system.folder._HANDLES", False)
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    assert run(source, tmp_path / "plain").converted == 2
    assert run(source, tmp_path / "plain").finished_before == 2
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(precious)
    if name == "1":
        assert run(source, out).failures[0][1].startswith(f"{out / '1'} {LINK}")
    else:
        with pytest.raises(PixlateError, match=f"{out / name} {LINK}"):
            run(source, out)
    assert tree(precious) == {"abc0": b"precious"}
