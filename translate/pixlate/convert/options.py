"""Options of a conversion; the string under a field is its help on the command line."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pixlate.errors import PixlateError
from pixlate.options import check_least, check_most, check_strength, check_types, output_strength
from pixlate.options.groups import Groups
from pixlate.options.name_template import check_name, takes_number
from pixlate.options.output_size import OutputSize
from pixlate.system.cores import granted_cores
from pixlate.system.text import refuse_flattened

Arithmetic = Literal["auto", "float32", "bfloat16"]
OnExists = Literal["resume", "skip", "overwrite"]
LONGEST_SUFFIX = 200
"""Bytes that may be added to a name; file systems hold 255 in all."""
LARGEST_BUCKET = 1024
"""Largest multiple to which sides are padded: beyond it most of what is computed is thrown away."""
_ENGINE = "write pixlate.convert(source, out, model, options, engine=pixlate_ray.RayOptions(address=..., concurrency=...)), or engine='ray'"
_GONE = {"engine": _ENGINE, "address": _ENGINE, "concurrency": _ENGINE, "jpeg": "leave it out, JPEG files are decoded on the CPU"}
"""Options of 0.1 -> what to do instead."""


@dataclass(frozen=True)
class ConvertOptions:
    """How a folder is converted."""

    format: str | None = None
    """Format of the outputs: jpeg (or jpg), png, webp, tiff, bmp, avif, gif, npy, or one that a plugin writes; by default each file keeps its own."""
    quality: int = 95
    """Quality of JPEG, WebP and AVIF, 1 to 100."""
    scale: float | None = None
    """Size of the outputs over that of their sources, such as 2 or 1.5. What the model makes is resized, in linear light; where it makes less, it runs again, at most
    three times."""
    width: int | None = None
    """Width of the outputs in pixels; with --height they fit within both, and proportions are kept."""
    height: int | None = None
    """Height of the outputs in pixels; with --width they fit within both."""
    long_side: int | None = None
    """Longer side of the outputs in pixels."""
    megapixels: float | None = None
    """Size of the outputs in millions of pixels."""
    name: str | None = None
    """Template of the outputs' names, of {stem}, {suffix} (with its dot), {model} and {number} (as {number:04}, in the order of names): '{stem}@2x{suffix}' makes
    cat@2x.jpg of cat.jpg."""
    suffix: str = ""
    """Added to each name before its suffix: _x4 makes cat_x4.jpg of cat.jpg."""
    on_exists: OnExists = "resume"
    """What to do if an output exists: resume keeps what an earlier run of this command finished and counts any other file as a
    failure, skip keeps every existing file, overwrite replaces it."""
    exclude: tuple[str, ...] = ()
    """Glob of what to leave out, once for each: a pattern without a slash for files or folders of that name anywhere (*.gif, drafts), one with a
    slash for paths below the source (2024/*/raw)."""
    frames: Literal["auto", "first", "all"] = "auto"
    """Which pictures of a file that holds several: auto takes the first of animations and TIFF files and all of films, all takes every frame and page."""
    limit: int = 0
    """Convert only the first so many images, in the order of their names, to try something out; 0 converts all."""
    tile: Literal["auto", "off"] | int = "auto"
    """Side of the tiles large images are cut into, in source pixels: auto fits the device, off runs every image whole."""
    batch: Literal["auto"] | int = "auto"
    """Images, or tiles, of one size that run together; auto fits the device."""
    bucket: Literal["auto", "off"] | int = "auto"
    """Pad sides to a multiple of this, by mirroring, so that images of many sizes share few shapes; the output is cropped.
    auto is 64 on GPUs and off on the CPU."""
    alpha: Literal["bicubic", "model"] = "bicubic"
    """How transparency is enlarged: bicubic, or by the model itself, as a grey picture, which takes as long again for pictures that have some."""
    strength: float | None = None
    """How strongly the model changes a picture, from 0 to 1: 1, the default, is all of it, 0.5 half of it, mixed with the original, 0 nothing. With --blend-with
    it mixes the two models instead: 1 is --model alone, 0 the other."""
    blend_with: str | Path | None = None
    """Another ready model or ONNX file of the same network, to mix with --model: each weight is between those of the two files, as --strength says. Both must be of
    float32."""
    then: tuple[str | Path, ...] = ()
    """A further model, once for each, in their order: it takes what the one before it makes, without a file between, as in --model clean --then photo-x4.
    --set, --mask and --seed are of --model."""
    set: tuple[str, ...] = ()
    """Value of a condition (an input of the model besides the image), as NAME=VALUE (hair=blond, style=0.5,-1); once for each condition."""
    mask: Path | None = None
    """Folder of masks for an inpainting model, each with the name and size of its image: white is what to fill, and what is black stays as it is; or alpha, to
    fill what is transparent. A folder of that name is given by its whole path."""
    seed: int = 0
    """Seed of a model's noise input, combined with the name of each image."""
    device: str = "auto"
    """Where the model runs: auto, cpu, cuda, cuda:N, several GPUs as cuda:0,1, the same with tensorrt, coreml on macOS, directml or directml:N on Windows, or with openvino
    Intel's gpu, gpu:N or npu. A device named explicitly is used or refused."""
    runtime: str = "auto"
    """What runs the model: auto, onnxruntime, openvino, or another that a plugin offers. auto tries, on a few of the pictures, what is fastest on this CPU and stays
    near float32; a later run of the same output folder uses what the first one chose."""
    arithmetic: Arithmetic = "auto"
    """What the model is computed in: auto, float32, or bfloat16, which CPUs with units for it compute up to six times as fast. auto takes bfloat16 only where its
    pictures stay within 8 levels of 255 and 45 dB of float32. What would be in bfloat16 is in float32 for pictures of 16 bits."""
    threads: int = 0
    """Threads that read, and as many that write, images; 0 uses one per core."""
    report: Path | None = None
    """Write the result of each file to this JSON file."""
    preserve_times: bool = False
    """Give each output the times of its source: when it was last changed, and last read."""
    watch: bool = False
    """Go on until Ctrl-C: whatever comes into the source folders, or changes there, is converted as soon as it is whole."""
    fail_fast: bool = False
    """Stop at the first file that fails."""
    dry_run: bool = False
    """Report what would be done, with sizes, and write nothing."""
    sheet: Path | None = None
    """Write a before/after sheet of a few results to this PNG file."""
    strip_metadata: bool = False
    """Drop EXIF, ICC profile (colours are converted to sRGB), XMP, IPTC, comments, texts and resolution, and do not record the origin."""
    max_pixels: int = 200_000_000
    """Largest image accepted, in pixels; guards against decompression bombs."""
    lossless: bool = False
    """Keep every pixel of the outputs, whatever the quality: webp, or png, tiff, bmp and npy, which always do. WebP files that are lossless stay so
    without it."""
    GROUPS: ClassVar[Groups] = {
        "Everyday": (
            "format",
            "quality",
            "lossless",
            "then",
            "strength",
            "blend_with",
            "alpha",
            "name",
            "suffix",
            "on_exists",
            "exclude",
            "frames",
            "limit",
            "watch",
            "dry_run",
        ),
        "Size of the outputs, one of these": ("scale", "width", "height", "long_side", "megapixels"),
        "What the model takes besides the image": ("set", "mask", "seed"),
        "Memory and devices": ("device", "runtime", "arithmetic", "tile", "batch", "bucket", "threads", "max_pixels"),
        "Files": ("report", "sheet", "fail_fast", "preserve_times", "strip_metadata"),
    }

    def __new__(cls, *_: object, **named: object) -> Self:
        """Refuse options that 0.1 had, with what to write instead."""
        for name in named.keys() & _GONE.keys():
            raise PixlateError(f"expected no {name} in ConvertOptions, got {named[name]!r}; {_GONE[name]}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_types(self)
        for name, path in (("report", self.report), ("sheet", self.sheet)):
            if path is not None:
                if not path.name:
                    raise PixlateError(f"expected --{name} to name a file, got {path}; add the file's name")
                refuse_flattened(path, f"--{name} to name a file of this machine")
        if self.sheet is not None and self.sheet.suffix.lower() != ".png":
            raise PixlateError(f"expected --sheet to name a .png file, got {self.sheet}; change its ending")
        check_strength(self.strength, self.blend_with)
        if not 1 <= self.quality <= 100:
            raise PixlateError(f"expected --quality from 1 to 100, got {self.quality}; choose one in between")
        check_least(self, batch=1, tile=16, bucket=1, threads=0, seed=0, max_pixels=1, limit=0)
        if not all(pattern.strip("/") for pattern in self.exclude):
            raise PixlateError("expected a glob for --exclude, got an empty one; name files or folders to leave out, such as '*.gif'")
        check_most(self, bucket=LARGEST_BUCKET)
        _ = self.output_size  # refuses what cannot be
        if self.name is not None:
            check_name(self.name)
            if self.suffix:
                raise PixlateError(
                    f"expected one of --name and --suffix, got both; write the suffix into the template: --name '{{stem}}{self.suffix}{{suffix}}'"
                )
        if self.watch:
            self._refuse_beside_watch()
        if self.report is not None and self.report == self.sheet:
            raise PixlateError(f"expected two files for --report and --sheet, got {self.report} for both; name another one")
        if "/" in self.suffix or "\\" in self.suffix or "\0" in self.suffix:
            raise PixlateError(f"expected --suffix without slashes, got {self.suffix!r}; it is added to the file's name only")
        if len(os.fsencode(self.suffix)) > LONGEST_SUFFIX:
            raise PixlateError(
                f"expected --suffix of at most {LONGEST_SUFFIX} bytes, got {len(os.fsencode(self.suffix))}; names of files hold about 250 in all"
            )

    def _refuse_beside_watch(self) -> None:
        for option, given, why in (("--dry-run", self.dry_run, "which writes nothing"), ("--limit", self.limit, "which ends after so many images")):
            if given:
                raise PixlateError(f"expected --watch, which goes on until Ctrl-C, or {option}, {why}, got both; leave out one")
        if self.name is not None and takes_number(self.name):
            raise PixlateError("expected --name without {number} for --watch, since files come in no order, got both; use {stem}, which stays the same")

    def replaced(self, named: Mapping[str, Any]) -> "ConvertOptions":
        """Return the same options but for those named.

        Raises:
            PixlateError: There is no option of a name, or a value is wrong.
        """
        known = [item.name for item in fields(self)]
        for name in named.keys() - {*known, *_GONE}:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 1)
            raise PixlateError(
                f"expected an option of pixlate.ConvertOptions, got {name}={named[name]!r}; {f'did you mean {near[0]}?' if near else 'see help(pixlate.ConvertOptions)'}"
            )
        return replace(self, **named)

    @property
    def output_strength(self) -> float:
        """How much of the model's output is in the result, from 0 to 1; the rest is its source."""
        return output_strength(self.strength, self.blend_with)

    @property
    def output_size(self) -> OutputSize:
        """What is asked of the sizes of the outputs."""
        return OutputSize(self.scale, self.width, self.height, self.long_side, self.megapixels)

    @property
    def workers(self) -> int:
        """Threads that read, and as many that write."""
        return self.threads or granted_cores()
