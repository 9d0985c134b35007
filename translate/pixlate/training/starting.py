"""Weights that a run begins with, from another run or from another code base."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from torch import Tensor

from pixlate.data.folders import name_some
from pixlate.errors import PixlateError
from pixlate.inference.ready import cards, file_of, named, unavailable
from pixlate.plugin.foreign import ImportOptions
from pixlate.plugin.gan import GAN, MAIN_GENERATOR
from pixlate.runs.folder import CHECKPOINTS
from pixlate.training.checkpoint import is_checkpoint, load_checkpoint, newest
from pixlate.weights.exported import exported_weights
from pixlate.weights.reading import SUFFIXES, read_weights, recognise


def weights_to_start_from(start: str, gan: GAN) -> Mapping[str, Tensor]:
    """Return the averaged weights of a run or checkpoint, those of a ready model or of an ONNX file of Pixlate's, or those of a file of another code base.

    A folder that holds no weights does not hide a ready model of its name. A plugin must recognise the last. Names of the file itself are kept in the place of those of the network that it makes of it where they are those of ``gan``:
    some networks here have the published names.
    """
    path = Path(start)
    holds_weights = path.is_file() or is_checkpoint(path) or newest(path / CHECKPOINTS) is not None
    if not holds_weights and (ready := named(start)) is not None:
        path = file_of(*ready)
    elif not path.exists() and (lacking := unavailable(start)):
        raise PixlateError(lacking)
    elif not path.exists() and not path.suffix and len(path.parts) == 1:
        near = get_close_matches(start.partition("@")[0].lower(), cards(), 1)
        advice = f"did you mean {near[0]}?" if near else "check its path, or see `pixlate models`"
        raise PixlateError(f"expected a run, a checkpoint, a ready model or a file of weights for --start-from, got {start!r}, which is not there; {advice}")
    if path.suffix.lower() == ".onnx" and not path.is_dir():
        return exported_weights(path)
    if path.suffix.lower() not in SUFFIXES and not path.is_file():
        return load_checkpoint(path).average
    published = read_weights(path, "--start-from").tensors
    foreign = recognise(published, ImportOptions(), path)
    names = [{f"generators.{MAIN_GENERATOR}.{name}": tensor for name, tensor in state.items()} for state in (foreign.network.state_dict(), published)]
    own = gan.state_dict().keys()
    return max(names, key=lambda state: len(own & state.keys()))


def take_over(gan: GAN, weights: Mapping[str, Tensor]) -> str:
    """Copy the weights whose name and shape match, such as the body of a generator trained for another scale, of which there must be some.

    Those of one generator alone start each generator, as one that was trained to reconstruct starts both directions. Counters of steps stay.

    Returns:
        How many these are, which ones are new because the weights have none or others of another shape, and which ones of theirs have no place here.

    Raises:
        PixlateError: None matches, or a network says by its ``misfit`` that those of its names are of one that computes otherwise.
    """
    own = gan.state_dict()
    if {name.split(".")[1] for name in weights if name.startswith("generators.")} == {MAIN_GENERATOR}:
        only = {name: value for name, value in weights.items() if name.startswith(f"generators.{MAIN_GENERATOR}.")}
        weights = {name.replace(MAIN_GENERATOR, other, 1): value for other in gan.generators for name, value in only.items()} | dict(weights)
    matching = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape and value.ndim}
    if not matching:
        raise PixlateError("expected weights of the same network to start from, but no tensor has a matching name and shape; check --start-from")
    for place, network in gan.named_modules():
        if (misfit := getattr(network, "misfit", None)) and (reason := misfit({name.removeprefix(f"{place}.") for name in weights})):
            raise PixlateError(f"{reason}; use others, or leave out --start-from")
    gan.load_state_dict(own | matching)
    new = [name for name, value in own.items() if name not in matching and value.ndim]
    parts = {
        "of another shape there": [name for name in new if name in weights],
        "not there": [name for name in new if name not in weights],
        "left out, as this network has none": [name for name, value in weights.items() if name not in own and value.ndim],
    }
    named = "; ".join(f"{which}: {name_some(names, 3)}" for which, names in parts.items() if names)
    return f"took over {len(matching)} of {len(matching) + len(new)} tensors{f' ({named})' if named else ''}"
