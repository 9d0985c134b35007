"""Files of weights from elsewhere: what is read of them, and what is never run."""

import io
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import pixlate
from pixlate import ForeignGenerator, ImportOptions, PixlateError
from pixlate.plugin.entries import Plugin
from pixlate.plugin.manager import installed
from pixlate.weights.adapting import with_weights
from pixlate.weights.reading import read_weights, recognise

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.tensor([0.5, -0.5])}


def saved(content: object, path: Path, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def assert_state(path: Path, expected: Mapping[str, Tensor] = STATE) -> None:
    found = read_weights(path).tensors
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        OrderedDict(STATE),
        {"params": {key: value + 1 for key, value in STATE.items()}, "params_ema": STATE},
        {"params": STATE},
        {"state_dict": STATE, "epoch": 7},
        {"model": {"netG": STATE, "other": 3}},
        {"anything": STATE},
        {f"module.{key}": value for key, value in STATE.items()},
        {"epoch": 3, "model_state_dict": {f"module.module.{key}": value for key, value in STATE.items()}, "optimizer": {"state": {}}},
        {"state_dict": {f"netG.{key}": value for key, value in STATE.items()} | {"netD.layer.weight": torch.ones(1)}},
        {f"generator.module.{key}": value for key, value in STATE.items()},
        {f"_orig_mod.{key}": value for key, value in STATE.items()},
        {key: nn.Parameter(value) for key, value in STATE.items()},
    ],
    ids=",".join,
)
def test_weights_are_taken_out_of_what_is_around_them(content: Mapping[str, Any], tmp_path: Path) -> None:
    assert_state(saved(content, tmp_path / "a.pth"))


def test_keys_that_are_left_out_are_reported(tmp_path: Path) -> None:
    content = {"params": STATE, "params_ema": STATE, "epoch": 7}
    assert read_weights(saved(content, tmp_path / "a.pth")).left_out == ("params", "epoch")
    content = {"state_dict": {f"generator.{key}": value for key, value in STATE.items()} | {"discriminator.x": torch.ones(1)}, "note": "text"}
    assert read_weights(saved(content, tmp_path / "a.pth")).left_out == ("note", "discriminator.x")
    assert read_weights(saved(STATE | {"scale": 4}, tmp_path / "a.pth")).left_out == ("scale",)
    assert read_weights(saved(STATE, tmp_path / "a.pth")).left_out == ()


def test_a_part_of_a_network_named_generator_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    content = {"generator.weight": torch.ones(1), "encoder.weight": torch.ones(1)}
    assert_state(saved(content, tmp_path / "a.pth"), content)


