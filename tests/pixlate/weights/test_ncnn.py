"""ncnn's files, whole and damaged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import ncnn_files

from pixlate import PixlateError
from pixlate.inference.files import ncnn_pair
from pixlate.weights.ncnn import read
from pixlate.weights.ncnn_networks import read_network
from pixlate.weights.reading import read_weights


def small(path: Path, half: bool = True) -> Path:
    """Write Compact at scale 2 whose 3 channels make blobs that are filled up to 4 bytes."""
    draw = np.random.default_rng(0)
    shapes = {"body.0": (3, 3), "body.2": (3, 3), "body.4": (12, 3)}
    state = {f"{name}.weight": draw.normal(size=(*shape, 3, 3)).astype(np.float16).astype(np.float32) for name, shape in shapes.items()}
    state |= {f"{name}.bias": draw.normal(size=shape[0]).astype(np.float32) for name, shape in shapes.items()}
    state |= {f"body.{index}.weight": draw.normal(size=3).astype(np.float32) for index in (1, 3)}
    return ncnn_files.compact(path, state, 2, half)


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
def test_weights_come_back_under_the_published_names(half: bool, tmp_path: Path) -> None:
    network = read_network(small(tmp_path / "a.param", half))
    assert (network.architecture, network.scale, network.blocks, network.resized) == ("Compact", 2, 1, 1)
    draw = np.random.default_rng(0)
    for name, shape in {"body.0": (3, 3), "body.2": (3, 3), "body.4": (12, 3)}.items():
        assert np.array_equal(network.weights[f"{name}.weight"], draw.normal(size=(*shape, 3, 3)).astype(np.float16))
    assert {name: values.dtype for name, values in network.weights.items()} == dict.fromkeys(network.weights, np.dtype(np.float32))


def test_bin_alone_is_not_taken_for_ncnn(tmp_path: Path) -> None:
    assert ncnn_pair(tmp_path / "pytorch_model.bin") is None
    (tmp_path / "a.bin").write_bytes(b"\x47\x6b\x30\x01 and more")
    with pytest.raises(PixlateError, match=r"expected a \.param beside .*a\.bin"):
        read_weights(tmp_path / "a.bin")


def refusal(param: Path) -> str:
    with pytest.raises(PixlateError) as caught:
        read_weights(param)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400 + 3 * len(str(param))
    return text


def test_each_damage_is_one_sentence(tmp_path: Path) -> None:
    param = small(tmp_path / "a.param")
    weights, text = param.with_suffix(".bin"), param.read_text()
    content = weights.read_bytes()
    weights.write_bytes(content + b"\0" * 4)
    assert f"expected {len(content):,} bytes of weights for the layers" in refusal(param)
    weights.write_bytes(content[:-4])
    assert "it is cut off or of another network" in refusal(param)
    weights.write_bytes(b"\1" + content)
    assert "the file is quantised or of another network" in refusal(param)
    weights.write_bytes(content[:4] + b"\0\x7e" + content[6:])
    assert "holds NaN or infinity" in refusal(param)
    weights.write_bytes(content)
    param.write_text(text.replace("PReLU PReLU_2", "LSTM PReLU_2"))
    assert "has others (LSTM)" in refusal(param)
    param.write_text(text[:-40])
    assert "expected" in refusal(param)
    param.write_text("\n".join(text.splitlines()[:-1]))
    assert "it is cut off or damaged" in refusal(param)
    param.write_text(text.replace("7767517", "7767518"))
    assert "begins with ncnn's number" in refusal(param)
    param.write_text(text.replace("0=1 1=2.0 2=2.0", "0=2 1=2.0 2=2.0"))
    assert "of the kind Interp, with other options" in refusal(param)
    param.write_text(text.replace("0=1 1=2.0 2=2.0", "0=1 1=3.0 2=3.0"))
    assert "its 3 convolutions are joined otherwise" in refusal(param)
    param.write_text(text.replace("0=12", "0=12.5"))
    assert "expected option 0 of 'Convolution_5'" in refusal(param) and "to be a count, got 12.5" in refusal(param)
    param.write_text(text.replace("9 9\nInput in 0 1 data", "10 10\nInput in 0 1 data\nInput other 0 1 mask").replace("1 1 data v7", "1 1 mask v7"))
    assert "expected a network of one input" in refusal(param)
    param.write_text(text)
    weights.unlink()
    assert "put it beside the .param, under the same name" in refusal(param)


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    param = small(folder / "a.param")
    for path in (param, param.with_suffix(".bin")):
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 3))):
            start = data.draw(st.integers(0, len(content)))
            content[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6) | st.from_regex(rb"[0-9=, .\n-]{0,6}", fullmatch=True))
        path.write_bytes(content)
    try:
        read_network(param)
    except PixlateError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=200))
def test_any_text_is_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    param = tmp_path_factory.mktemp("any") / "a.param"
    param.write_bytes(b"7767517\n3 3\n" + content)
    param.with_suffix(".bin").write_bytes(content)
    with pytest.raises(PixlateError):
        read_network(param)


def test_features_that_are_joined_without_end_are_refused(tmp_path: Path) -> None:
    writer = ncnn_files.Writer()
    value = "data"
    for _ in range(100):
        value = writer.layer("Concat", [value, value])
    assert "of the kind Concat, with other options" in refusal(writer.save(tmp_path / "a.param"))
    assert len(read(*(ncnn_pair(tmp_path / "a.param") or ()))) == 101
