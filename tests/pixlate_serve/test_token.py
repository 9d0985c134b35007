"""Who may use the server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.pixlate_serve.conftest import PNG, Application, error_of, picture

from pixlate.errors import PixlateError
from pixlate_serve.options import ServeOptions, token_of

Start = Callable[..., Application]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer secret2", "Bearer secre", "Basic secret", "secret", "Bearer s\xe9"]
)
def test_missing_or_wrong_token_is_refused_for_everything_that_does_work(start: Start, authorization: str | None) -> None:
    application = start(token="secret")
    headers = [(name.encode(), value.encode()) for name, value in PNG.items()]
    headers += [(b"Authorization", authorization.encode("latin-1"))] if authorization is not None else []
    for method, url in (
        ("POST", "/v1/models/nearest:translate"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/nearest"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
    ):
        answer = application.send(method, url, content=picture(), headers=headers)
        assert error_of(answer)[:2] == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_right_token_grants_access_to_everything(start: Start) -> None:
    application = start(token="secret")
    for scheme in ("Bearer", "bearer"):
        assert application.translate(picture(), headers=PNG | {"Authorization": f"{scheme} secret"}).status_code == 200
    assert application.send("GET", "/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_health_endpoints_and_docs_need_no_token(start: Start) -> None:
    application = start(token="secret")
    assert [application.send("GET", path).status_code for path in ("/healthz", "/readyz", "/openapi.json", "/docs")] == [200] * 4


def test_two_tokens_in_one_request_are_refused(start: Start) -> None:
    headers = [(b"content-type", b"image/png"), (b"authorization", b"Bearer secret"), (b"authorization", b"Bearer wrong")]
    assert start(token="secret").send("GET", "/v1/models", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_addresses_of_this_machine_alone_need_no_token(host: str) -> None:
    assert token_of(ServeOptions(host=host), "") == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])
def test_public_addresses_need_a_token_or_without_token(host: str) -> None:
    with pytest.raises(PixlateError, match=r"expected a token, since other machines can connect .* --without-token to let anybody in"):
        token_of(ServeOptions(host=host), "")
    assert token_of(ServeOptions(host=host, without_token=True), "from-environment") == ""
    assert token_of(ServeOptions(host=host, token="given"), "") == "given"
    assert token_of(ServeOptions(host=host), "from-environment") == "from-environment"


def test_token_is_read_from_the_first_line_of_a_file_and_goes_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("from-file \nsecond\n")
    assert token_of(ServeOptions(token_file=path), "from-environment") == "from-file"
    for content in ("", "\n", "  \nsecond"):
        path.write_text(content)
        with pytest.raises(PixlateError, match="got an empty one"):
            token_of(ServeOptions(token_file=path), "")
    with pytest.raises(PixlateError, match=r"cannot be read \(No such file"):
        token_of(ServeOptions(token_file=tmp_path / "missing"), "")


@pytest.mark.parametrize("token", ["two words", "tab\t", "ümlaut", "line\nbreak"])
def test_token_that_no_header_holds_is_refused(token: str) -> None:
    with pytest.raises(PixlateError, match="without blanks; make one"):
        token_of(ServeOptions(token=token), "")


def test_token_is_not_shown_with_the_options() -> None:
    assert "secret" not in repr(ServeOptions(token="secret"))


def test_contradicting_options_are_refused() -> None:
    with pytest.raises(PixlateError, match="--token or --token-file, got both"):
        ServeOptions(token="x", token_file=Path("y"))
    with pytest.raises(PixlateError, match="a token or --without-token, got both"):
        ServeOptions(token="x", without_token=True)


def test_empty_token_is_not_taken_for_none() -> None:
    with pytest.raises(PixlateError, match="expected --token to be a secret, got nothing in quotes"):
        ServeOptions(token="")


def test_token_file_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("a" * 100_000)
    with pytest.raises(PixlateError, match=r"expected a token of at most 4096 letters .* got more; check its path"):
        token_of(ServeOptions(token_file=tmp_path / "long"), "")
    (tmp_path / "long").write_text("a" * 4096 + "\n" + "b" * 100_000)
    assert token_of(ServeOptions(token_file=tmp_path / "long"), "") == "a" * 4096
