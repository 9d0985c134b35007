"""What a model file says about itself: there and back, and refused where it is wrong."""

import json
import re
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelInput, ModelSpec, Norm, Precision, Provenance

counts = st.integers(1, 65_536)
specs = st.builds(
    ModelSpec,
    method=st.text(),
    direction=st.text(),
    scale=st.integers(1, 64),
    channels_in=counts,
    channels_out=counts,
    multiple=counts,
    minimum=counts,
    tiling_exact=st.booleans(),
    whole=st.booleans(),
    halo=st.integers(0, 65_536),
    norm=st.sampled_from(get_args(Norm)),
    precision=st.sampled_from(get_args(Precision)),
    provenance=st.builds(Provenance, data=st.text(), steps=st.integers(0, 2**63), seed=st.integers(), licence=st.text(), version=st.text()),
)


@given(specs)
def test_json_gives_the_same_spec_back(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@given(specs, st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_keys_of_a_newer_pixlate_are_ignored(spec: ModelSpec, more: dict[str, Any]) -> None:
    values = more | asdict(spec)
    values["provenance"] = more | values["provenance"]
    assert ModelSpec.from_json(json.dumps(values)) == spec


@given(
    st.dictionaries(st.sampled_from(sorted(asdict(ModelSpec()))), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
)
def test_any_object_is_a_valid_spec_or_refused(values: dict[str, Any]) -> None:
    try:
        spec = ModelSpec.from_json(json.dumps(values))
    except PixlateError as error:
        assert re.search(r"expected .* got .*; (export|update)", str(error), re.DOTALL)
    else:
        assert ModelSpec.from_json(spec.to_json()) == spec


@given(st.text())
def test_any_text_is_a_valid_spec_or_refused(text: str) -> None:
    try:
        ModelSpec.from_json(text)
    except PixlateError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', '{"provenance": []}', '{"provenance": {"steps": "many"}}', "[" * 100_000])
def test_text_that_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(PixlateError, match=r"model spec: expected .*; export the model again"):
        ModelSpec.from_json(text)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"scale": 0}, "scale to be a whole number of at least 1, got 0"),
        ({"scale": 2.0}, "scale to be a whole number of at least 1, got 2.0"),
        ({"scale": True}, "scale to be a whole number of at least 1, got True"),
        ({"channels_in": "3"}, "channels_in to be a whole number of at least 1, got '3'"),
        ({"multiple": -4}, "multiple to be a whole number of at least 1, got -4"),
        ({"halo": -1}, "halo to be a whole number of at least 0, got -1"),
        ({"tiling_exact": "yes"}, "tiling_exact to be true or false, got 'yes'"),
        ({"norm": "layer"}, "norm to be one of none, running, per-image, got 'layer'"),
        ({"precision": "int3"}, "precision to be one of float32, float16, bfloat16, int8, got 'int3'"),
        ({"method": 3}, "method to be a text, got 3"),
    ],
)
def test_wrong_value_is_refused_with_the_value_received(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        ModelSpec.from_json(json.dumps(values))


def test_provenance_is_replaced_and_nothing_else() -> None:
    spec, origin = ModelSpec(method="srgan", scale=4), Provenance(data="photographs", steps=7)
    assert spec.with_provenance(origin) == replace(spec, provenance=origin)


LABEL = ModelInput("hair", "label", choices=("black", "blond"), default="blond")
MASK = ModelInput("hole", "mask")
VECTOR = ModelInput("style", "vector", length=2, default=(0.5, -1.0))
NOISE = ModelInput("noise", "noise", length=8)
IMAGE = ModelInput("image", "image")


def test_inputs_survive_json() -> None:
    spec = ModelSpec(inputs=(IMAGE, LABEL, MASK, VECTOR, NOISE), padding="reflect")
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert spec.conditions == (LABEL, MASK, VECTOR, NOISE)


def test_a_spec_without_inputs_takes_the_image_alone_and_pads_by_edges() -> None:
    spec = ModelSpec.from_json('{"scale": 2}')
    assert (spec.inputs, spec.conditions, spec.takes_image, spec.padding) == ((), (), True, "edge")


def test_inputs_without_an_image_are_a_sampler() -> None:
    assert not ModelSpec(inputs=(NOISE,)).takes_image


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (
            [{"name": "depth", "kind": "cloud"}],
            "kind of the input 'depth' to be one of image, mask, label, vector, noise, reference, got 'cloud'; update Pixlate",
        ),
        ([{"name": "hair", "kind": "label"}], "choices with names of their own for the label hair, got ()"),
        ([{"name": "hair", "kind": "label", "choices": ["a", "a"]}], "choices with names of their own for the label hair, got ('a', 'a')"),
        ([{"name": "hair", "kind": "mask", "choices": ["a"]}], "no choices for the mask hair, got ('a',)"),
        ([{"name": "style", "kind": "vector"}], "a length of at least 1 for the vector style, got 0"),
        ([{"name": "z", "kind": "noise"}], "a length of at least 1 for the noise z, got 0"),
        ([{"name": "hole", "kind": "mask"}, {"name": "hole", "kind": "mask"}], "a name of its own for each input, got 'hole' twice"),
        ([{"name": "image", "kind": "image"}, {"name": "other", "kind": "image"}], "one image among the inputs, got image and other"),
        ([{"name": "photo", "kind": "image"}], "the image, and nothing else, to be the input named image, got the image photo"),
        ([{"name": "image", "kind": "noise", "length": 1}], "the image, and nothing else, to be the input named image, got the noise image"),
        ([{"name": "hole", "kind": "mask"}, {"name": "image", "kind": "image"}], "the image to be the first input, got it after hole"),
        ([{"name": "hole", "kind": "mask"}], "an image beside a mask, got none"),
        ([{"name": "hole", "kind": "mask", "channels": 3}], "a mask of 1 channel for the input hole, got 3"),
        ([{"name": "image", "kind": "image", "channels": 4}], "3 channels of the image, got 4"),
        ([{"name": "pixels", "kind": "mask"}], "and none of format, pixels, seed, self, translated, got 'pixels'"),
        ([{"name": "a b", "kind": "mask"}], "letters, digits and _, and none of format, pixels, seed, self, translated, got 'a b'"),
        ([{"name": "hair", "kind": "label", "choices": ["a"], "default": "b"}], "the default of the label hair to be one of its choices"),
        ([{"name": "style", "kind": "vector", "length": 2, "default": [1]}], "the default of the vector style to be one of its choices or 2 numbers"),
        (
            [{"name": "look", "kind": "reference", "channels": 3}],
            "a side and channels of at least 1, and at most 67,108,864 numbers, for the reference look, got a side of 0",
        ),
        ([{"name": "look", "kind": "reference", "side": 8}], "for the reference look, got a side of 8 and 0 channels"),
        ([{"name": "look", "kind": "reference", "side": 65536, "channels": 1}], "for the reference look, got a side of 65536 and 1 channels"),
        ([{"name": "style", "kind": "vector", "length": 2, "side": 8}], "no side for the vector style, got a side of 8"),
        ([{"kind": "mask"}], "expected a JSON object"),
    ],
)
def test_wrong_inputs_are_refused_in_one_sentence(inputs: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)) as caught:
        ModelSpec.from_json(json.dumps({"inputs": inputs}))
    assert "\n" not in str(caught.value)
