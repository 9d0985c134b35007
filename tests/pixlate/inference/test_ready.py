"""Ready models: versions of a name, and files that are made on first use."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

import pixlate
from pixlate.inference.models import find
from pixlate.inference.ready import named
from pixlate.plugin.manager import Plugins

Offers = Callable[..., None]


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> Offers:
    """Have these cards be the ready models."""

    def install(*cards: pixlate.ModelCard) -> None:
        offered = Plugins.offered
        found = {card.name: card for card in cards}
        monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: found if wanted is pixlate.ModelCard else offered(plugins, wanted))

    return install


@pytest.fixture
def versions(tmp_path: Path, offers: Offers) -> Path:
    """A model ``grade`` of version 3, with 1 and 2 beside it."""
    for name in ("grade", "grade@1", "grade@2"):
        (tmp_path / f"{name}.onnx").write_text(name)
    earlier = {number: tmp_path / f"grade@{number}.onnx" for number in (1, 2)}
    offers(pixlate.ModelCard("grade", "a grade", tmp_path / "grade.onnx", version=3, earlier=earlier))
    return tmp_path


@pytest.mark.parametrize(("name", "file"), [("grade", "grade"), ("grade@3", "grade"), ("grade@2", "grade@2"), ("grade@1", "grade@1")])
def test_a_version_of_a_name_is_its_own_file(versions: Path, name: str, file: str) -> None:
    assert find(name) == versions / f"{file}.onnx"


@pytest.mark.parametrize("version", ["0", "4", "01", "", "newest"])
def test_an_unknown_version_lists_those_there_are(versions: Path, version: str) -> None:
    with pytest.raises(pixlate.PixlateError, match=rf"expected a version of the model grade \(grade@1, grade@2, grade@3\), got 'grade@{version}'"):
        find(f"grade@{version}")


def test_a_version_of_an_unknown_name_names_the_nearest(versions: Path) -> None:
    assert named("grode@1") is None
    with pytest.raises(pixlate.PixlateError, match="got 'grode@1'; did you mean grade"):
        find("grode@1")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "a@1"}, "expected a name without @"),
        ({"version": 0}, "expected a version of at least 1 and only earlier ones below it, got 0 and none"),
        ({"version": 2, "earlier": {2: Path("a")}}, "got 2 and 2"),
        ({"earlier": {1: "a"}, "version": 2}, "expected earlier to be"),
        ({"make": 7}, "expected make to be"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields: dict[str, object], sentence: str) -> None:
    values: dict[str, object] = {"name": "a", "summary": "", "path": Path("a.onnx")}
    with pytest.raises(pixlate.PixlateError, match=sentence):
        pixlate.ModelCard(**(values | fields))  # type: ignore[arg-type]


class Maker:
    """Makes a model file, and counts how often."""

    def __init__(self, content: bytes = b"made") -> None:
        self.content, self.calls = content, 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_bytes(self.content)


def made(path: Path, make: Callable[[Path], None]) -> pixlate.ModelCard:
    return pixlate.ModelCard("made", "made on first use", path, make=make)


def test_a_model_is_made_once_with_its_digest_beside_it(tmp_path: Path, offers: Offers) -> None:
    maker, path = Maker(), tmp_path / "cache" / "made.onnx"
    offers(made(path, maker))
    assert find("made") == find("made") == path
    assert (path.read_bytes(), maker.calls) == (b"made", 1)
    assert path.with_name("made.onnx.sha256").read_text() == f"{hashlib.sha256(b'made').hexdigest()}  made.onnx\n"
    assert not list(path.parent.glob(".making-*"))


@pytest.mark.parametrize("damaged", ["made.onnx", "made.onnx.sha256"])
def test_a_damaged_file_is_made_again_with_a_warning(tmp_path: Path, offers: Offers, damaged: str) -> None:
    maker = Maker()
    offers(made(tmp_path / "made.onnx", maker))
    find("made")
    (tmp_path / damaged).write_bytes(b"mad\xff")
    with pytest.warns(UserWarning, match="is not as it was made and is made again"):
        assert find("made").read_bytes() == b"made"
    assert maker.calls == 2


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path: Path, offers: Offers) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise pixlate.PixlateError("the extra is missing; install it")

    offers(made(tmp_path / "made.onnx", fail))
    with pytest.raises(pixlate.PixlateError, match="the extra is missing"):
        find("made")
    assert [path.name for path in tmp_path.iterdir()] == [".made.onnx.lock"]


def test_a_full_cache_is_one_sentence(tmp_path: Path, offers: Offers) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    offers(made(tmp_path / "made.onnx", full))
    with pytest.raises(
        pixlate.PixlateError, match=r"the model made is made on first use, and .* does not take it \(No space left on device\); .*PIXLATE_CACHE"
    ):
        find("made")


def test_a_cache_that_is_a_file_is_one_sentence(tmp_path: Path, offers: Offers) -> None:
    (tmp_path / "cache").write_bytes(b"")
    offers(made(tmp_path / "cache" / "made.onnx", Maker()))
    with pytest.raises(pixlate.PixlateError, match="does not take it"):
        find("made")


def test_two_at_once_make_one_file(tmp_path: Path, offers: Offers) -> None:
    maker = Maker(b"x" * 100_000)
    offers(made(tmp_path / "made.onnx", maker))
    threads = [Thread(target=find, args=("made",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert maker.calls == 1
