"""The server as a process: slow and lying clients, connections, and the ways it stops."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.pixlate.conftest import nearest, noise
from tests.pixlate_serve.conftest import PNG, Server, error_of, file, held, picture, pixels_of

Launch = Callable[..., Server]
REQUEST = b"POST /v1/models/nearest:translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@pytest.fixture(scope="module")
def impatient(launch: Launch, model_file: Path) -> Server:
    """A server that gives slow clients one second."""
    return launch(model_file, timeout_s=1)


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """Open a connection that gives up after a minute."""
    with socket.create_connection(server.address, timeout=60) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d+) ", answer)
    return int(found[1]) if found else 0


def test_answer_comes_over_the_network_and_the_connection_is_kept(server: Server) -> None:
    with httpx.Client(base_url=server.url, headers=PNG) as client:
        for seed in range(3):
            pixels = noise(6, 9, seed=seed)
            answer = client.post("/v1/models/nearest:translate", content=file(pixels))
            assert answer.status_code == 200 and np.array_equal(pixels_of(answer.content), nearest(pixels[None], 2)[0])


def test_large_answer_comes_whole(server: Server) -> None:
    pixels = noise(200, 200)
    answer = server.translate(file(pixels, quality=50, format="JPEG"), params={"format": "bmp"})
    assert len(answer.content) == 400 * 400 * 3 + 54


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_answer_to_an_upload_that_is_much_too_large_is_not_lost(server: Server, closing: bool, chunked: bool) -> None:
    headers = PNG | ({"Connection": "close"} if closing else {})
    content = (bytes(100_000) for _ in range(200)) if chunked else bytes(20_000_000)
    answer = httpx.post(f"{server.url}/v1/models/nearest:translate", content=content, headers=headers, timeout=30)
    assert error_of(answer)[:2] == (413, "too_many_bytes")


def test_answer_to_a_client_that_closes_its_connection_afterwards_is_not_lost(server: Server) -> None:
    request = urllib.request.Request(f"{server.url}/v1/models/none:translate", bytes(20_000_000), PNG)
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(request, timeout=30)
    assert answer.value.code == 404 and json.load(answer.value)["error"]["code"] == "unknown_model"
    answer.value.close()


def test_expect_100_continue_is_refused_before_the_body_is_sent(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(REQUEST + b"Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n")
        answer = everything(connection)
    assert status_of(answer) == 413 and b"100 Continue" not in answer


def test_expect_100_continue_is_answered_100(server: Server) -> None:
    data = picture()
    with connected(server) as connection:
        connection.sendall(REQUEST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(data))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(data)
        assert status_of(everything(connection)) == 200


def test_body_shorter_than_declared_times_out(impatient: Server) -> None:
    with connected(impatient) as connection:
        connection.sendall(REQUEST + b"Content-Length: 200000\r\n\r\n" + picture())
        answer = connection.recv(1 << 16)
        while b"}}" not in answer:
            answer += connection.recv(1 << 16)
    assert status_of(answer) == 408 and b"too_slow" in answer
    with connected(impatient) as connection:
        connection.sendall(REQUEST + b"Content-Length: 200000\r\n\r\n" + picture())
    assert impatient.translate(picture()).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
def test_connection_without_a_whole_head_is_closed(impatient: Server, sent: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(sent)
        assert everything(connection) == b""


def test_connection_that_is_kept_waits_longer_for_its_next_request_than_for_its_first(impatient: Server) -> None:
    with connected(impatient) as kept, connected(impatient) as silent:
        for _ in range(2):
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = kept.recv(1 << 16)
            while b"alive" not in answer:
                answer += kept.recv(1 << 16)
            assert status_of(answer) == 200
            everything(silent)  # which ends when it is closed


FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); from pixlate.cli import main; sys.exit(main())"


def test_more_connections_than_files_the_process_may_open_leave_the_server_answering(launch: Launch, model_file: Path) -> None:
    server = launch(model_file, code=FEW_FILES)
    with ExitStack() as opened:
        for _ in range(300):
            opened.enter_context(connected(server))
        assert server.translate(picture()).status_code == 200
    assert server.stop() == 0
    assert server.log.read_text() == ""


def test_bytes_beyond_the_declared_length_are_not_part_of_the_picture(server: Server) -> None:
    data = picture()
    with connected(server) as connection:
        connection.sendall(REQUEST + b"Content-Length: %d\r\n\r\n" % len(data) + data + b"more\r\n\r\n")
        first, second = re.findall(rb"HTTP/1\.1 (\d+) ", everything(connection))
    assert (first, second) == (b"200", b"400")


@pytest.mark.parametrize("sent", [
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffffffff\r\n", b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
])  # fmt: skip
def test_upload_that_is_not_in_the_declared_encoding_is_answered_counted_and_logged_as_400(server: Server, sent: bytes) -> None:
    before = server.metric('pixlate_requests_total{model="nearest",status="400"}')
    with connected(server) as connection:
        connection.sendall(REQUEST + sent)
        answer = everything(connection)
    assert status_of(answer) == 400 and b"bad_upload" in answer and b"x-request-id" in answer
    assert server.metric('pixlate_requests_total{model="nearest",status="400"}') == before + 1


@pytest.mark.parametrize("headers", [b"Content-Length: 200000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nffff\r\n"])
@pytest.mark.parametrize("part", [0, 100])
def test_upload_that_is_cut_off_by_a_client_that_still_reads_is_answered(server: Server, headers: bytes, part: int) -> None:
    with connected(server) as connection:
        connection.sendall(REQUEST + headers + picture()[:part])
        connection.shutdown(socket.SHUT_WR)
        answer = everything(connection)
    assert status_of(answer) == 400 and b"bad_upload" in answer


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 20000000\r\n\r\n", b"Content-Length: 99\r\n\r\nno image", b"Transfer-Encoding: chunked\r\n\r\n4\r\nnone\r\nzz\r\n"]
)
def test_refused_upload_that_is_cut_off_leaves_the_server_in_order(server: Server, sent: bytes) -> None:
    path = REQUEST.replace(b"nearest", b"missing")
    with connected(server) as connection:
        connection.sendall(path + sent)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(everything(connection)) == 404
    assert server.translate(picture()).status_code == 200


@pytest.mark.parametrize("sent", [
    b"hello\r\n\r\n",  b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000,
    REQUEST + b"Content-Length: -1\r\n\r\n", REQUEST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", REQUEST + b"Content-Length: x\r\n\r\n",
    REQUEST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", REQUEST + b"Transfer-Encoding: gzip\r\n\r\n",
])  # fmt: skip
def test_bytes_that_are_not_http_are_a_bad_request(server: Server, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        answer = everything(connection)
    assert status_of(answer) in (400, 431, 501)


def test_client_that_does_not_read_its_answer_does_not_occupy_the_queue(impatient: Server) -> None:
    before = impatient.metric('pixlate_pixels_total{model="nearest"}')
    data = file(np.zeros((1500, 1500, 3), np.uint8))
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(impatient.address)
        path = REQUEST.replace(b":translate", b":translate?format=bmp")
        connection.sendall(path + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        impatient.wait_for('pixlate_pixels_total{model="nearest"}', before + 1500 * 1500)
        impatient.wait_for("pixlate_queue_bytes", 0)
        connection.settimeout(60)
        assert len(everything(connection)) < 3000 * 3000 * 3


def test_client_that_goes_away_leaves_nothing_behind(server: Server) -> None:
    data = picture(100, 100)
    for sent in (b"", data[: len(data) // 2], data):
        for _ in range(5):
            with connected(server) as connection:
                connection.sendall(REQUEST + b"Content-Length: %d\r\n\r\n" % len(data) + sent)
    server.wait_for("pixlate_queue_depth", 0)
    server.wait_for("pixlate_queue_bytes", 0)


@contextmanager
def waiting(server: Server, count: int) -> Iterator[list["Future[httpx.Response]"]]:
    """Have that many pictures accepted by a server whose model blocks."""
    with ThreadPoolExecutor(count) as threads:
        answers = [threads.submit(server.translate, picture(seed=seed)) for seed in range(count)]
        server.wait_for("pixlate_queue_depth", count)
        yield answers


def test_signal_during_work_drains_all_accepted_requests(launch: Launch, model_file: Path, tmp_path: Path) -> None:
    with held(launch, model_file, tmp_path) as (server, release), waiting(server, 8) as answers:
        server.signal()
        assert error_of(server.translate(picture()))[:2] == (503, "stopping")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        release()
    assert [answer.result().status_code for answer in answers] == [200] * 8
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_idle_server_stops_at_once_with_exit_code_0(launch: Launch, model_file: Path, number: signal.Signals) -> None:
    server = launch(model_file, grace_s=3600)
    with httpx.Client(base_url=server.url) as client:
        client.get("/healthz")
        server.process.send_signal(number)
        assert server.process.wait(60) == 0
    assert server.log.read_text() == ""


def test_second_signal_stops_at_once(launch: Launch, model_file: Path, tmp_path: Path) -> None:
    with held(launch, model_file, tmp_path, grace_s=3600) as (server, _), waiting(server, 1) as (answer,):
        server.signal()
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 130
        with pytest.raises(httpx.HTTPError):
            answer.result()


def test_requests_not_finished_within_the_grace_period_are_answered_503_with_exit_code_1(launch: Launch, model_file: Path, tmp_path: Path) -> None:
    with held(launch, model_file, tmp_path, grace_s=0.2) as (server, _), waiting(server, 4) as answers:
        server.process.send_signal(signal.SIGTERM)
        assert [answer.result().status_code for answer in answers] == [503] * 4
        assert server.process.wait(60) == 1
    assert "Traceback" not in server.log.read_text()


STUCK = """
import ctypes, sys
from pixlate.cli import main
from pixlate_serve import service, watchdog

