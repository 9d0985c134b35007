"""Reads the weights of ONNX files that ``pixlate export`` wrote, for training that goes on from a model whose run is gone."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pixlate.errors import PixlateError
from pixlate.plugin.spec import METADATA_KEY, ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPED = re.compile(r"^(?:network\.)?0\.(?:lit\.)?(?P<name>.+?)(?:\.(?:half|float16|bfloat16))?$")
"""Names of a generator's weights in a file: it is the first part of what is exported, maybe in what brightens pictures, and weights of 16 bits have a suffix."""


def exported_weights(path: Path) -> "dict[str, Tensor]":
    """Return the weights of the generator in a file, by the names they have in a run, in 32 bits.

    What the exporter changes has other names in a file and is not among them: fused convolutions as those of SPAN, slopes of PReLU.

    Raises:
        PixlateError: The file is missing, damaged, was not written by Pixlate, keeps its weights in another file, rounds them to 8 bits, or has batch norm folded into its convolutions.
    """
    import onnx
    import torch
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise PixlateError(f"expected an ONNX file for --start-from, but {path} cannot be read ({reason}); check its path") from error
    metadata = {item.key: item.value for item in model.metadata_props}
    weights = {found["name"]: tensor for tensor in model.graph.initializer if (found := _WRAPPED.match(tensor.name))}
    if METADATA_KEY not in metadata or not weights:
        raise PixlateError(f"expected an ONNX file that `pixlate export` wrote for --start-from, got {path}; name the run or the weights it was made from")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in weights.values()):
        raise PixlateError(f"expected weights inside {path} for --start-from, got some in another file; export it again")
    spec = ModelSpec.from_json(metadata[METADATA_KEY])
    if spec.precision == "int8":
        raise PixlateError(f"expected weights of 16 or 32 bits for --start-from, got {path}, which rounds them to 8; name the run or the file it was made of")
    if spec.norm == "running":
        raise PixlateError(f"expected a file without batch norm for --start-from, got {path}, whose convolutions have taken it in; name the run it was made of")
    generator = spec.direction.replace("-", "_")
    return {f"generators.{generator}.{name}": torch.from_numpy(numpy_helper.to_array(tensor).astype("float32")) for name, tensor in weights.items()}
