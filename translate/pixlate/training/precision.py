"""What ``--precision auto`` stands for on a device, and whether ``--compile`` can be had."""

import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pixlate.errors import PixlateError

WORTH = 1.3
"""Times as fast a convolution must be in bfloat16. Measured on Intel's Sapphire Rapids: 4, without its AMX 0.7, without AVX-512 BF16 too 0.3, with AVX2 alone 0.1."""
TURNS = 5
CHANNELS, SIDE = 64, 64
"""Of the convolution that is timed: 0.9 GFLOP forward and backward."""


def suited(device: torch.device) -> tuple[dict[str, Any], str]:
    """Return the training options that ``--precision auto`` stands for on a device, and a sentence that says so with the reason.

    CPUs are measured, since their flags do not tell: among those with AVX-512 BF16 it is twice as fast on some and slower on others.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        why = f"this GPU {'has' if fast else 'lacks'} tensor cores for bfloat16"
    elif device.type == "mps":
        fast, why = False, "nothing else is used on the GPU of an Apple computer"
    else:
        times = _gain()
        fast, why = times >= WORTH, f"a convolution in bfloat16 is {times:.1f} times as fast on this CPU"
    changes: dict[str, Any] = {"precision": "bf16-mixed", "channels_last": True} if fast else {"precision": "32-true"}
    words = "bf16-mixed with --channels-last" if fast else "32-true"
    return changes, f"--precision auto is {words}: {why}; the run keeps this"


def _gain() -> float:
    """Return how many times as fast a core of this CPU runs a convolution, forward and backward, in bfloat16 and channels last as in 32 bits.

    Counted in the processor time of one thread, so that other work on the machine changes nothing; no random numbers are drawn.
    """
    sides = {torch.float32: torch.contiguous_format, torch.bfloat16: torch.channels_last}
    seconds: dict[torch.dtype, list[float]] = {dtype: [] for dtype in sides}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for turn in range(-1, TURNS):  # the first one prepares what later ones reuse
        for dtype, layout in sides.items():
            images = torch.ones(1, CHANNELS, SIDE, SIDE).to(memory_format=layout).requires_grad_()
            weights = torch.ones(CHANNELS, CHANNELS, 3, 3).to(memory_format=layout).requires_grad_()
            started = time.thread_time()
            _convolve(images, weights, dtype)
            if turn >= 0:
                seconds[dtype].append(time.thread_time() - started)
    torch.set_num_threads(threads)
    return min(seconds[torch.float32]) / min(seconds[torch.bfloat16])


def _convolve(images: Tensor, weights: Tensor, dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        total = functional.conv2d(images, weights, padding=1).sum()
    total.backward()  # type: ignore[no-untyped-call]


def require_compiler(device: torch.device) -> None:
    """Compile something small for a device.

    Raises:
        PixlateError: torch.compile cannot, mostly for want of a C++ compiler.
    """
    try:
        torch.compile(lambda values: values + 1)(torch.ones(1, device=device))
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0][:160]
        raise PixlateError(
            f"expected torch.compile to work for --compile, got {reason!r}; install a C++ compiler such as g++, or leave out --compile"
        ) from error
