"""What is no source: outputs of earlier conversions, what --exclude names, and what is over --limit."""

import shutil
from pathlib import Path

import pytest
from tests.pixlate.conftest import Run, folder, outputs, save

from pixlate.convert import ConvertOptions
from pixlate.convert.conversion import settings_digest
from pixlate.errors import PixlateError
from pixlate.places.paths import is_excluded


def test_outputs_of_an_earlier_conversion_below_the_source_are_left_out_and_their_folder_is_named(tmp_path: Path, run: Run) -> None:
    nest = save(tmp_path / "nest" / "a.png").parent
    save(nest / "b" / "c.png")
    run(nest, nest / "deep" / "out")
    summary = run(nest, nest / "out2")
    assert sorted(outputs(nest / "out2")) == ["a.png", "b/c.png"]
    assert summary.ignored == {f"outputs of an earlier conversion in {nest / 'deep' / 'out'}": 2}
    assert run(f"{nest}/**/*.png", nest / "out3").ignored[f"outputs of an earlier conversion in {nest / 'out2'}"] == 2
    assert sorted(outputs(nest / "out3")) == ["a.png", "b/c.png"]


def test_an_output_folder_that_is_named_is_converted_for_chains(tmp_path: Path, run: Run) -> None:
    first = save(tmp_path / "nest" / "a.png").parent
    run(first, first / "out")
    assert run(first / "out", tmp_path / "chained").converted == 1
    assert run(first / "out" / "a.png", tmp_path / "single").converted == 1


def test_a_users_own_files_beside_outputs_stay_sources(tmp_path: Path, run: Run) -> None:
    """A single file converted into a folder of photographs leaves a journal there."""
    photos = save(tmp_path / "all" / "photos" / "cat.png").parent
    save(photos / "dog.png", seed=1)
    run(photos / "cat.png", photos / "cat_large.png")
    summary = run(tmp_path / "all", tmp_path / "out")
    assert sorted(outputs(tmp_path / "out")) == ["photos/cat.png", "photos/dog.png"]
    assert summary.ignored == {f"outputs of an earlier conversion in {photos}": 1}


def test_a_journal_below_the_source_that_is_a_link_is_reported_and_not_followed(tmp_path: Path, run: Run) -> None:
    nest = save(tmp_path / "nest" / "a.png").parent
    run(nest, nest / "out")
    shutil.move(nest / "out" / ".pixlate", tmp_path / "elsewhere")
    (nest / "out" / ".pixlate").symlink_to(tmp_path / "elsewhere")
    summary = run(nest, tmp_path / "out2")
    assert [path for path, _ in summary.failures] == [str(nest / "out")]
    assert "cannot be told from images to convert" in summary.failures[0][1]


def run_folder(path: Path) -> Path:
    """Write a run folder of training with a sheet of samples."""
    save(path / "samples" / "step-00000100.png")
    (path / "options.toml").write_text("[train.cyclegan]\nsteps = 1000\n")
    return path


def test_samples_of_a_run_of_training_below_the_source_are_left_out_and_the_run_is_named(tmp_path: Path, run: Run) -> None:
    nest = save(tmp_path / "nest" / "a.png").parent
    first = run_folder(nest / "runs" / "first")
    save(nest / "runs" / "b.png")
    save(nest / "other" / "options.toml.png")
    (nest / "other" / "options.toml").write_text("colour = 'of another program'\n")
    summary = run(nest, tmp_path / "out")
    assert sorted(outputs(tmp_path / "out")) == ["a.png", "other/options.toml.png", "runs/b.png"]
    assert summary.ignored == {f"of the run of training in {first}": 1, ".toml": 2}
    assert run(f"{nest}/**/*.png", tmp_path / "out2").ignored == {f"of the run of training in {first}": 1}


