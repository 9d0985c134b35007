"""What a model file says about itself: there and back, and refused where it is wrong."""

import json
import re
from dataclasses import asdict, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlate.errors import PixlateError
from pixlate.plugin.spec import ModelSpec, Norm, Precision, Provenance

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
    halo=st.integers(0, 65_536),
    norm=st.sampled_from(get_args(Norm)),
    precision=st.sampled_from(get_args(Precision)),
    provenance=st.builds(Provenance, data=st.text(), steps=st.integers(0, 2**63), seed=st.integers(), licence=st.text(), version=st.text()),
)


@given(specs)
def test_json_gives_the_same_spec_back(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@given(specs, st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_keys_of_a_newer_pixlate_are_passed_over(spec: ModelSpec, more: dict[str, Any]) -> None:
    values = more | asdict(spec)
    values["provenance"] = more | values["provenance"]
    assert ModelSpec.from_json(json.dumps(values)) == spec


@given(
    st.dictionaries(st.sampled_from(sorted(asdict(ModelSpec()))), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
)
def test_any_object_is_a_right_spec_or_refused(values: dict[str, Any]) -> None:
    try:
        spec = ModelSpec.from_json(json.dumps(values))
    except PixlateError as error:
        assert re.search(r"expected .* got .*; (export|update)", str(error), re.DOTALL)
    else:
        assert ModelSpec.from_json(spec.to_json()) == spec


@given(st.text())
def test_any_text_is_a_right_spec_or_refused(text: str) -> None:
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
def test_wrong_value_is_refused_with_what_came(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PixlateError, match=re.escape(sentence)):
        ModelSpec.from_json(json.dumps(values))


def test_provenance_is_replaced_and_nothing_else() -> None:
    spec, origin = ModelSpec(method="srgan", scale=4), Provenance(data="photographs", steps=7)
    assert spec.with_provenance(origin) == replace(spec, provenance=origin)
