"""Brings the threads that read and write together, so that a JPEG codec on a GPU gets batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from pixlate.contracts import JpegCodec
from pixlate.images.jpeg import Plain, Subsampling
from pixlate.images.picture import Pixels

MOST = 64
"""Most pictures in one batch."""
MOST_PIXELS = 64_000_000
"""Most pixels in one batch, unless one picture has more: 192 MB of the GPU."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class JpegLane:
    """A codec that many threads may ask, each for one picture: who asks while it is at work is answered with the next batch.

    A codec that raises is not asked again, and all else is left to the CPU.

    Args:
        codec: Decodes and encodes.
    """

    def __init__(self, codec: JpegCodec) -> None:
        self.codec = codec
        self.kinds: frozenset[str] = frozenset()
        """Kinds of files that it may decode; see :attr:`pixlate.images.jpeg.Frame.kind`."""
        self.failure = ""
        """What it raised."""
        self._decoding: _Gathered[Plain, Pixels] = _Gathered(self._decode, lambda file: file.frame.width * file.frame.height)
        self._encoding: _Gathered[tuple[Pixels, int, Subsampling], bytes] = _Gathered(self._encode, lambda asked: asked[0].shape[0] * asked[0].shape[1])
        self._turn = Lock()

    @property
    def decoded(self) -> int:
        """Pictures decoded so far."""
        return self._decoding.made

    @property
    def encoded(self) -> int:
        """Pictures encoded so far."""
        return self._encoding.made

    def decode(self, file: Plain) -> Pixels | None:
        """Return the pixels of a file, or None where it is left to the CPU; a :data:`pixlate.images.jpeg.Decoder`."""
        return self._decoding(file) if file.frame.kind in self.kinds and not self.failure else None

    def encode(self, pixels: Pixels, quality: int, subsampling: Subsampling) -> bytes | None:
        """Return the file of pixels, or None where they are left to the CPU; a :data:`pixlate.images.jpeg.Encoder`."""
        return None if self.failure else self._encoding((pixels, quality, subsampling))

    def forget(self) -> None:
        """Begin to count anew."""
        self._decoding.made = self._encoding.made = 0

    def _decode(self, files: Sequence[Plain]) -> list[Pixels | None]:
        return self._asked(lambda: self.codec.decode([file.coded for file in files]), len(files))

    def _encode(self, asked: Sequence[tuple[Pixels, int, Subsampling]]) -> list[bytes | None]:
        made: list[bytes | None] = [None] * len(asked)
        for quality, subsampling in {each[1:] for each in asked}:
            chosen = [index for index, each in enumerate(asked) if each[1:] == (quality, subsampling)]
            images = [asked[index][0] for index in chosen]
            files = self._asked(lambda images=images, settings=(quality, subsampling): self.codec.encode(images, *settings), len(images))  # type: ignore[misc]
            for index, data in zip(chosen, files, strict=True):
                made[index] = data
        return made

    def _asked(self, ask: Callable[[], list[Made | None]], count: int) -> list[Made | None]:
        """Return what the codec answers, or nothing where it raises or has raised."""
        with self._turn:
            if self.failure:
                return [None] * count
            try:
                answers = ask()
                if len(answers) != count:
                    raise ValueError(f"expected {count} answers, got {len(answers)}")
            except BaseException as error:  # noqa: BLE001 - whatever a foreign codec raises, the CPU can do its work, and nobody may wait for ever
                self.failure = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                return [None] * count
            return answers


@dataclass(eq=False)
class _Request(Generic[Given, Made]):
    """What one thread asks for."""

    given: Given
    made: Made | None = None
    done: bool = False


@dataclass(eq=False)
class _Gathered(Generic[Given, Made]):
    """Answers threads with one call for all that wait: the first of them makes it, and those that come meanwhile wait for the next."""

    call: Callable[[Sequence[Given]], list[Made | None]]
    pixels: Callable[[Given], int]
    made: int = 0
    """How many were answered with something."""
    _waiting: list[_Request[Given, Made]] = field(default_factory=list)
    _adding: Lock = field(default_factory=Lock)
    _turn: Lock = field(default_factory=Lock)

    def __call__(self, given: Given) -> Made | None:
        request: _Request[Given, Made] = _Request(given)
        with self._adding:
            self._waiting.append(request)
        while not request.done:
            with self._turn:
                if not request.done:
                    self._answer()
        return request.made

    def _answer(self) -> None:
        """Answer those that have waited longest."""
        with self._adding:
            count = pixels = 0
            for request in self._waiting[:MOST]:
                pixels += self.pixels(request.given)
                if count and pixels > MOST_PIXELS:
                    break
                count += 1
            batch, self._waiting = self._waiting[:count], self._waiting[count:]
        answers = self.call([request.given for request in batch])
        for request, answer in zip(batch, answers, strict=True):
            request.made = answer
            self.made += answer is not None
            request.done = True
