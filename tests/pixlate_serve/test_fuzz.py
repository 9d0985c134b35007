"""Whatever is sent, the server answers with a sentence and never with an error of its own."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pixlate.conftest import noise
from tests.pixlate_serve.conftest import Server, error_of

from pixlate.images import Picture
from pixlate.images.write import encode_picture
from pixlate_serve.transfer import MEDIA_TYPES

WHOLE = {format: encode_picture(Picture(noise(12, 17), noise(12, 17, 1)[:, :, 0]), format)[0] for format in sorted(MEDIA_TYPES)}
HEADS = [data[:length] for data in WHOLE.values() for length in (4, 12, 40)]
QUIET = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def client(launch: Callable[..., Server], model_file: object) -> Iterator[httpx.Client]:
    server = launch(model_file, max_pixels=100_000, code="import warnings; warnings.simplefilter('default'); from pixlate.cli import main; sys.exit(main())")
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
        assert client.get("/readyz").status_code == 200
        assert 'status="5' not in client.get("/metrics").text
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def check(answer: httpx.Response) -> None:
    """See that an answer is an image or a refusal."""
    assert answer.status_code == 200 or 400 <= error_of(answer)[0] < 500


@QUIET
@given(content=st.one_of(st.binary(max_size=300), st.tuples(st.sampled_from(HEADS), st.binary(max_size=300)).map(b"".join)))
def test_random_bytes_are_refused(client: httpx.Client, content: bytes) -> None:
    check(client.post("/v1/models/nearest:translate", content=content, headers={"Content-Type": "image/png"}))


@QUIET
@given(format=st.sampled_from(sorted(MEDIA_TYPES)), share=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_images_with_a_changed_byte_are_translated_or_refused(client: httpx.Client, format: str, share: float, value: int, cut: bool) -> None:
    data = bytearray(WHOLE[format])
    position = int(len(data) * share)
    data[position] = value
    check(client.post("/v1/models/nearest:translate", content=bytes(data[:position] if cut else data), headers={"Content-Type": f"image/{format}"}))


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=40)


@QUIET
@given(name=WORD.filter(bool), query=WORD, accept=WORD, declared=WORD, encoding=WORD)
def test_random_names_queries_and_headers_are_refused_or_do_no_harm(
    client: httpx.Client, name: str, query: str, accept: str, declared: str, encoding: str
) -> None:
    headers = [(b"accept", accept.encode("latin-1")), (b"content-type", declared.encode("latin-1")), (b"content-encoding", encoding.encode("latin-1"))]
    check(client.post("/v1/models/nearest:translate", params={"format": query}, content=WHOLE["png"], headers=headers))
    path = "".join(f"%{byte:02x}" for byte in name.encode())
    assert client.post(f"/v1/models/{path}:translate", content=WHOLE["png"]).status_code in (400, 404, 415)
