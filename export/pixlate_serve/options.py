"""Options of the server; the string under a field is its help on the command line."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pixlate.convert.options import Arithmetic
from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_strength, check_types
from pixlate.system.access import require_one_token, required_token
from pixlate.system.memory import granted_memory

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/]+")
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
    """Where the models run: auto, cpu, cuda, cuda:N, tensorrt, coreml, directml, or with openvino Intel's gpu, gpu:N or npu. A device named explicitly is used or refused."""
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
        require_one_token(self.token, self.token_file, self.without_token)


def token_of(options: ServeOptions, environment: str) -> str:
    """Return the token clients must send, empty where none is asked for; see :func:`pixlate.system.access.required_token`."""
    return required_token(options.host, options.token, options.token_file, options.without_token, environment)
