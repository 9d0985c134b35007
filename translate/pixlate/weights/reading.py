"""Reads weight files of other code bases, without running anything in them, and finds the plugin that recognises them."""

import pickle
import re
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixlate.errors import PixlateError
from pixlate.inference.files import ncnn_pair
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.manager import installed
from pixlate.system.extras import install
from pixlate.weights.discriminators import discriminator
from pixlate.weights.ncnn_networks import RESIZED, read_network

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".param", ".bin")
"""Suffixes of weight files."""
NESTS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "g_ema", "generator", "netG", "net_g", "G", "net")
"""Keys under which files hold the weights proper; the first that exists is taken, so that averaged weights are preferred."""
PREFIXES = ("module.", "_orig_mod.", "generator.", "netG.", "net_g.", "G.")
"""Prefixes that wrappers add to every name: DataParallel, torch.compile, and modules that hold a generator."""
_GENERATORS = PREFIXES[2:]
_ADVERSARIES = re.compile(r"(discriminator|net_?d|d_|d\.|criterion|loss|perceptual|vgg)", re.IGNORECASE)
_NESTING = 8
_MOST_GROWTH = 8
"""Most bytes of weights in memory for a byte of the file: 8-bit numbers become 32 bits, and a weight may have two names."""


@dataclass(frozen=True)
class Weights:
    """What a file of weights holds."""

    tensors: "dict[str, Tensor]"
    """Weights by name, on the CPU; floating ones in 32 bits."""
    left_out: tuple[str, ...] = ()
    """What else the file holds, by key."""


def read_weights(path: Path, option: str = "") -> Weights:
    """Read a ``.safetensors`` file, an ncnn model, or any other as one of ``torch.save``; nothing in it is run. Errors name the ``option`` it was given with.

    Of an ncnn model (a ``.param``, or a ``.bin`` beside one), the weights have the names of the published PyTorch code.

    Raises:
        PixlateError: It is missing, damaged, holds code, no weights, or weights that are no numbers.
    """
    if (pair := ncnn_pair(path)) is not None:
        require_weights(path, option)
        return Weights(_checked(_tensors_of_ncnn(path), pair[1], 2 * _MOST_GROWTH))  # SPAN is stored fused, and its branches are four times as large
    tensors, left_out = _unwrapped(read_content(path, option), path)
    return Weights(_checked(tensors, path), left_out)


def read_content(path: Path, option: str = "", only: Callable[[str], bool] | None = None) -> Mapping[Any, Any]:
    """Return what a file of weights holds, as it is; see :func:`read_weights`, which also unwraps and checks it. Weights that ``only`` refuses by name are not brought into memory.

    Raises:
        PixlateError: It is missing, damaged, holds code, or no mapping.
    """
    wanted = require_weights(path, option)
    return _read_safetensors(path, wanted, only) if _is_safetensors(path) else _read_pickled(path, wanted, only)


def require_weights(path: Path, option: str = "") -> str:
    """Refuse what is missing, empty or no file, without PyTorch; return what was expected, for further sentences."""
    kind = "safetensors" if _is_safetensors(path) else "ncnn" if (pair := ncnn_pair(path)) else "PyTorch"
    wanted = f"expected {'an' if kind == 'ncnn' else 'a'} {kind} file{f' for {option}' if option else ''}"
    if path.is_dir():
        raise PixlateError(f"{wanted}, but {path} is a folder; name a file in it, or write `pixlate export` for a run of Pixlate's own")
    if not path.exists():
        raise PixlateError(f"{wanted}, but {path} is not there; check its path")
    if not path.is_file():
        raise PixlateError(f"{wanted}, but {path} is no regular file; name one")
    if path.stat().st_size == 0:
        raise PixlateError(f"{wanted}, but {path} is empty; download or save it again")
    if kind == "ncnn" and pair and not pair[1].is_file():
        raise PixlateError(f"expected the weights of {pair[0]} in {pair[1]}, but that file is not there; put it beside the .param, under the same name")
    if path.suffix.lower() == ".bin" and kind == "PyTorch" and not _is_pickled(path):
        raise PixlateError(f"expected a .param beside {path} that lists the layers of this ncnn model; put it there, under the same name")
    return wanted


