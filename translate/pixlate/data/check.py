"""Whether folders of images are fit to train on: everything that training would fail on, at once. Imports no PyTorch."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from pixlate.data.folders import ARRAY_SUFFIXES, LEAST_ASPECT, list_images, match_by_name, name_some, too_narrow, unlike, without_partner
from pixlate.data.kinds import check_pair_count, check_two, degraded, paired, unpaired
from pixlate.data.pixels import UnreadableImage, read_own, size_of
from pixlate.errors import PixlateError
from pixlate.images import Pixels
from pixlate.images.picture import luma, to_8_bits
from pixlate.options.training import DataOptions, FolderOptions
from pixlate.places.paths import pair_name
from pixlate.plugin.data import DataKind, DataReport, FolderReport, Track
from pixlate.system.cores import granted_cores

TWO_SQUARES = 1.9
"""Width over height from which on one folder of images is taken for two side by side: single photographs are seldom so wide."""
SPLITS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
"""Names of folders whose images must not be in one another."""
HASH_SIDE = 8
"""Rows and columns of the perceptual hash."""
NEAR = 3
"""Most bits, of 64, in which two images that look the same differ."""
_PLAIN = 16
"""Fewest bits set, and not set, in the hash of an image that has enough in it to be compared."""


@dataclass(frozen=True)
class Examined:
    """What was found in one file."""

    path: Path
    error: str = ""
    """Why it cannot be read; the rest then says nothing."""
    height: int = 0
    width: int = 0
    channels: int = 0
    """Without transparency, which training composites over white."""
    bits: int = 0
    """Of a sample: 8, 16 or 32 (floating point)."""
    content: bytes = b""
    """Hash of size, type and all samples: equal for equal pictures, whatever their files."""
    look: int | None = None
    """Difference hash of 64 bits: near for pictures that look the same; None where there is too little in them."""


Files = Sequence[Sequence[Examined]]
"""What was found in the files of each folder, sorted by path."""


def check(folders: Sequence[Path], kind: DataKind | None, patch: int, track: Track = lambda files, count: files) -> DataReport:
    """Read every image below the folders and report what training on them would fail on; None chooses among the built-in kinds, and a patch of 0 does not look.

    Raises:
        PixlateError: A folder is missing or holds no image, or there are too few or many folders for the kind.
    """
    chosen = kind or _guessed(folders)
    report = (chosen.check or check_images)(folders, chosen.options(), patch, track)
    report.kind = chosen.name
    return report


def check_images(folders: Sequence[Path], options: DataOptions, patch: int, track: Track, layout: str = "images") -> DataReport:
    """Check each image by itself."""
    report, files = _read(folders, track, layout)
    return _completed(report, files, options, patch, sum(map(len, files)))


check_degraded = partial(check_images, layout="targets alone")
"""Check photographs whose sources are made from them."""


def check_unpaired(folders: Sequence[Path], options: DataOptions, patch: int, track: Track) -> DataReport:
    """Check a folder of sources and one of targets."""
    check_two(len(folders))
    report, files = _read(folders, track, "sources and targets that need not show the same")
    return _completed(report, files, options, patch, min(map(len, files)))


def check_paired(folders: Sequence[Path], options: DataOptions, patch: int, track: Track) -> DataReport:
    """Check pairs in two folders, or side by side in one."""
    check_pair_count(len(folders))
    beside = len(folders) == 1
    report, files = _read(folders, track, "source and target side by side" if beside else "sources and targets matched by name")
    report.pairs = _check_halves(report, files) if beside else _check_pairs(report, folders, files)
    return _completed(report, files, options, patch, report.pairs, halves=2 if beside else 1)


def _guessed(folders: Sequence[Path]) -> DataKind:
    """Find out how images belong together: by names, or by width."""
    lists = [list_images([folder], ARRAY_SUFFIXES) for folder in folders]
    names = {folder.name.lower() for folder in folders}
    if len(folders) == 2 and (len(names) == 1 or not names <= SPLITS):  # sketches/train and photos/train are no splits of one set
        stems = [{pair_name(path.relative_to(folder)).casefold() for path in paths} for folder, paths in zip(folders, lists, strict=True)]
        return paired if 2 * len(stems[0] & stems[1]) >= min(map(len, stems)) else unpaired
    sizes = []
    for path in lists[0] if len(folders) == 1 else ():
        with suppress(UnreadableImage):
            sizes.append(size_of(path))
    wide = sum(width >= TWO_SQUARES * height for height, width in sizes)
    return paired if sizes and 2 * wide > len(sizes) else degraded


def _read(folders: Sequence[Path], track: Track, layout: str) -> tuple[DataReport, Files]:
    """Read all images of the folders, each once; the report names what cannot be read."""
    lists = [list_images([folder], ARRAY_SUFFIXES) for folder in folders]
    with ThreadPoolExecutor(granted_cores()) as pool:
        unique = list(dict.fromkeys(chain(*lists)))
        found = {file.path: file for file in track(pool.map(examine, unique), len(unique))}
    files = [[found[path] for path in paths] for paths in lists]
    report = DataReport(layout, [_folder(*each) for each in zip(folders, files, strict=True)])
    if broken := [file.error for file in found.values() if file.error]:
        shown = " | ".join(broken[:10]) + (f" | and {len(broken) - 10} more" if len(broken) > 10 else "")
        report.problems.append(
            f"{len(broken)} {'file' if len(broken) == 1 else 'files'} cannot be read; fix or remove them, or train with --damaged skip: {shown}"
        )
    return report, files


def _readable(files: Files) -> dict[Path, Examined]:
    return {file.path: file for file in chain(*files) if not file.error}


def _completed(report: DataReport, files: Files, options: DataOptions, patch: int, samples: int, halves: int = 1) -> DataReport:
    """Add what is said of all files, however they belong together, and return the report."""
    readable = _readable(files).values()
    _channels(report, readable)
    if samples <= options.hold_out:
        report.notes.append(f"training holds out {options.hold_out} of them, and there are {samples}: add images or lower --hold-out")
    small = [file.path for file in readable if min(file.height, file.width // halves) < (patch or options.patch)]
    if small and patch:
        report.problems.append(
            f"{len(small)} images are smaller than a patch of {patch} pixels: {name_some(small)}; lower --patch, train with --resize, or take them out"
        )
    elif small:
        happens = "--resize enlarges them" if isinstance(options, FolderOptions) else "training leaves them out"
        report.notes.append(f"{len(small)} images are smaller than {options.patch} pixels, the default --patch; {happens}: {name_some(small)}")
    _copies(report, files)
    return report


def _folder(folder: Path, files: Sequence[Examined]) -> FolderReport:
    readable = [file for file in files if not file.error]
    heights, widths = ([getattr(file, name) for file in readable] or [0] for name in ("height", "width"))
    channels, bits = (dict(sorted(Counter(str(getattr(file, name)) for file in readable).items())) for name in ("channels", "bits"))
    ranges = [(min(sides), median(sides), max(sides)) for sides in (heights, widths)]
    return FolderReport(str(folder), len(files), ranges[0], ranges[1], channels, bits)


def _check_pairs(report: DataReport, folders: Sequence[Path], files: Files) -> int:
    """Match two folders by name; return the number of pairs."""
    try:
        pairs, alone = match_by_name(*folders)
    except PixlateError as error:  # two files of one name, or one folder in the other
        report.problems.append(str(error))
        return 0
    if alone:
        report.problems.append(f"{len(alone)} files have no partner of the same name: {without_partner(alone, *folders)}")
    found = _readable(files)
    both = [(found[source], found[target]) for source, target in pairs if source in found and target in found]
    sizes = [((first.height, first.width), (second.height, second.width), f"{first.path} and {second.path}") for first, second in both]
    if turned := [names for first, second, names in sizes if unlike(first, second)]:
        report.problems.append(f"{len(turned)} pairs have two shapes and cannot show the same: {name_some(turned)}; turn or crop one of each")
    if other := [names for first, second, names in sizes if first != second and not unlike(first, second)]:
        report.notes.append(f"{len(other)} pairs have two sizes, which --resize makes equal and --resize 0 refuses: {name_some(other)}")
    return len(pairs)


def _check_halves(report: DataReport, files: Files) -> int:
    """Look for images that do not hold two side by side; return the number of pairs."""
    found = _readable(files).values()
    narrow = [file.path for file in found if too_narrow(file.height, file.width)]
    if 2 * len(narrow) > len(found):
        report.problems.append(
            f"{len(narrow)} images are less than {LEAST_ASPECT} times as wide as high and cannot hold source and target side by side: {name_some(narrow)}; "
            "name two folders, SOURCE TARGET, or train with --grey or --lines 1 where these are targets alone"
        )
    if odd := [file.path for file in found if file.width % 2]:
        report.problems.append(f"{len(odd)} images have an odd width and cannot be halved: {name_some(odd)}; fix them, or name two folders")
    return len(found)


def _channels(report: DataReport, files: Iterable[Examined]) -> None:
    """Report mixed numbers of channels, and note mixed depths."""
    for folder in report.folders:
        kinds = {int(channels) for channels in folder.channels}
        if len(kinds) > 1 and not kinds <= {1, 3}:
            rare = min(folder.channels, key=lambda channels: folder.channels[channels])
            such = [file.path for file in files if str(file.channels) == rare and file.path.is_relative_to(folder.path)]
            report.problems.append(
                f"{folder.path} mixes images of {', '.join(map(str, sorted(kinds)))} channels, and a network takes one number: "
                f"take out or convert those of {rare}: {name_some(such)}"
            )
        elif len(kinds) > 1:
            report.notes.append(f"{folder.path} mixes grey and RGB images; grey is repeated for a network of 3 channels")
        if len(folder.bits) > 1:
            report.notes.append(f"{folder.path} mixes samples of {', '.join(folder.bits)} bits; each is divided by its own largest value")


def _copies(report: DataReport, files: Files) -> None:
    """Report duplicate pictures, above all those in both training and test."""
    places = {file.path: _place(Path(folder.path), file.path) for folder, each in zip(report.folders, files, strict=True) for file in each}
    groups: dict[bytes, list[Examined]] = defaultdict(list)
    for file in _readable(files).values():
        groups[file.content].append(file)
    within: list[str] = []
    across: list[str] = []
    for group in groups.values():
        if len(group) > 1:
            (across if len({places[file.path] for file in group}) > 1 else within).append(" = ".join(str(file.path) for file in group))
    if across:
        report.problems.append(
            f"{len(across)} pictures are in more than one folder, where each has a meaning of its own: {name_some(across)}; keep each in one"
        )
    if within:
        report.problems.append(
            f"{len(within)} {'picture is' if len(within) == 1 else 'pictures are'} there more than once: {name_some(within)}; remove the copies"
        )
    if near := [f"{first.path} ~ {second.path}" for first, second in same_look([group[0] for group in groups.values()])]:
        report.notes.append(f"{len(near)} pairs of pictures look the same: {name_some(near)}")


def _place(folder: Path, path: Path) -> str:
    """Return the folder of a file and the split below it, such as train or test, if it has these."""
    first, *rest = path.relative_to(folder).parts
    return str(folder / first) if rest and first.lower() in SPLITS else str(folder)


def examine(path: Path) -> Examined:
    """Decode a file completely, and return what is in it."""
    try:
        pixels = read_own(path, 3)
    except PixlateError as error:
        return Examined(path, str(error))
    content = blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    content.update(np.ascontiguousarray(pixels).data)
    height, width, channels = pixels.shape
    return Examined(path, "", height, width, channels, 8 * pixels.itemsize, content.digest(), _look(pixels))


def same_look(files: Sequence[Examined]) -> list[tuple[Examined, Examined]]:
    """Return the pairs of files that look the same though their samples differ."""
    known = [file for file in files if file.look is not None]
    looks = np.array([file.look for file in known], np.uint64)
    near = (np.flatnonzero(np.bitwise_count(looks[place + 1 :] ^ looks[place]) <= NEAR) + place + 1 for place in range(len(known)))
    pairs = [(first, known[other]) for first, others in zip(known, near, strict=True) for other in others]
    return [(first, second) for first, second in pairs if first.content != second.content]


def _look(pixels: Pixels) -> int | None:
    """Return for each of 8 x 8 places whether it is darker than the one to its right."""
    grey = luma(pixels) if pixels.shape[2] == 3 else pixels[:, :, :1]
    small = np.array(Image.fromarray(to_8_bits(grey)[:, :, 0]).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX), np.int16)
    bits = (small[:, :-1] < small[:, 1:]).ravel()
    if not _PLAIN <= bits.sum() <= bits.size - _PLAIN:
        return None
    return int.from_bytes(np.packbits(bits).tobytes())
