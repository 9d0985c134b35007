"""Chooses where JPEG is decoded and encoded: on the GPU where it gives the CPU's pictures and, unless it is asked for by name, is faster."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from pixlate.contracts import JpegCodec
from pixlate.convert.job import Job
from pixlate.convert.jpeg_lane import JpegLane
from pixlate.convert.options import ConvertOptions
from pixlate.convert.plan import Plan
from pixlate.errors import PixlateError
from pixlate.images import SUFFIXES, ImageFormat, Picture, probe, read_picture
from pixlate.images.decode import decoded
from pixlate.images.jpeg import Decoder, Encoder, Plain, joined, plain
from pixlate.images.picture import Pixels
from pixlate.images.write import encode_picture, subsampling_at
from pixlate.plugins import installed

WORTH = 200
"""Fewer JPEG files than these are done before PyTorch is loaded."""
SAMPLES = 16
"""Files that both ways are tried on."""
SAMPLE_PIXELS = 64_000_000
"""Most pixels of them, unless the first has more."""
ROUNDS = 3
"""Times each way is measured; the best counts."""
FASTER = 1.1
"""How many times the rate of the CPU is called faster: less is within the noise."""
ALIKE_MOST, ALIKE_MEAN = 4, 0.5
"""Levels by which two decoders may differ, at most and on average: one level of Y, Cb and Cr each is what the standard grants their arithmetic."""
WORSE = 1.02
"""How many times the error of the CPU's encoder is within the noise."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Choice:
    """Where JPEG is decoded and encoded."""

    said: str = ""
    """Why it is the CPU; empty where there was no choice, or where the lane is used."""
    lane: JpegLane | None = None
    """Does it on the GPU."""
    decoding: str = ""
    """What was found of decoding on the GPU."""
    encoding: str = ""
    decoder: Decoder | None = None
    """Of the lane, where it is used."""
    encoder: Encoder | None = None

    def told(self) -> str:
        """Return the choice for the summary, with what has been done so far."""
        if self.lane is None:
            return self.said
        parts = []
        for verb, count, used, found in (
            ("decoded", self.lane.decoded, self.decoder is not None, self.decoding),
            ("encoded", self.lane.encoded, self.encoder is not None, self.encoding),
        ):
            if found:
                parts.append(f"{count} {verb} on {self.lane.codec.device} ({found})" if used else f"{verb} on the CPU ({found})")
        failure = [f"left to the CPU after the codec failed ({self.lane.failure})"] if self.lane.failure else []
        return "; ".join(parts + failure)


def choose(options: ConvertOptions, plan: Plan, devices: Sequence[str], formats: Mapping[str, ImageFormat]) -> Choice:
    """Return where JPEG is decoded and encoded.

    Args:
        options: With ``jpeg``, ``quality`` and the number of threads.
        plan: What is to be converted; the first files of it are tried.
        devices: Where the model runs, as translators name it.
        formats: Plugins' image formats by suffix.

    Raises:
        PixlateError: The GPU is asked for by name and cannot be used.
    """
    if options.jpeg == "cpu":
        return Choice("on the CPU, as asked")
    asked = options.jpeg == "gpu"
    if not asked and set(devices) == {"cpu"}:
        return Choice()
    count = sum(_is_jpeg(job) for job in plan.jobs)
    try:
        device = _gpu_of(devices)
        if not count:
            return Choice("no JPEG files to decode or encode" if asked else "")
        if not asked and count < WORTH:
            return Choice(f"on the CPU: {count} JPEG file{'s are' if count > 1 else ' is'} too few to be worth loading the GPU's codec")
        return _tried(JpegLane(codec_for(device)), options, plan, formats, timed=not asked)
    except PixlateError as error:
        if asked:
            raise PixlateError(f"--jpeg gpu cannot be used: {error}; mend that, or leave --jpeg out") from error
        return Choice(f"on the CPU: {error}")