def _is_pickled(path: Path) -> bool:
    """Return whether a file begins as those of ``torch.save`` do."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _tensors_of_ncnn(path: Path) -> "dict[str, Tensor]":
    """Return the weights of an ncnn model, and the factor of a resizing after the network, if there is one."""
    import torch

    network = read_network(path)
    tensors = {name: torch.from_numpy(values) for name, values in network.weights.items()}
    return tensors | ({RESIZED: torch.tensor(network.resized)} if network.resized != 1 else {})


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == ".safetensors"


def recognise(state: "Mapping[str, Tensor]", options: ImportOptions, path: Path) -> ForeignGenerator:
    """Return the generator that a plugin recognises in weights.

    Raises:
        PixlateError: No plugin knows them, one refuses them, one fails on them, or they are of a discriminator.
    """
    foreign, failures = installed().first(
        "pixlate_import_checkpoint",
        lambda: {"state": dict(state), "options": options},
        "a ForeignGenerator",
        lambda answer: isinstance(answer, ForeignGenerator),
        "them",
    )
    if foreign is not None:
        found: ForeignGenerator = foreign
        return found
    if name := discriminator(state):
        raise PixlateError(f"expected a generator, but {path} is a discriminator ({name}), which judges pictures and makes none; use the generator's file")
    keys = f"{_shown(*sorted(state)[:3])}{', ...' if len(state) > 3 else ''}"
    if any(key.startswith("generators.") for key in state):
        raise PixlateError(f"expected weights of another code base, but {path} ({keys}) is of a run of Pixlate's own; write `pixlate export RUN MODEL.onnx`")
    if failures:
        raise PixlateError(f"no installed plugin recognises the weights of {path} ({keys}): {'; '.join(failures)}; check that the file is whole")
    hint = "" if find_spec("spandrel") else f"; many community upscalers need: {install('spandrel')}"
    raise PixlateError(f"no installed plugin recognises the weights of {path} ({keys}); install the plugin that knows them{hint}")


def _shown(*keys: object) -> str:
    """Return keys for a sentence: short, and without terminal control characters."""
    return ", ".join(str(key)[:60].encode("unicode_escape").decode() for key in keys)


def _read_safetensors(path: Path, wanted: str, only: Callable[[str], bool] | None) -> Mapping[Any, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys() if only is None or only(key)}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError, ValueError, RuntimeError, MemoryError, KeyError) as error:
        raise PixlateError(f"{wanted}, but {path} cannot be read ({_line(error)}); download or save it again") from error


def _read_pickled(path: Path, wanted: str, only: Callable[[str], bool] | None) -> Mapping[Any, Any]:
    import warnings

    import torch

    _check_archive(path, wanted)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=only is not None and zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named or re.search(r"(?i)unsupported (class|global)|trying to (call|instantiate)|can only build", str(error)):
            what = f" ({named[1]})" if named else ""
            raise PixlateError(
                f"{wanted} of weights alone, but {path} also holds objects{what}, and reading those can run any code; nothing of it was run: "
                "ask its author for a .safetensors file, or save `model.state_dict()` alone"
            ) from error
        raise PixlateError(f"{wanted}, but {path} is damaged or something else; download or save it again") from error
    except Exception as error:  # a damaged pickle may raise any exception
        raise PixlateError(f"{wanted}, but {path} is damaged or something else ({_line(error)}); download or save it again") from error
    if not isinstance(held, Mapping):
        raise PixlateError(f"{wanted} that holds weights by name, but {path} holds one {type(held).__name__}; save `model.state_dict()`")
    return (
        held if only is None else {key: value.clone() for key, value in held.items() if isinstance(key, str) and only(key) and isinstance(value, torch.Tensor)}
    )


def _check_archive(path: Path, wanted: str) -> None:
    """Refuse an archive that is cut off, that is a TorchScript program, or that would decompress to far more than its size."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return  # of torch before 1.6
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PixlateError(f"{wanted}, but {path} is cut off or damaged ({_line(error)}); download or save it again") from error
    if any(re.search(r"(^|/)(constants\.pkl|code/)", entry.filename) for entry in entries):
        raise PixlateError(f"{wanted} of weights, but {path} is a TorchScript program, which is code; ask for its state_dict, saved with torch.save")
    if sum(entry.file_size for entry in entries) > path.stat().st_size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise PixlateError(f"{wanted}, but {path} unpacks to more than it is, which no file of torch.save does; download or save it again")


def _unwrapped(held: Mapping[Any, Any], path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the tensors by name, without the nests and prefixes around them, and the keys of what else there was."""
    from torch import Tensor

    left_out: list[Any] = []
    for _ in range(_NESTING):
        nests = {key: value for key, value in held.items() if isinstance(value, Mapping) and value}
        name = next((name for name in NESTS if name in nests), None)
        if name is None and any(isinstance(value, Tensor) for value in held.values()):
            break
        if name is None and len(nests) > 1:
            names = _shown(*list(nests)[:5])
            raise PixlateError(f"expected the weights of one network, but {path} holds {len(nests)} ({names}); save the one you want by itself")
        if not nests:
            break
        name = name or next(iter(nests))
        left_out += [key for key in held if key != name]
        held = nests[name]
    tensors = {key: value for key, value in held.items() if isinstance(key, str) and isinstance(value, Tensor)}
    left_out += [key for key in held if not (isinstance(key, str) and key in tensors)]
    if not tensors:
        raise PixlateError(f"expected weights by name, but {path} holds none ({_shown(*list(held)[:5]) or 'nothing'}); save `model.state_dict()`")
    while prefix := _prefix(tensors):
        left_out += [key for key in tensors if not key.startswith(prefix)]
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return tensors, tuple(map(_shown, left_out))


def _prefix(names: Collection[str]) -> str:
    """Return the prefix of every name, or that of a generator where all others are those of losses and discriminators; else nothing."""
    for prefix in PREFIXES:
        others = [name for name in names if not name.startswith(prefix)]
        if len(others) < len(names) and (not others or (prefix in _GENERATORS and all(map(_ADVERSARIES.match, others)))):
            return prefix
    return ""


def _checked(tensors: "Mapping[str, Tensor]", path: Path, growth: int = _MOST_GROWTH) -> "dict[str, Tensor]":
    """Return the weights in 32 bits, after refusing what would fill the memory or is no number."""
    import torch

    size = sum(4 * value.numel() for value in tensors.values())
    most = growth * path.stat().st_size
    for key, value in tensors.items():
        whole = not value.is_floating_point() and value.ndim > 2  # counters are single numbers, indices of attention are tables
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu" or whole:
            raise PixlateError(f"expected plain weights, but {_shown(key)} of {path} is {value.dtype} ({value.layout}, {value.device}); save it as float32")
    if size > most:
        raise PixlateError(f"expected weights as large as their file, but those of {path} would take {size:,} bytes in memory; download or save it again")
    checked = {key: value.detach().float().contiguous() if value.is_floating_point() else value.detach() for key, value in tensors.items()}
    for key, weight in checked.items():
        if not torch.isfinite(weight).all():
            raise PixlateError(f"expected numbers, but {_shown(key)} of {path} holds NaN or infinity; its training diverged: use an earlier checkpoint")
    return checked


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
