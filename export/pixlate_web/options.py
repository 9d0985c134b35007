"""Options of the page; the string under a field is its help on the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pixlate.convert.options import Arithmetic
from pixlate.options import check_least, check_most, check_types
from pixlate.system.access import require_one_token


@dataclass(frozen=True)
class WebOptions:
    """How the page is offered."""

    host: str = "127.0.0.1"
    """Address to listen on; one reachable from other machines needs a token."""
    port: int = 7860
    """Port to listen on; 0 uses a free one and prints it."""
    open: bool = True
    """Open the page in the browser, where this machine has a screen."""
    token: str | None = field(default=None, repr=False)
    """Secret that the page asks for once; in a file or in PIXLATE_TOKEN it is not visible in the list of processes."""
    token_file: Path | None = None
    """File whose first line is the token."""
    without_token: Annotated[bool, Parameter(negative="")] = False
    """Listen without a token even if other machines can connect: anybody who can reach the port may use the page and the folders."""
    allow_host: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Name besides localhost that browsers may give in the header Host where only this machine can connect, as behind a proxy; repeatable."""
    model: Annotated[tuple[Path, ...], Parameter(negative="")] = ()
    """Model file to offer beside the ready models; repeatable."""
    device: str = "auto"
    """Where the models run: auto, cpu, cuda, cuda:N, tensorrt, coreml, directml, or with openvino Intel's gpu, gpu:N or npu. A device named explicitly is used or refused."""
    runtime: str = "auto"
    """What runs the models: auto, onnxruntime, openvino, or another that a plugin offers."""
    arithmetic: Arithmetic = "auto"
    """What the models are computed in: auto, float32, or bfloat16, as in `pixlate convert`."""
    queue: int = 10
    """Most conversions that wait for the one that runs; more are refused."""
    max_files: int = 1000
    """Most pictures on one page at a time."""
    max_bytes: int = 50_000_000
    """Largest picture that may be dropped on the page, in bytes; folders have no such limit."""
    max_pixels: int = 100_000_000
    """Largest picture, in source pixels; a larger one is refused before it is decoded."""
    timeout_s: float = 60.0
    """Seconds after which an upload that has stopped is given up."""
    grace_s: float = 30.0
    """Seconds from Ctrl-C or SIGTERM to the end of the process; what has begun to be written is finished in them."""

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, port=0, queue=0, max_files=1, max_bytes=1, max_pixels=1, timeout_s=0.1, grace_s=0)
        check_most(self, port=65535)
        require_one_token(self.token, self.token_file, self.without_token)
