"""Options of the server; the string under a field is its help on the command line."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pixlate.convert.options import Arithmetic
from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_strength, check_types
from pixlate.system.memory import granted_memory

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/]+")
MOST_LETTERS = 4096
"""Letters of a token in a file: no client sends more in a header, and a path may be that of a device without an end."""
MOST_MEMORY = 2_000_000_000
"""Bytes of ``--memory auto``, where the machine has twice as many."""


@dataclass(frozen=True)
class ServeOptions:
    """How models are served."""

    host: str = "127.0.0.1"
    """Address to listen on; one reachable from other machines needs a token."""
    port: int = 8000
    """Port to listen on; 0 uses a free one and prints it."""
    token: str | None = field(default=None, repr=False)
    """Secret that clients send as `Authorization: Bearer TOKEN`; in a file or in PIXLATE_TOKEN it is not visible in the list of processes."""
    token_file: Path | None = None
    """File whose first line is the token."""
    without_token: Annotated[bool, Parameter(negative="")] = False
    """Listen without a token even if other machines can connect: anybody who can reach the port may use it."""
    strength: float | None = None
    """How strongly the model changes a picture, from 0 to 1, where a request does not say so by ?strength=: 1, the default, is all of it, 0.5 half of it, mixed with
    the upload, 0 nothing. With --blend-with it mixes the two models instead, for all requests: 1 is the model served alone, 0 the other."""
    blend_with: str | None = None
    """Another ready model or ONNX file of the network of the one model that is served, to mix with it: each weight is between those of the two files, as --strength says."""
    device: str = "auto"
    """Where the models run: auto, cpu, cuda, cuda:N, or with openvino Intel's gpu, gpu:N or npu. A device named explicitly is used or refused."""
    runtime: str = "auto"
    """What runs the models: auto, which is onnxruntime, or openvino, or another that a plugin offers."""
    arithmetic: Arithmetic = "auto"
    """What the models are computed in: auto, which is that of their files, float32, or bfloat16, which CPUs with units for it compute up to six times as fast; `pixlate
    convert` says how near that is on your pictures. What would be in bfloat16 is in float32 for pictures of 16 bits."""
    tile: Literal["auto", "off"] | int = "auto"
    """Side of the tiles large images are cut into, in source pixels: auto fits the device, off runs every image whole."""
    batch: Literal["auto"] | int = "auto"
    """Most images of one size that run together; auto fits the device."""
    bucket: Literal["auto", "off"] | int = "auto"
    """Sides are padded to a multiple of this, so that images of many sizes run together; the answer is cropped. auto fits the device."""
    batch_wait_ms: float = 2.0
    """Longest time, in milliseconds, an image waits for others of its size while its batch is not full."""
    queue: int = 100
    """Most images in progress or queued; more are answered 429."""
    memory: Literal["auto"] | int = "auto"
    """Most bytes of uploads, pixels and answers in memory at once; more are answered 429. auto is half of the machine's or container's, at most 2 GB."""
    max_bytes: int = 50_000_000
    """Largest upload, in bytes; a larger one is answered 413."""
    max_pixels: int = 25_000_000
    """Largest image, in source pixels; a larger one is answered 413 before it is decoded, as is one that --memory or --deadline is too small for."""
    deadline: float = 60.0
    """Seconds from the end of an upload to its answer: what takes longer at the measured speed of its model is answered 413, what is late 503."""
    quality: int = 95
    """Quality of JPEG, WebP and AVIF, 1 to 100."""
    strip_metadata: Annotated[bool, Parameter(negative="")] = False
    """Drop EXIF, ICC profile (colours are converted to sRGB), XMP and resolution, and do not record the origin."""
    threads: int = 0
    """Threads that decode and encode images; 0 uses one per core."""
    timeout_s: float = 60.0
    """Seconds a client may take to send its image, and to receive each chunk of its answer."""
    grace_s: float = 30.0
    """Seconds from SIGTERM, SIGHUP or Ctrl-C to the end of the process; accepted images are finished in all but the last few."""
    allow_origin: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Origin of web pages that may use the server, such as https://example.com, or * for all; repeatable. Other pages than its own are refused."""
    allow_host: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Name besides localhost that clients may give in the header Host where only this machine can connect, as behind a proxy; repeatable."""
    log_requests: Annotated[bool, Parameter(negative="")] = False
    """Print a line for each answer on standard error."""
    log_format: Literal["text", "json"] = "text"
    """Form of what is printed on standard error: text, or a JSON object in each line."""

    @property
    def most_bytes(self) -> int:
        """Return the number of bytes that ``memory`` stands for."""
        if isinstance(self.memory, int):
            return self.memory
        return min(MOST_MEMORY, granted_memory() // 2 or MOST_MEMORY)

    def __post_init__(self) -> None:
        check_types(self)
        check_strength(self.strength, self.blend_with)
        check_least(self, port=0, batch=1, bucket=1, tile=16, batch_wait_ms=0, queue=1, memory=1_000_000, max_bytes=1, max_pixels=1, quality=1)
        check_least(self, threads=0, timeout_s=0.1, grace_s=0, deadline=1)
        check_most(self, port=65535, batch_wait_ms=60_000, quality=100)
        for origin in self.allow_origin:
            if not _ORIGIN.fullmatch(origin):
                raise PixlateError(f"expected --allow-origin to be such as https://example.com, without a path, null or *, got {origin!r}; change it")
        if self.token == "":
            raise PixlateError("expected --token to be a secret, got nothing in quotes, with which anybody would get in; write one, or leave it out")
        if self.token and self.token_file is not None:
            raise PixlateError("expected --token or --token-file, got both; leave one of them out")
        if self.without_token and (self.token or self.token_file is not None):
            raise PixlateError("expected a token or --without-token, got both; leave one of them out")


def token_of(options: ServeOptions, environment: str) -> str:
    """Return the token clients must send, empty where none is asked for: that of the options goes before PIXLATE_TOKEN of the environment.

    Raises:
        PixlateError: The token is not valid in a header, or there is none and other machines can connect.
    """
    token = options.token or (_read(options.token_file) if options.token_file is not None else environment)
    if options.without_token:
        return ""
    if not token and not is_loopback(options.host):
        raise PixlateError(
            f"expected a token, since other machines can connect to --host {options.host}; add --token-file FILE, or --without-token to let anybody in"
        )
    if not all("!" <= letter <= "~" for letter in token):
        raise PixlateError(
            "expected a token of letters, digits and signs of ASCII without blanks; make one: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return token


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> str:
    try:
        with path.open() as stream:
            line = stream.readline(MOST_LETTERS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PixlateError(f"--token-file {path} cannot be read ({reason}); check its path") from error
    if not line:
        raise PixlateError(f"expected the token in the first line of --token-file {path}, got an empty one; write it there")
    if len(line) > MOST_LETTERS:
        raise PixlateError(f"expected a token of at most {MOST_LETTERS} letters in the first line of --token-file {path}, got more; check its path")
    return line
