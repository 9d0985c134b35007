"""Writes ncnn models for tests: a ``.param`` and its ``.bin``, in 16 or 32 bits."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Writer:
    """Collects layers in the order of their weights.

    Args:
        half: Whether kernels are stored as float16, as ``ncnnoptimize`` does; biases and slopes never are.
    """

    def __init__(self, half: bool = True) -> None:
        self.rows, self.content, self.half = ["Input in 0 1 data"], b"", half

    def layer(self, kind: str, inputs: list[str], options: str = "") -> str:
        name = f"v{len(self.rows)}"
        self.rows.append(f"{kind} {kind}_{len(self.rows)} {len(inputs)} 1 {' '.join(inputs)} {name} {options}")
        return name

    def convolution(self, value: str, weight: Array, bias: Array, activation: str = "") -> str:
        out, _, size, _ = weight.shape
        if self.half:
            blob = weight.astype("<f2").tobytes()
            self.content += struct.pack("<I", 0x01306B47) + blob + b"\0" * (-len(blob) % 4)
        else:
            self.content += struct.pack("<I", 0) + weight.astype("<f4").tobytes()
        self.content += bias.astype("<f4").tobytes()
        return self.layer("Convolution", [value], f"0={out} 1={size} 4={size // 2} 5=1 6={weight.size} {activation}")

    def prelu(self, value: str, slopes: Array) -> str:
        self.content += slopes.astype("<f4").tobytes()
        return self.layer("PReLU", [value], f"0={len(slopes)}")

    def constant(self, values: Array) -> str:
        self.content += values.astype("<f4").tobytes()
        return self.layer("MemoryData", [], f"0=1 1=1 2={len(values)}")

    def save(self, param: Path) -> Path:
        param.write_text(f"7767517\n{len(self.rows)} {len(self.rows)}\n" + "\n".join(self.rows) + "\n")
        param.with_suffix(".bin").write_bytes(self.content)
        return param


def compact(path: Path, state: dict[str, Array], scale: int, half: bool = True, resized: float = 1.0) -> Path:
    """Write Compact from the weights of the published code."""
    writer, value = Writer(half), "data"
    last = max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    for index in range(0, last, 2):
        value = writer.convolution(value, state[f"body.{index}.weight"], state[f"body.{index}.bias"])
        value = writer.prelu(value, state[f"body.{index + 1}.weight"])
    value = writer.layer("PixelShuffle", [writer.convolution(value, state[f"body.{last}.weight"], state[f"body.{last}.bias"])], f"0={scale}")
    value = writer.layer("BinaryOp", [value, writer.layer("Interp", ["data"], f"0=1 1={scale}.0 2={scale}.0")], "0=0")
    if resized != 1:
        writer.layer("Interp", [value], f"0=3 1={resized} 2={resized}")
    return writer.save(path)


def rrdb(path: Path, state: dict[str, Array], half: bool = True) -> Path:
    """Write RRDB of scale 4 from weights under Real-ESRGAN's names; sums are written without Eltwise, as newer converters do."""
    writer = Writer(half)

    def convolved(value: str, name: str, leaky: bool = False) -> str:
        return writer.convolution(value, state[f"{name}.weight"], state[f"{name}.bias"], "9=2 -23310=1,2.0e-01" if leaky else "")

    def scaled_sum(value: str, other: str) -> str:
        return writer.layer("BinaryOp", [writer.layer("BinaryOp", [value], "0=2 1=1 2=0.2"), other], "0=0")

    first = value = convolved("data", "conv_first")
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    for block in range(blocks):
        before = value
        for part in (1, 2, 3):
            dense = [value]
            for step in range(1, 5):
                joined = writer.layer("Concat", dense) if step > 1 else value
                dense.append(convolved(joined, f"body.{block}.rdb{part}.conv{step}", leaky=True))
            value = scaled_sum(convolved(writer.layer("Concat", dense), f"body.{block}.rdb{part}.conv5"), value)
        value = scaled_sum(value, before)
    value = writer.layer("BinaryOp", [first, convolved(value, "conv_body")], "0=0")
    for step in (1, 2):
        value = convolved(writer.layer("Interp", [value], "0=1 1=2.0 2=2.0"), f"conv_up{step}", leaky=True)
    convolved(convolved(value, "conv_hr", leaky=True), "conv_last")
    return writer.save(path)


def span(path: Path, state: dict[str, Array], scale: int, half: bool = True, normalise: bool = False, swish: bool = True) -> Path:
    """Write SPAN from fused weights (``NAME.eval_conv.weight``); its activation as one layer, or as a product."""
    writer = Writer(half)

    def fused(value: str, name: str) -> str:
        return writer.convolution(value, state[f"{name}.eval_conv.weight"], state[f"{name}.eval_conv.bias"])

    def silu(value: str) -> str:
        return writer.layer("Swish", [value]) if swish else writer.layer("BinaryOp", [value, writer.layer("Sigmoid", [value])], "0=2")

    value = "data"
    if normalise:
        mean = writer.constant(np.array([0.4488, 0.4371, 0.4040], np.float32))
        value = writer.layer("BinaryOp", [writer.layer("BinaryOp", [value, mean], "0=1")], "0=2 1=1 2=255.0")
    first = value = fused(value, "conv_1")
    outputs = []
    for block in range(1, 7):
        inner = silu(fused(value, f"block_{block}.c1_r"))
        last = fused(silu(fused(inner, f"block_{block}.c2_r")), f"block_{block}.c3_r")
        weight = writer.layer("BinaryOp", [writer.layer("Sigmoid", [last])], "0=1 1=1 2=0.5")
        value = writer.layer("BinaryOp", [writer.layer("BinaryOp", [last, value], "0=0"), weight], "0=2")
        outputs.append(value)
    joined = writer.layer("Concat", [first, fused(value, "conv_2"), outputs[0], inner])
    value = writer.convolution(joined, state["conv_cat.weight"], state["conv_cat.bias"])
    writer.layer("PixelShuffle", [writer.convolution(value, state["upsampler.0.weight"], state["upsampler.0.bias"])], f"0={scale}")
    return writer.save(path)
