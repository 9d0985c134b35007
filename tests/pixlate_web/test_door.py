"""Who may use the page, and what of Gradio can be reached: a server of its own with a token, asked without a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.pixlate_web.conftest import PATIENCE_MS, Site, ended, started

TOKEN = "a-secret-for-tests"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that asks for a token."""
    site = started(tmp_path_factory.mktemp("guarded"), PIXLATE_TOKEN=TOKEN)
    yield site
    assert ended(site) == 0


@pytest.fixture
def client(guarded: Site) -> Iterator[httpx.Client]:
    """A client that has given the token."""
    with httpx.Client(base_url=guarded.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE_MS / 1000) as client:
        assert client.get("/").status_code == 200
        yield client


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/pixlate/page.js", "/gradio_api/queue/data?session_hash=x"])
@pytest.mark.parametrize("token", ["", "another", TOKEN[:-1]])
def test_nothing_is_answered_without_the_token(guarded: Site, path: str, token: str) -> None:
    answer = httpx.get(guarded.address + path, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=PATIENCE_MS / 1000)
    assert answer.status_code == 401


def test_token_is_asked_for_once_and_stays_in_no_address(guarded: Site) -> None:
    with httpx.Client(base_url=guarded.address, timeout=PATIENCE_MS / 1000) as visitor:
        assert 'name="token"' in visitor.get("/").text
        assert "That was not the token" in visitor.get("/", params={"token": "another"}).text
        answer = visitor.get("/", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=strict" in cookie and TOKEN not in cookie
        assert visitor.get("/config").status_code == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_other_sites_are_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.get("/config", headers=headers).status_code == 403
    assert client.post("/pixlate/pictures/x", params={"name": "x.png"}, headers=headers, content=b"x").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/file=http://127.0.0.1/x.png",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=/../../../etc/passwd",
        "/gradio_api/runs",
        "/gradio_api/stream/x",
        "/pixlate/folder/x/0/output",
        "/pixlate/view/x/1/source",
        "/pixlate/..%2fapp.py",
        "/monitoring",
    ],
)
def test_nothing_else_of_gradio_or_the_disk_is_reachable(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, path)
        assert answer.status_code in (403, 404, 405)
        assert "root:" not in answer.text


def test_browsers_are_told_to_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and not re.search("https?:", policy)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_folder_that_was_not_named_is_refused_whatever_a_request_says(client: httpx.Client, tmp_path: Path) -> None:
    components = {each["id"]: each for each in client.get("/config").json()["components"]}
    convert = next(each for each in client.get("/config").json()["dependencies"] if len(each["inputs"]) == 8)
    labels = [components[number]["props"].get("label") for number in convert["inputs"]]
    assert labels[:2] == ["Folder", "Into its folder"]
    data = [str(tmp_path), "translated", "clean", 1, "of the model", 2, "as it is", 95]
    client.post("/gradio_api/queue/join", json={"data": data, "fn_index": convert["id"], "session_hash": "made-up"}).raise_for_status()
    told = ""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "made-up"}) as stream:
        for line in stream.iter_lines():
            told += line
            if "process_completed" in line:
                break
    assert "not in the list of choices" in told or "expected a folder that the page was started with" in told
    assert list(tmp_path.iterdir()) == []
