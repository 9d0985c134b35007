"""What ``make release-check`` tries, without trying it."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests import release


def test_each_extra_has_a_check_and_each_check_an_extra() -> None:
    assert set(release.CHECKS) == {release.BASE, *release.extras()}


def test_every_check_says_what_it_shows() -> None:
    assert all(shown and shown[0].islower() and not shown.endswith(".") for shown, _ in release.CHECKS.values())


def test_extra_that_there_is_none_of_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release.main(["vdeo"])
    assert "got vdeo" in capsys.readouterr().err


def test_extra_that_fails_is_reported_with_what_it_printed_and_the_others_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dist").mkdir()
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "build", lambda folder: (tmp_path / "pixlate.whl", folder))
    monkeypatch.setattr(
        release, "install", lambda place, wheel, extra: subprocess.run([sys.executable, "-m", "venv", "--without-pip", place.environment], check=True)
    )
    monkeypatch.setitem(release.CHECKS, "video", ("fails", lambda place: place.run("python", "-c", "raise SystemExit('no film')")))
    monkeypatch.setitem(release.CHECKS, "watch", ("works", lambda place: place.run("python", "-c", "print('seen')")))
    assert release.main(["video", "watch"]) == 1
    printed = capsys.readouterr().out
    assert "video      FAILED" in printed and "no film" in printed and "watch      ok" in printed and "failed: video; see dist/release-check/" in printed
    assert "seen" in (tmp_path / "dist/release-check/watch.txt").read_text()
