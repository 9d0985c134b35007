"""Which names the server answers to, and which web pages may use it."""

from collections.abc import Callable

import pytest
from tests.pixlate_serve.conftest import PNG, Application, error_of, picture

from pixlate.errors import PixlateError
from pixlate_serve.options import ServeOptions

Start = Callable[..., Application]
URL = "/v1/models/nearest:translate"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1", "127.0.0.1:8000", "127.8.8.8", "[::1]", "[::1]:8000", "images.example"]
)
def test_names_of_this_machine_and_allowed_ones_are_answered(start: Start, host: str) -> None:
    assert start(allow_host=("Images.example",)).send("GET", "/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.0.1:8000", "[::1", "user@evil.example"])
def test_other_names_are_refused_where_only_this_machine_can_connect(start: Start, host: str) -> None:
    for method, url in (("POST", URL), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/healthz")):
        assert error_of(start().send(method, url, content=picture(), headers=PNG | {"Host": host}))[:2] == (403, "wrong_host")
    assert start(host="0.0.0.0", without_token=True).send("GET", "/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:9999", "https://localhost.evil.example", "null", "", "http://[", "file://"])
def test_pages_of_other_sites_are_refused(start: Start, origin: str) -> None:
    application = start()
    answer = application.translate(picture(), headers=PNG | {"Origin": origin})
    assert error_of(answer)[:2] == (403, "foreign_origin") and "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert error_of(application.send("OPTIONS", URL, headers=preflight))[:2] == (403, "foreign_origin")


def test_own_pages_are_answered(start: Start) -> None:
    application = start()
    assert application.translate(picture(), headers=PNG | {"Origin": "http://localhost"}).status_code == 200
    behind = PNG | {"Origin": "https://images.example", "Sec-Fetch-Site": "same-origin"}  # a proxy changes Host, the browser says where the page is from
    assert application.translate(picture(), headers=behind).status_code == 200


@pytest.mark.parametrize("allowed", ["https://app.example", "*"])
def test_allowed_pages_are_answered_and_their_preflights_without_the_token(start: Start, allowed: str) -> None:
    application = start(allow_origin=("https://other.example", allowed), token="secret")
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}
    preflight = application.send("OPTIONS", URL, headers=asked)
    assert preflight.status_code == 200 and "POST" in preflight.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(preflight.headers["access-control-allow-headers"].replace(" ", "").split(","))
    answer = application.translate(picture(), headers=PNG | {"Origin": "https://app.example", "Authorization": "Bearer secret"})
    assert answer.status_code == 200 and "Pixlate-Notes" in answer.headers["access-control-expose-headers"]
    for found in (preflight, answer, application.translate(picture(), headers=PNG | {"Origin": "https://app.example"})):
        assert found.headers["access-control-allow-origin"] in ("https://app.example", "*")
    if allowed != "*":
        assert error_of(application.translate(picture(), headers=PNG | {"Origin": "https://evil.example"}))[:2] == (403, "foreign_origin")


@pytest.mark.parametrize("origin", ["example.com", "https://example.com/", "https://example.com/page", "", "https://a b"])
def test_origin_that_no_browser_sends_is_refused_as_an_option(origin: str) -> None:
    with pytest.raises(PixlateError, match="--allow-origin to be such as"):
        ServeOptions(allow_origin=(origin,))