def test_files_of_old_versions_and_safetensors_are_read(tmp_path: Path) -> None:
    assert_state(saved(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False))
    save_file(STATE, tmp_path / "a.safetensors")
    assert_state(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_other_precision_become_32_bits(dtype: torch.dtype, suffix: str, tmp_path: Path) -> None:
    content = {key: value.to(dtype) for key, value in STATE.items()} | {"counter": torch.tensor(3), "padding": torch.zeros(100)}
    path = tmp_path / f"a{suffix}"
    save_file(content, path) if suffix == ".safetensors" else torch.save(content, path)
    assert_state(path, STATE | {"counter": torch.tensor(3), "padding": torch.zeros(100)})


class Hostile:
    """What a pickle can do to who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["archive", "old"])
@pytest.mark.parametrize("place", ["beside", "inside", "alone"])
def test_code_in_a_file_is_refused_and_not_run(place: str, options: dict[str, Any], tmp_path: Path) -> None:
    hostile = Hostile(tmp_path / "proof")
    content: Any = {"beside": STATE | {"x": hostile}, "inside": {"params": {"a": [hostile]}}, "alone": hostile}[place]
    path = saved(content, tmp_path / "a.pth", **options)
    with pytest.raises(PixlateError, match=r"holds objects \((posix|nt)\.mkdir\), and reading those can run any code; nothing of it was run") as caught:
        read_weights(path)
    assert not (tmp_path / "proof").exists()
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False)  # the proof of the proof
    assert (tmp_path / "proof").exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"weight": Hostile(tmp_path / "proof")}))
    with pytest.raises(PixlateError, match=r"expected a PyTorch file"):
        read_weights(tmp_path / "a.pth")
    assert not (tmp_path / "proof").exists()


def test_a_whole_module_or_options_beside_the_weights_are_refused(tmp_path: Path) -> None:
    for content in (nn.Linear(1, 1), {"weights": STATE, "options": SimpleNamespace(a=1)}):
        with pytest.raises(PixlateError, match=r"save `model\.state_dict\(\)` alone"):
            read_weights(saved(content, tmp_path / "a.pth"))


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"archive/{name}", b"")
    (tmp_path / "a.pt").write_bytes(program.getvalue())
    with pytest.raises(PixlateError, match=r"is a TorchScript program, which is code; ask for its state_dict"):
        read_weights(tmp_path / "a.pt")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(PixlateError, match=message) as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)

    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.pth").write_text("no weights, but words")
    (tmp_path / "picture.safetensors").write_bytes(b"\x89PNG" * 9)
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><title>404</title>")
    os.mkfifo(tmp_path / "pipe.pth")
    refused(tmp_path / "missing.pth", "is not there; check its path")
    refused(tmp_path, "is a folder; name a file in it")
    refused(tmp_path / "pipe.pth", "is no regular file")
    refused(tmp_path / "empty.pth", "is empty; download or save it again")
    refused(tmp_path / "text.pth", "is damaged or something else")
    refused(tmp_path / "page.pth", "is damaged or something else")
    refused(tmp_path / "picture.safetensors", "expected a safetensors file, but .* cannot be read")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["archive", "old"])
def test_files_cut_off_anywhere_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    whole = saved({"a": torch.rand(1000)}, tmp_path / "whole.pth", **options).read_bytes()
    for share in (0.001, 0.3, 0.7, 0.95, 0.999):
        (tmp_path / "part.pth").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(PixlateError, match=r"expected a PyTorch file, but .*part\.pth is (empty|cut off|damaged)"):
            read_weights(tmp_path / "part.pth")


@settings(max_examples=150, deadline=None)
@given(position=st.floats(0, 1), byte=st.integers(0, 255), new=st.booleans())
def test_a_changed_byte_gives_weights_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, position: float, byte: int, new: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.pth"
    content = bytearray(saved(STATE, path, _use_new_zipfile_serialization=new).read_bytes())
    content[min(int(position * len(content)), len(content) - 1)] = byte
    path.write_bytes(content)
    try:
        assert all(isinstance(value, Tensor) for value in read_weights(path).tensors.values())
    except PixlateError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, r"expected weights by name, but .* holds none \(nothing\)"),
        ({"epoch": 3, "name": "x"}, r"holds none \(epoch, name\); save `model\.state_dict\(\)`"),
        ({"first": STATE, "second": STATE}, r"expected the weights of one network, but .* holds 2 \(first, second\); save the one you want by itself"),
        (torch.zeros(3), r"holds one Tensor; save `model\.state_dict\(\)`"),
        ([STATE], r"holds one list"),
        ({0: torch.zeros(3)}, r"holds none \(0\)"),
        ({"w\x1b[2J\n": torch.tensor([float("nan")])}, r"expected numbers, but w\\x1b\[2J\\n of .* holds NaN or infinity; its training diverged"),
        ({"w": torch.tensor([1.0, float("-inf")])}, r"w of .* holds NaN or infinity"),
        ({"w": torch.zeros(3).to_sparse()}, r"expected plain weights, but w of .* is torch\.float32 \(torch\.sparse_coo, cpu\)"),
        ({"w": torch.zeros(3, dtype=torch.complex64)}, r"w of .* is torch\.complex64"),
        ({"w": torch.zeros(3, device="meta")}, r"w of .* \(torch\.strided, meta\)"),
        ({"w": torch.zeros(1).expand(10**6, 10**6)}, r"would take 4,000,000,000,000 bytes in memory"),
    ],
)
def test_contents_that_are_no_weights_are_refused(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match=message) as caught:
        read_weights(saved(content, tmp_path / "a.pth"))
    assert "\n" not in str(caught.value)


def test_deeply_nested_and_recursive_containers_are_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"params": STATE}
    for _ in range(20):
        content = {"params": content}
    with pytest.raises(PixlateError, match="holds none"):
        read_weights(saved(content, tmp_path / "a.pth"))
    loop: dict[str, Any] = {}
    loop["params"] = loop
    with pytest.raises(PixlateError, match="holds none"):
        read_weights(saved(loop, tmp_path / "a.pth"))


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    whole = saved({"a": torch.zeros(100_000)}, tmp_path / "whole.pth")
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    with pytest.raises(PixlateError, match="unpacks to more than it is"):
        read_weights(tmp_path / "bomb.pth")


def test_a_safetensors_file_that_claims_a_huge_size_is_refused(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(PixlateError, match=r"cannot be read"):
        read_weights(tmp_path / "a.safetensors")


class Recogniser:
    """A plugin whose answer to weights a test chooses."""

    answer: Callable[[Mapping[str, Tensor], ImportOptions], object] = staticmethod(lambda state, options: None)

    @pixlate.hookimpl
    def pixlate_import_checkpoint(self, options: ImportOptions, state: Mapping[str, Tensor]) -> object:
        return self.answer(state, options)


@pytest.fixture
def recogniser() -> Iterator[Recogniser]:
    plugin = Recogniser()
    installed().manager.register(plugin, name="tester")
    installed().plugins.append(Plugin("tester", "tester", "2.0"))
    yield plugin
    installed().manager.unregister(plugin)
    installed().plugins.pop()


def test_weights_go_to_the_plugin_that_knows_them(recogniser: Recogniser) -> None:
    expected = ForeignGenerator("test", nn.Identity(), pixlate.ModelSpec())
    options = ImportOptions(padding="zero")
    given: list[object] = []

    def answer(state: Mapping[str, Tensor], options: ImportOptions) -> ForeignGenerator:
        given.extend([dict(state), options])
        assert isinstance(state, dict)
        state.clear()  # a plugin may do what it likes with its own
        return expected

    recogniser.answer = answer
    state = dict(STATE)
    assert recognise(state, options, Path("a.pth")) is expected
    assert given == [STATE, options] and state.keys() == STATE.keys()


def test_weights_that_no_plugin_recognises_are_named_by_their_first_keys() -> None:
    state = {f"{letter}.weight": torch.zeros(1) for letter in "dcba"}
    with pytest.raises(PixlateError, match=re.escape("no installed plugin recognises the weights of a.pth (a.weight, b.weight, c.weight, ...); install")):
        recognise(state, ImportOptions(), Path("a.pth"))


def test_weights_of_a_run_are_sent_to_export() -> None:
    with pytest.raises(PixlateError, match=r"is of a run of Pixlate's own; write `pixlate export RUN MODEL\.onnx`"):
        recognise({"generators.source_to_target.head.0.bias": torch.zeros(1)}, ImportOptions(), Path("weights.safetensors"))


def test_a_plugin_that_fails_is_named_in_one_sentence_and_the_others_are_still_called(recogniser: Recogniser) -> None:
    def fail(state: Mapping[str, Tensor], options: ImportOptions) -> object:
        raise IndexError("tuple index\nout of range")

    recogniser.answer = fail
    with pytest.raises(PixlateError, match=r"the plugin tester \(tester 2\.0\) failed on them \(IndexError: tuple index out of range\); check"):
        recognise(STATE, ImportOptions(), Path("a.pth"))
    sizes = {"conv_first": (4, 3), "body.0.conv1": (4, 4), "body.0.conv2": (4, 4), "upconv1": (16, 4), "conv_hr": (4, 4), "conv_last": (3, 4)}
    known = {f"{name}.weight": torch.zeros(*size, 3, 3) for name, size in sizes.items()} | {
        f"{name}.bias": torch.zeros(size[0]) for name, size in sizes.items()
    }
    assert recognise(known, ImportOptions(), Path("a.pth")).spec.scale == 2


def test_a_plugin_that_refuses_a_file_ends_the_search(recogniser: Recogniser) -> None:
    def refuse(state: Mapping[str, Tensor], options: ImportOptions) -> object:
        raise PixlateError("expected more")

    recogniser.answer = refuse
    with pytest.raises(PixlateError, match=r"^expected more$"):
        recognise(STATE, ImportOptions(), Path("a.pth"))


def test_a_plugin_that_returns_something_else_is_named(recogniser: Recogniser) -> None:
    recogniser.answer = lambda state, options: nn.Identity()
    with pytest.raises(PixlateError, match=r"the plugin tester \(tester 2\.0\) returned Identity instead of a ForeignGenerator"):
        recognise(STATE, ImportOptions(), Path("a.pth"))


def test_a_network_of_any_claimed_size_is_compared_before_it_takes_memory() -> None:
    assert with_weights(lambda: nn.Conv2d(2**20, 2**20, 3), {"weight": torch.zeros(1), "bias": torch.zeros(1)}) is None


def test_a_network_loads_exactly_its_own_weights() -> None:
    weights = {"weight": torch.rand(2, 3), "bias": torch.rand(2)}
    network = with_weights(lambda: nn.Linear(3, 2), weights)
    assert network is not None and not network.training and torch.equal(network.weight, weights["weight"])
    assert with_weights(lambda: nn.Linear(3, 2), weights | {"more": torch.zeros(1)}) is None
    assert with_weights(lambda: nn.Linear(3, 2), {"weight": weights["weight"]}) is None


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.uint8])
def test_weights_of_whole_numbers_are_refused(kind: torch.dtype, tmp_path: Path) -> None:
    torch.save({"conv_first.weight": torch.ones(4, 3, 3, 3).to(kind), "steps": torch.tensor(7)}, tmp_path / "model.pth")
    with pytest.raises(PixlateError, match=r"expected plain weights, but conv_first\.weight of .* is torch\..*; save it as float32"):
        read_weights(tmp_path / "model.pth")


def test_files_of_foreign_weights_are_read_in_one_place() -> None:
    root = Path(__file__).parents[3]
    sources = [path for shelf in ("translate", "plugins", "export") for path in (root / shelf).rglob("*.py")]
    assert {path.name for path in sources if re.search(r"torch\.load\(|safe_open|load_file", path.read_text())} == {"reading.py", "checkpoint.py"}
