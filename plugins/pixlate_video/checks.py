"""What ``pixlate doctor`` says of films."""

from collections.abc import Iterable
from importlib.util import find_spec

import pixlate
from pixlate.system.extras import install


def checks() -> Iterable[pixlate.Check]:
    """Return whether films can be read, and what they can be written with."""
    if find_spec("av") is None:
        return (pixlate.Check("films", "note", "PyAV is not installed", f"for films run: {install('video')}"),)
    import av

    from pixlate_video.encoder import ENCODERS

    known = [title for _, title, encoder in ENCODERS if encoder in av.codecs_available]
    if not known:
        return (pixlate.Check("films", "problem", f"PyAV {av.__version__} has no encoder that Pixlate knows", "pip install --force-reinstall av"),)
    return (pixlate.Check("films", "ok", f"PyAV {av.__version__}, which writes {', '.join(known)}"),)