def test_a_run_folder_that_is_named_is_converted(tmp_path: Path, run: Run) -> None:
    first = run_folder(tmp_path / "first")
    assert run(first, tmp_path / "out").converted == 1
    assert run(first / "samples", tmp_path / "out2").converted == 1
    assert run(first / "samples" / "step-00000100.png", tmp_path / "out3").converted == 1


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.png", ["a.jpg", "drafts/b.jpg", "x/drafts/c.jpg"]),
        ("drafts", ["a.jpg", "a.png", "x/d.png"]),
        ("drafts/", ["a.jpg", "a.png", "x/d.png"]),
        ("x/*.png", ["a.jpg", "a.png", "drafts/b.jpg", "x/drafts/c.jpg"]),
        ("/drafts", ["a.jpg", "a.png", "x/d.png", "x/drafts/c.jpg"]),
        ("**/c.jpg", ["a.jpg", "a.png", "drafts/b.jpg", "x/d.png"]),
        ("x/dr*", ["a.jpg", "a.png", "drafts/b.jpg", "x/d.png"]),
    ],
)
def test_exclude_leaves_out_names_anywhere_or_paths_below_the_source(pattern: str, left: list[str], tmp_path: Path, run: Run) -> None:
    names = ["a.jpg", "a.png", "drafts/b.jpg", "x/drafts/c.jpg", "x/d.png"]
    for name in names:
        save(tmp_path / "in" / name)
    summary = run(tmp_path / "in", tmp_path / "out", exclude=(pattern,))
    assert sorted(outputs(tmp_path / "out")) == left
    assert summary.ignored == {"by --exclude": len(names) - len(left)}


def test_several_globs_exclude_and_what_cannot_be_read_there_is_no_failure(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 6)
    (source / "1" / "again").symlink_to("..")
    assert run(source, tmp_path / "all").failed == 1
    summary = run(source, tmp_path / "out", exclude=("again", "0*.txt", "000.png"))
    assert (summary.converted, summary.failed, summary.ignored) == (5, 0, {"by --exclude": 2})


def test_an_exclude_that_matches_nothing_is_said(tmp_path: Path, run: Run) -> None:
    summary = run(folder(tmp_path / "in", 2), tmp_path / "out", exclude=("in/1",))
    assert summary.converted == 2
    assert summary.cautions == ["--exclude in/1 has left nothing out; a glob with a slash is a path below the source folder"]
    with pytest.raises(PixlateError, match="expected a glob for --exclude, got an empty one"):
        ConvertOptions(exclude=("/",))


def test_a_named_file_is_excluded_too(tmp_path: Path, run: Run) -> None:
    files = [save(tmp_path / name) for name in ("a.png", "b.png")]
    assert run([*files], tmp_path / "out", exclude=("b.*",)).converted == 1
    assert not is_excluded(("a.png",), ("b.*", "x/a.png"))


def test_limit_takes_the_first_names_and_counts_the_rest(tmp_path: Path, run: Run) -> None:
    source = folder(tmp_path / "in", 7)
    summary = run(source, tmp_path / "out", limit=3)
    assert (summary.planned, summary.converted, summary.exit_code, summary.ignored) == (3, 3, 0, {"by --limit": 4})
    assert sorted(outputs(tmp_path / "out")) == ["0/000.png", "0/003.png", "0/006.png"]
    assert run(source, tmp_path / "out").finished_before == 3
    assert run(source, tmp_path / "out", limit=7).ignored == {}
    with pytest.raises(PixlateError, match="--limit of at least 0, got -1"):
        ConvertOptions(limit=-1)


def test_bucket_is_a_setting_of_the_outputs_where_it_is_given(tmp_path: Path, run: Run) -> None:
    source, out = folder(tmp_path / "in", 2), tmp_path / "out"
    run(source, out)
    assert run(source, out, bucket="auto").finished_before == 2
    summary = run(source, out, bucket=32)
    assert summary.failed == 2 and "made with another model or other options" in summary.failures[0][1]
    digests = {settings_digest(source / "0" / "000.png", ConvertOptions(bucket=bucket)) for bucket in ("auto", "off", 16, 32)}
    assert len(digests) == 4
