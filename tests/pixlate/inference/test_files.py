"""Which files a model is, and the digest by which journals, servers and caches tell models apart."""

import hashlib
from pathlib import Path

import pytest

from pixlate.convert import ConvertOptions
from pixlate.convert.conversion import settings_digest
from pixlate.inference.files import digest_model, files_of_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of ncnn."""
    (tmp_path / "a.bin").write_bytes(b"weights")
    (tmp_path / "a.param").write_bytes(b"layers")
    return tmp_path / "a.param"


def test_a_model_of_ncnn_is_two_files_and_another_is_one(model: Path, tmp_path: Path) -> None:
    assert files_of_model(model) == files_of_model(model.with_suffix(".bin")) == (model, model.with_suffix(".bin"))
    assert files_of_model(tmp_path / "a.onnx") == (tmp_path / "a.onnx",)
    assert files_of_model(tmp_path / "b.bin") == (tmp_path / "b.bin",)


def test_the_digest_of_one_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"model")
    assert digest_model(tmp_path / "a.onnx") == hashlib.sha256(b"model").hexdigest()


@pytest.mark.parametrize("suffix", [".param", ".bin"])
def test_a_model_of_ncnn_with_other_weights_is_another_model(suffix: str, model: Path) -> None:
    """Models of one network, such as an author's second version, differ in their ``.bin`` alone."""

    def told_apart() -> tuple[str, str]:
        return digest_model(model), settings_digest(model, ConvertOptions())

    before = told_apart()
    assert before == told_apart()
    model.with_suffix(suffix).write_bytes(b"other")
    assert not {*before} & {*told_apart()}
