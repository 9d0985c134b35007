"""What the server says about itself: models, metrics, and the OpenAPI document."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.pixlate.conftest import Nearest
from tests.pixlate_serve.conftest import Application, picture

import pixlate
from pixlate.plugin.spec import ModelSpec, Provenance

Start = Callable[..., Application]


def numbers(application: Application) -> dict[str, float]:
    """Return the metrics as a scraper reads them."""
    answer = application.send("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"]*",?)+\})? \S+', line) for line in lines)
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_models_are_described(start: Start) -> None:
    spec = ModelSpec(method="srgan", scale=2, precision="float16", provenance=Provenance(licence="CC0"), tiling_exact=True, halo=0)
    application = start({"one": Nearest(spec), "two": Nearest()})
    described = application.send("GET", "/v1/models/one").json()
    assert described == {
        "name": "one", "method": "srgan", "direction": "source-to-target", "scale": 2, "channels_in": 3, "channels_out": 3, "precision": "float16",
        "licence": "CC0", "device": "cpu", "weights": "", "version": "", "max_pixels": 25_000_000, "conditions": [], "ready": True,
    }  # fmt: skip
    listed = application.send("GET", "/v1/models").json()["models"]
    assert listed[0] == described and [model["name"] for model in listed] == ["one", "two"]


def test_metrics_count_what_has_happened(start: Start) -> None:
    application = start({"one": Nearest(), "two": Nearest()})
    for seed in range(3):
        application.translate(picture(6, 9, seed), "one")
    application.translate(b"no image", "one")
    application.translate(picture(), "three")
    found = numbers(application)
    assert found['pixlate_requests_total{model="one",status="200"}'] == 3
    assert found['pixlate_requests_total{model="one",status="415"}'] == 1
    assert found['pixlate_requests_total{model="",status="404"}'] == 1
    assert found['pixlate_pixels_total{model="one"}'] == 3 * 54
    assert found['pixlate_request_seconds_count{model="one"}'] == found['pixlate_wait_seconds_count{model="one"}'] == 3
    assert (
        found['pixlate_batch_size_sum{model="one"}'] == found['pixlate_batch_size_count{model="one"}'] == found['pixlate_run_seconds_count{model="one"}'] == 3
    )
    assert found["pixlate_queue_depth"] == found["pixlate_queue_bytes"] == 0
    assert not any('model="two"' in name for name in found)


def test_unknown_model_names_never_become_metric_labels(start: Start) -> None:
    application = start()
    for number in range(20):
        application.translate(picture(), f"made-up-{number}")
        application.send("GET", f"/v1/models/made-up-{number}")
        application.send("GET", f"/v1/made-up-{number}")
    labels = {name for name in numbers(application) if name.startswith("pixlate_requests_total")}
    assert labels == {'pixlate_requests_total{model="",status="404"}'}


@pytest.fixture
def document(start: Start) -> dict[str, Any]:
    found: dict[str, Any] = start(token="secret").send("GET", "/openapi.json").json()
    return found


def test_openapi_lists_the_media_types_of_upload_and_answer(document: dict[str, Any]) -> None:
    images = {f"image/{format}" for format in ("jpeg", "png", "webp", "tiff", "bmp", "avif", "gif")}
    operation = document["paths"]["/v1/models/{name}:translate"]["post"]
    assert operation["requestBody"]["required"] and operation["requestBody"]["content"].keys() == images | {"application/octet-stream", "multipart/form-data"}
    assert operation["responses"]["200"]["content"].keys() == images
    assert all(content["schema"] == {"type": "string", "format": "binary"} for content in operation["responses"]["200"]["content"].values())
    assert {"400", "401", "403", "404", "406", "408", "413", "415", "422", "429", "503"} <= operation["responses"].keys()
    for status, response in operation["responses"].items():
        if status != "200":
            assert response["content"].keys() == {"application/json"}
            assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
    assert document["paths"]["/metrics"]["get"]["responses"]["200"]["content"].keys() == {"text/plain"}


def test_openapi_document_is_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1") and document["info"] == {"title": "Pixlate", "version": pixlate.__version__} | document["info"]
    assert document["paths"].keys() == {"/v1/models/{name}:translate", "/v1/models", "/v1/models/{name}", "/metrics", "/healthz", "/readyz"}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 6
    for reference in re.findall(r'#/components/(\w+)/(\w+)"', str(document).replace("'", '"')):
        assert reference[1] in document["components"][reference[0]]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"] and all(response["description"] for response in operation["responses"].values())
            declared = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


def test_openapi_asks_for_the_token_where_the_server_does(document: dict[str, Any], start: Start) -> None:
    assert document["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    asked = {path for path, methods in document["paths"].items() for operation in methods.values() if operation.get("security")}
    assert asked == {"/v1/models/{name}:translate", "/v1/models", "/v1/models/{name}", "/metrics"}
    assert "securitySchemes" not in start().send("GET", "/openapi.json").json()["components"]