watchdog.LEAST_S = watchdog.AGAIN_S = {least_s}
service.decoded = lambda *arguments: ctypes.PyDLL(None).usleep(600_000_000)  # keeps Python's lock, as some decoders do
sys.exit(main())
"""
"""Program of a server that a decoder keeps from handling signals."""


@pytest.mark.parametrize("signals", [1, 2])
def test_decoder_that_keeps_the_server_from_handling_signals_does_not_keep_it_from_ending(launch: Launch, model_file: Path, signals: int) -> None:
    server = launch(model_file, code=STUCK.format(least_s=0.5), grace_s=600 if signals == 2 else 0.5)
    with connected(server) as connection:
        data = picture()
        connection.sendall(REQUEST + b"Content-Length: %d\r\n\r\n" % len(data) + data)
        with pytest.raises(httpx.ReadTimeout):
            while True:
                httpx.get(f"{server.url}/healthz", timeout=0.5)
        for number in (signal.SIGTERM, signal.SIGINT)[:signals]:
            server.process.send_signal(number)
        assert server.process.wait(60) == -signal.SIGKILL


def test_server_whose_models_all_fail_their_first_picture_ends_with_the_reason(model_file: Path) -> None:
    script = """
import sys
from pixlate.cli import main
from pixlate.inference.executor import Executor
from pixlate.errors import PixlateError

def fail(*arguments, **named):
    raise PixlateError("no kernel image is available")

Executor.__call__ = fail
sys.exit(main())
"""
    words = [sys.executable, "-c", f"import sys; sys.argv[1:1] = ['serve']{script}", str(model_file), "--port", "0", "--device", "cpu", "--log-format", "json"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    first, second = done.stderr.splitlines()
    assert done.returncode == 2 and not done.stdout and "expected a model that translates" in second
    assert json.loads(first)["message"].endswith("so it is not ready: no kernel image is available")
