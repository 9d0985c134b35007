"""A way to run model files of some suffixes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixlate.plugin.offer import Offer
from pixlate.plugin.translator import Translator


@dataclass(frozen=True)
class Runtime(Offer, kind="runtime"):
    """Opens model files. Of several that take a suffix and are available, the first opens the file, unless another is named or found to be faster."""

    name: str
    """Name in messages, such as ``onnxruntime``."""
    suffixes: tuple[str, ...]
    """Lower-case suffixes of its files, with the dot."""
    available: Callable[[], bool]
    """Whether the library it needs is installed; called before ``open``."""
    open: Callable[[Path, str, str], Translator]
    """Return a translator of a file on a device (``auto``, ``cpu``, ``cuda`` or ``cuda:N``) with an arithmetic (``auto`` for that of the file). One named
    explicitly is used or refused with a PixlateError, never replaced."""
    blend: Callable[[Path, Path, float, str], Translator] | None = None
    """Return a translator whose weights are ``strength`` times those of the first file and ``1 - strength`` times those of the second, of one network and spec,
    on a device as for ``open``; or refuse them with a PixlateError. None where the runtime cannot."""
    devices: tuple[str, ...] = ()
    """Kinds of devices beside ``auto`` that it knows, such as ``cpu`` for ``cpu`` and ``cuda`` for ``cuda:0``; none for any."""
    arithmetics: Callable[[], tuple[str, ...]] = tuple
    """What ``open`` takes on this machine's CPU beside ``auto``, such as ``float32`` and ``bfloat16``, the fastest last; called where the user leaves the
    choice open. What it gives is compared with ``auto`` of the first runtime before it is chosen."""
