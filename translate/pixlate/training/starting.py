"""Weights that a run begins with, from another run or from another code base."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixlate.data.folders import name_some
from pixlate.errors import PixlateError
from pixlate.inference.ready import file_of, named, unavailable
from pixlate.plugin.foreign import ImportOptions
from pixlate.plugin.gan import GAN, MAIN_GENERATOR
from pixlate.training.checkpoint import load_checkpoint
from pixlate.weights.exported import exported_weights
from pixlate.weights.reading import SUFFIXES, read_weights, recognise


def weights_to_start_from(start: str) -> Mapping[str, Tensor]:
    """Return the averaged weights of a run or checkpoint, those of a ready model or of an ONNX file of Pixlate's, or those of a file of another code base.

    A plugin must recognise the last. Names of the file itself are kept beside those of the network that it makes of it: some networks here have the published names.
    """
    path = Path(start)
    if not path.exists() and (ready := named(start)) is not None:
        path = file_of(*ready)
    elif not path.exists() and (lacking := unavailable(start)):
        raise PixlateError(lacking)
    if path.suffix.lower() == ".onnx" and not path.is_dir():
        return exported_weights(path)
    if path.suffix.lower() not in SUFFIXES and not path.is_file():
        return load_checkpoint(path).average
    published = read_weights(path, "--start-from").tensors
    foreign = recognise(published, ImportOptions(), path)
    return {f"generators.{MAIN_GENERATOR}.{name}": tensor for name, tensor in {**published, **foreign.network.state_dict()}.items()}


def take_over(gan: GAN, weights: Mapping[str, Tensor]) -> str:
    """Copy the weights whose name and shape match, such as the body of a generator trained for another scale; say how many, which must not be none.

    Counters of steps stay.

    Raises:
        PixlateError: None matches, or a network says by its ``misfit`` that those of its names are of one that computes otherwise.
    """
    own = gan.state_dict()
    matching = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape and value.ndim}
    if not matching:
        raise PixlateError("expected weights of the same network to start from, but no tensor has a matching name and shape; check --start-from")
    for place, network in gan.named_modules():
        if (misfit := getattr(network, "misfit", None)) and (reason := misfit({name.removeprefix(f"{place}.") for name in weights})):
            raise PixlateError(f"{reason}; use others, or leave out --start-from")
    gan.load_state_dict(own | matching)
    new = [name for name, value in own.items() if name not in matching and value.ndim]
    return f"took over {len(matching)} of {len(matching) + len(new)} tensors{f' (new: {name_some(new, 3)})' if new else ''}"
