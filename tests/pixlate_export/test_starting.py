"""Training goes on from a file that was exported, as from the run it was made of."""

import re
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from pixlate.errors import PixlateError
from pixlate.plugin.gan import GAN
from pixlate.plugin.manager import installed
from pixlate.plugin.method import Method
from pixlate.plugin.spec import METADATA_KEY, ModelSpec, Provenance
from pixlate.plugin.testing import small_options
from pixlate.training.starting import take_over, weights_to_start_from
from pixlate_export.exporter import export_gan
from pixlate_export.options import ExportOptions

ORIGIN = Provenance("photographs", 7, 3, "CC0", "0")


def build(method: str, seed: int, **changes: str) -> GAN:
    """Return networks of a small size with random weights, biases too, which are zero in untrained ones and shared by the file then."""
    torch.manual_seed(seed)
    chosen = installed().offered(Method)[method]
    gan = chosen.build(replace(small_options(chosen), **changes))
    for parameter in gan.parameters():
        torch.nn.init.normal_(parameter, 0, 0.05)
    return gan


@pytest.mark.parametrize(
    ("method", "changes", "generator", "options"),
    [
        ("srgan", {"network": "msrresnet"}, "source_to_target", ExportOptions("float")),
        ("pix2pix", {"norm": "instance"}, "source_to_target", ExportOptions("uint8", half_weights=True)),
        ("cyclegan", {}, "target_to_source", ExportOptions("float")),
        ("srgan", {"network": "msrresnet"}, "source_to_target", ExportOptions("uint8", "float16")),
        ("pix2pix", {"norm": "instance"}, "source_to_target", ExportOptions("uint8", "bfloat16")),
    ],
)
def test_weights_of_an_exported_file_are_those_of_the_run(method: str, changes: dict[str, str], generator: str, options: ExportOptions, tmp_path: Path) -> None:
    trained, new = build(method, 1, **changes), build(method, 2, **changes)
    export_gan(trained, tmp_path / "model.onnx", ORIGIN, options, generator)
    said = take_over(new, weights_to_start_from(str(tmp_path / "model.onnx"), new))
    expected, found = (gan.generators[generator].state_dict() for gan in (trained, new))
    tolerance = {"float16": 1e-3, "bfloat16": 1e-2}.get(options.precision, 1e-3 if options.half_weights else 0)
    assert all(torch.allclose(found[name], expected[name], rtol=tolerance, atol=tolerance / 100) for name in expected)
    assert int(re.findall(r"took over (\d+) of", said)[0]) == sum(value.ndim > 0 for value in expected.values())


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    gan = build("pix2pix", 1)
    with pytest.raises(
        PixlateError, match=r"expected an ONNX file for --start-from, but .*missing\.onnx cannot be read \(No such file or directory\); check its path"
    ):
        weights_to_start_from(str(tmp_path / "missing.onnx"), gan)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"\x08\xff\xff")
    with pytest.raises(PixlateError, match=r"damaged\.onnx cannot be read \(it is damaged\); check its path"):
        weights_to_start_from(str(damaged), gan)
    foreign = tmp_path / "foreign.onnx"
    onnx.save(onnx.ModelProto(), foreign)
    with pytest.raises(PixlateError, match=r"expected an ONNX file that `pixlate export` wrote for --start-from, got .*foreign\.onnx; name the run"):
        weights_to_start_from(str(foreign), gan)
    export_gan(gan, tmp_path / "batch.onnx", ORIGIN, generator="source_to_target")
    with pytest.raises(PixlateError, match=r"expected a file without batch norm for --start-from, .*batch\.onnx, whose convolutions have taken it in"):
        weights_to_start_from(str(tmp_path / "batch.onnx"), gan)


def test_a_file_of_8_bits_is_refused(tmp_path: Path) -> None:
    gan = build("srgan", 1, network="msrresnet")
    export_gan(gan, tmp_path / "model.onnx", ORIGIN, ExportOptions("float"))
    file = onnx.load(tmp_path / "model.onnx")
    (spec,) = (item for item in file.metadata_props if item.key == METADATA_KEY)
    spec.value = replace(ModelSpec.from_json(spec.value), precision="int8").to_json()
    onnx.save(file, tmp_path / "model.onnx")
    with pytest.raises(PixlateError, match=r"expected weights of 16 or 32 bits for --start-from, got .*model\.onnx, which rounds them to 8; name the run"):
        weights_to_start_from(str(tmp_path / "model.onnx"), gan)


@pytest.mark.parametrize("name", ["upscale-x2", "photo-x4", "day-to-night", "night-to-day", "sketch-to-photo"])
def test_ready_models_can_be_trained_on(name: str) -> None:
    weights = weights_to_start_from(name, build("pix2pix", 1))
    (generator,) = {key.split(".")[1] for key in weights}
    assert generator == ("target_to_source" if name == "night-to-day" else "source_to_target")
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values()) and len(weights) > 10
