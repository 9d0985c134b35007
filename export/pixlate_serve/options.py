"""Options of the server; the string under a field is its help on the command line."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_types


@dataclass(frozen=True)
class ServeOptions:
    """How models are served."""

    host: str = "127.0.0.1"
    """Address to listen on; one reachable from other machines needs a token."""
    port: int = 8000
    """Port to listen on; 0 uses a free one and prints it."""
    token: str = field(default="", repr=False)
    """Secret that clients send as `Authorization: Bearer TOKEN`; in a file or in PIXLATE_TOKEN it is not visible in the list of processes."""
    token_file: Path | None = None
    """File whose first line is the token."""
    without_token: Annotated[bool, Parameter(negative="")] = False
    """Listen without a token even if other machines can connect: anybody who can reach the port may use it."""
    device: str = "auto"
    """Where the models run: auto, cpu, cuda or cuda:N. A device named explicitly is used or refused."""
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
    memory: int = 2_000_000_000
    """Most bytes of uploads, pixels and answers in memory at once, 8 for each pixel of source and output; more are answered 429."""
    max_bytes: int = 50_000_000
    """Largest upload, in bytes; a larger one is answered 413."""
    max_pixels: int = 25_000_000
    """Largest image, in source pixels; a larger one is answered 413 before it is decoded."""
    quality: int = 95
    """Quality of JPEG, WebP and AVIF, 1 to 100."""
    strip_metadata: Annotated[bool, Parameter(negative="")] = False
    """Drop EXIF, ICC profile (colours are converted to sRGB), XMP and resolution, and do not record the origin."""
    threads: int = 0
    """Threads that decode and encode images; 0 uses one per core."""
    timeout_s: float = 60.0
    """Seconds a client may take to send its image, and to receive each chunk of its answer."""
    grace_s: float = 30.0
    """Seconds to finish accepted images when the server shuts down."""
    log_requests: Annotated[bool, Parameter(negative="")] = False
    """Print a line for each answer on standard error."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, port=0, batch=1, bucket=1, tile=16, batch_wait_ms=0, queue=1, memory=1_000_000, max_bytes=1, max_pixels=1, quality=1)
        check_least(self, threads=0, timeout_s=0.1, grace_s=0)
        check_most(self, port=65535, batch_wait_ms=60_000, quality=100)
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
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise PixlateError(f"--token-file {path} cannot be read ({reason}); check its path") from error
    if not lines or not lines[0].strip():
        raise PixlateError(f"expected the token in the first line of --token-file {path}, got an empty one; write it there")
    return lines[0].strip()
