"""Where training runs: one device, or several processes that share each batch."""

import os
import re

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators.mps import MPSAccelerator
from torch import Tensor

from pixlate.errors import PixlateError
from pixlate.options import TrainingOptions


def open_fabric(options: TrainingOptions) -> Fabric:
    """Return the launched Fabric of this process; with ``--devices N`` the other processes are started here, under torchrun they are there already.

    Raises:
        PixlateError: The device is not there, or the batch cannot be shared by that many processes.
    """
    kind, _, index = options.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if MPSAccelerator.is_available() else "cpu"
    if kind == "mps":
        _check_mps(options)
    if kind == "cuda" and not torch.cuda.is_available():
        raise PixlateError(
            f"expected CUDA for --device {options.device}, but PyTorch {torch.__version__} finds none; run `pixlate doctor`, or use --device cpu"
        )
    processes, nodes = _processes(options)
    if kind == "cuda" and max(int(index or 0), processes - 1) >= torch.cuda.device_count():
        raise PixlateError(
            f"expected one of the {torch.cuda.device_count()} GPUs, counted from 0, got --device {options.device} and --devices {processes}; choose fewer"
        )
    world = processes * nodes
    if options.batch % (options.accumulate * world):
        raise PixlateError(f"expected --batch to be a multiple of --accumulate times {world} processes, got {options.batch}; choose a multiple")
    fabric = Fabric(accelerator=kind, devices=[int(index)] if index else processes, num_nodes=nodes, strategy="ddp" if world > 1 else "auto")
    fabric.launch()
    return fabric


def _check_mps(options: TrainingOptions) -> None:
    """Refuse the GPU of an Apple computer where there is none, and what is not done there."""
    if not MPSAccelerator.is_available():
        raise PixlateError(
            f"expected the GPU of an Apple computer for --device {options.device}, but PyTorch {torch.__version__} finds none; use --device cuda or cpu"
        )
    for refused, wanted in (
        (options.precision not in ("32-true", "auto"), f"--precision 32-true on the GPU of an Apple computer, got {options.precision}"),
        (options.devices > 1, f"--devices 1 on the GPU of an Apple computer, got {options.devices}"),
        (options.compile, "no --compile on the GPU of an Apple computer, where torch.compile is a prototype"),
    ):
        if refused:
            raise PixlateError(f"expected {wanted}; change it, or use --device cpu")


def missing_operator(error: Exception) -> str:
    """Return what an error says that the GPU of an Apple computer lacks, an operator or numbers of 64 bits; nothing for other errors."""
    text = " ".join(str(error).split())
    if found := re.search(r"operator '([^']+)' is not currently implemented for the MPS device", text):
        return f"the operator {found[1]}"
    return "numbers of 64 bits" if "MPS" in text and "float64" in text else ""


def leave_group() -> None:
    """Leave the group of processes, whose threads would otherwise run on while Python ends, and may abort it."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def out_of_memory(error: Exception) -> bool:
    """Return whether memory could not be had, of which the CPU's allocator says no more than a ``RuntimeError``."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        text in str(error) for text in ("can't allocate memory", "size calculation overflowed", "MPS backend out of memory")
    )


def gathered(fabric: Fabric, state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return what every process holds, by its number."""
    if fabric.world_size == 1:
        return [state]
    states: list[dict[str, Tensor]] = [{} for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(states, {name: images.cpu() for name, images in state.items()})
    return states


def everyones(fabric: Fabric, sentence: str) -> list[str]:
    """Return what every process has to say, by its number."""
    if fabric.world_size == 1:
        return [sentence]
    sentences = [""] * fabric.world_size
    torch.distributed.all_gather_object(sentences, sentence)
    return sentences


def average_gradients(fabric: Fabric, parameters: list[Tensor]) -> None:
    """Replace the gradients by their mean over all processes, in one message; alone, do nothing."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if fabric.world_size == 1 or not gradients:
        return
    flat = fabric.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
    assert isinstance(flat, Tensor)
    for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _processes(options: TrainingOptions) -> tuple[int, int]:
    """Return the processes on this machine and the number of machines; refuse another number from torchrun than ``--devices`` asks for."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return options.devices, 1
    processes, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if options.devices not in (1, processes):
        raise PixlateError(f"expected --devices {processes}, as many as torchrun started here, got {options.devices}; leave it out")
    return processes, world // processes