def codec_for(device: str) -> JpegCodec:
    """Return a plugin's codec for a GPU.

    Raises:
        PixlateError: There is none, with the reason.
    """
    codec: JpegCodec | None = installed().manager.hook.pixlate_jpeg_codec(device=device)
    if codec is None:
        raise PixlateError(f"no installed plugin decodes JPEG on {device}, and Pixlate's own needs torchvision (pip install 'pixlate[train]')")
    return codec


def rate(work: Callable[[Item], object], items: Sequence[Item], pixels: int, threads: int) -> float:
    """Return the pixels a second of a pool of threads that works through items of so many pixels, the best of some rounds."""
    best = 0.0
    with ThreadPoolExecutor(threads, "measure") as pool:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for _ in pool.map(work, items):
                pass
            best = max(best, pixels / max(time.perf_counter() - started, 1e-9))
    return best


def _gpu_of(devices: Sequence[str]) -> str:
    """Return the one GPU the model runs on, as ``cuda:N``."""
    if "cpu" in devices:
        raise PixlateError("the model runs on the CPU")
    if len(set(devices)) > 1:
        raise PixlateError(f"the model runs on {len(set(devices))} GPUs, and JPEG is done on one only")
    number = devices[0].partition(":")[2]
    return f"cuda:{number or 0}"


def _is_jpeg(job: Job) -> bool:
    return job.format == "jpeg" or _is_jpeg_source(job)


def _is_jpeg_source(job: Job) -> bool:
    return SUFFIXES.get(Path(job.source).suffix.lower()) == "jpeg"


def _tried(lane: JpegLane, options: ConvertOptions, plan: Plan, formats: Mapping[str, ImageFormat], timed: bool) -> Choice:
    """Try both ways on the first files.

    Raises:
        PixlateError: The lane can do neither, with the reasons.
    """
    samples = list(_samples(plan, options, formats))
    if not samples:
        raise PixlateError("none of the first JPEG files could be read to try it")
    files = [(file, data) for _, data, _ in samples if (file := plain(data)) is not None]
    images = [picture.pixels for job, _, picture in samples if job.format == "jpeg" and picture.alpha is None and picture.pixels.dtype == np.uint8]
    decoding, decodes = _decoding(lane, files, options.workers, timed) if any(_is_jpeg_source(job) for job, _, _ in samples) else ("", False)
    encoding, encodes = _encoding(lane, images, options, timed) if any(job.format == "jpeg" for job, _, _ in samples) else ("", False)
    lane.forget()
    if lane.failure:
        raise PixlateError(f"the codec failed ({lane.failure})")
    if not decodes and not encodes:
        raise PixlateError(", and ".join(each for each in (decoding and f"decoding: {decoding}", encoding and f"encoding: {encoding}") if each))
    return Choice("", lane, decoding, encoding, lane.decode if decodes else None, lane.encode if encodes else None)


def _samples(plan: Plan, options: ConvertOptions, formats: Mapping[str, ImageFormat]) -> Iterator[tuple[Job, bytes, Picture]]:
    """Yield the first files that are JPEG, or become it, and can be read; what is wrong with the others is told when they are converted."""
    taken = pixels = 0
    for job in [job for job in plan.jobs if _is_jpeg(job)][: 2 * SAMPLES]:
        with suppress(PixlateError, OSError, MemoryError):
            job.status()
            with job.at_hand() as path:
                if path.suffix.lower() in formats:
                    continue
                width, height = probe(path, options.max_pixels)
                if taken == SAMPLES or (taken and pixels + width * height > SAMPLE_PIXELS):
                    return
                sample = job, path.read_bytes(), read_picture(path, max_pixels=options.max_pixels)
            taken, pixels = taken + 1, pixels + width * height
            yield sample


