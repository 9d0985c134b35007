"""Every answer, line of the log and metric can be traced to a request and to the weights that answered it."""

import json
import logging
import re
import sys
from collections.abc import Callable

import pytest
from tests.pixlate.conftest import Nearest
from tests.pixlate_serve.conftest import PNG, Application, picture

from pixlate_serve.app import build_app
from pixlate_serve.logs import JsonLines, Text, request_id
from pixlate_serve.options import ServeOptions
from pixlate_serve.served_model import Weights
from pixlate_serve.service import Service

Start = Callable[..., Application]


@pytest.fixture
def application() -> Application:
    """An application whose model has known weights."""
    service = Service({"nearest": Nearest()}, ServeOptions(), weights={"nearest": Weights("ab" * 32, "0.1.0")})
    service.start()
    assert service.models["nearest"].warm.wait(30)
    return Application(service)


def test_answers_carry_the_request_id_of_the_client_or_a_new_one(start: Start) -> None:
    application = start()
    given = application.translate(picture(), headers=PNG | {"X-Request-ID": "trace-1/2:3"})
    assert given.status_code == 200 and given.headers["x-request-id"] == "trace-1/2:3"
    for unfit in ("", "two words", "x" * 101, 'quote"', "line\tbreak"):
        refused = application.translate(b"no image", headers=PNG | {"X-Request-ID": unfit})
        assert re.fullmatch("[0-9a-f]{16}", refused.headers["x-request-id"])
    assert len({application.send("GET", "/nowhere").headers["x-request-id"] for _ in range(3)}) == 3


def test_error_that_is_a_bug_carries_the_request_id_too(start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("pixlate_serve.service.decoded", lambda *arguments: 1 / 0)
    answer = start().translate(picture(), headers=PNG | {"X-Request-ID": "one"})
    assert answer.status_code == 500 and answer.headers["x-request-id"] == "one"
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_answers_metrics_and_models_name_the_weights(application: Application) -> None:
    for data, status in ((picture(), 200), (b"no image", 415)):
        answer = application.translate(data, headers=PNG | {"X-Request-ID": "trace"})
        assert answer.status_code == status and answer.headers["pixlate-model"] == f"nearest; version=0.1.0; sha256={'ab' * 32}"
    assert "pixlate-model" not in application.send("GET", "/v1/models").headers
    described = application.send("GET", "/v1/models/nearest").json()
    assert (described["weights"], described["version"]) == ("ab" * 32, "0.1.0")
    page = application.send("GET", "/metrics").text
    assert f'pixlate_model_info{{model="nearest",version="0.1.0",weights="{"ab" * 32}"}} 1.0' in page and "trace" not in page
    open_metrics = application.send("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert re.search(r'pixlate_request_seconds_bucket\{.*\} 1\.0 # \{request_id="trace"\}', open_metrics.text)
    assert re.search(r'pixlate_requests_total\{model="nearest",status="415"\} 1\.0 # \{request_id="trace"\}', open_metrics.text)
    assert application.service.close(30)


def test_log_lines_are_text_or_json_with_the_request_id(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pixlate_serve"):
        start().translate(picture(), headers=PNG | {"X-Request-ID": "trace"})
    (record,) = caplog.records
    token = request_id.set("trace")
    try:
        assert re.fullmatch(r"127\.0\.0\.1 POST /v1/models/nearest:translate 200 \d+ ms by nearest \[trace\]", Text("%(message)s").format(record))
        line = JsonLines().format(record)
    finally:
        request_id.reset(token)
    values = json.loads(line)
    assert "\n" not in line and values["ms"] >= 0 and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", values["time"])
    assert {"level": "info", "status": 200, "method": "POST", "model": "nearest", "request_id": "trace"}.items() <= values.items()


def test_traceback_is_part_of_the_json_line() -> None:
    try:
        raise ValueError("odd\nthing")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "unexpected %s", ("error",), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line and "ValueError: odd" in json.loads(line)["traceback"] and json.loads(line)["message"] == "unexpected error"


def test_application_is_built_without_a_network(application: Application) -> None:
    assert build_app(application.service)
    page = application.send("GET", "/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url: '([^']+)'", page)
    assert len(addresses) >= 3 and all(address.startswith("/") for address in addresses)
    assert "http://" not in page and "https://" not in page
    for address in addresses:
        assert application.send("GET", address).status_code == 200, address
    assert application.service.close(30)