def _decoding(lane: JpegLane, files: Sequence[tuple[Plain, bytes]], threads: int, timed: bool) -> tuple[str, bool]:
    """Return what is found of decoding on the GPU, and whether it is to be used; let the lane decode the kinds that come out as on the CPU."""
    lane.kinds = tried = frozenset(file.frame.kind for file, _ in files)
    alike: set[str] = set()
    unlike: set[str] = set()
    for file, data in files:
        pixels = lane.decode(file)
        if pixels is not None:
            (alike if _is_alike(pixels, decoded(data, "jpeg").pixels) else unlike).add(file.frame.kind)
    lane.kinds = frozenset(alike - unlike)
    if not lane.kinds:
        kinds = ", ".join(sorted(tried)) or "none that is plain"
        return f"of the first {len(files)} files ({kinds}) none comes out of {lane.codec.device} as from the CPU", False
    kinds = ", ".join(sorted(lane.kinds))
    if not timed:
        return kinds, True
    chosen = [(file, data) for file, data in files if file.frame.kind in lane.kinds]
    items = _enough([data for _, data in chosen], threads)
    pixels_of_items = sum(file.frame.width * file.frame.height for file, _ in chosen) * (len(items) // len(chosen))
    cpu = rate(lambda data: decoded(data, "jpeg"), items, pixels_of_items, threads)
    gpu = rate(lambda data: decoded(data, "jpeg", lane.decode), items, pixels_of_items, threads)
    return _compared(gpu, cpu, f"{kinds}; ", lane)


def _encoding(lane: JpegLane, images: Sequence[Pixels], options: ConvertOptions, timed: bool) -> tuple[str, bool]:
    """Return what is found of encoding on the GPU, and whether it is to be used."""
    quality, subsampling = options.quality, subsampling_at(options.quality)
    chosen = []
    for pixels in images:
        coded = lane.encode(pixels, quality, subsampling)
        if coded is None:
            continue
        file, _ = encode_picture(Picture(pixels), "jpeg", quality=quality)
        made = joined(file, coded, pixels.shape[1], pixels.shape[0])
        if made is None:
            return f"{lane.codec.device} writes other tables or another subsampling than the CPU", False
        if _error(made, pixels) > WORSE * _error(file, pixels) + 0.02:
            return f"{lane.codec.device} writes worse pictures than the CPU", False
        chosen.append(pixels)
    if not chosen:
        return f"{lane.codec.device} writes no pictures such as these with {subsampling}, which --quality {quality} asks for", False
    if not timed:
        return f"--quality {quality}", True
    items = _enough(chosen, options.workers)
    pixels_of_items = sum(pixels.shape[0] * pixels.shape[1] for pixels in items)
    cpu = rate(lambda pixels: encode_picture(Picture(pixels), "jpeg", quality=quality), items, pixels_of_items, options.workers)
    gpu = rate(lambda pixels: encode_picture(Picture(pixels), "jpeg", quality=quality, jpeg_encoder=lane.encode), items, pixels_of_items, options.workers)
    return _compared(gpu, cpu, "", lane)


def _compared(gpu: float, cpu: float, what: str, lane: JpegLane) -> tuple[str, bool]:
    faster = gpu > FASTER * cpu
    return f"{what}{gpu / 1e6:.3g} million pixels/s there, {cpu / 1e6:.3g} on the CPU", faster


def _enough(items: Sequence[Item], threads: int) -> list[Item]:
    """Repeat items until each thread has at least two."""
    return list(items) * max(1, -(-2 * threads // len(items)))


def _is_alike(first: Pixels, second: Pixels) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    difference = np.abs(first.astype(np.int16) - second)
    return bool(difference.max() <= ALIKE_MOST and difference.mean() <= ALIKE_MEAN)


def _error(file: bytes, pixels: Pixels) -> float:
    """Return the root of the mean square of a file's differences from the pixels, in levels."""
    difference = decoded(file, "jpeg").pixels.astype(np.float32) - pixels
    return float(np.sqrt(np.mean(difference**2)))
