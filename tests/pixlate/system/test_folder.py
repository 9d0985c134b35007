"""Files that are written beside their place and take it once they are whole."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pixlate.system.folder import replacing


def test_what_the_system_refuses_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a full disk, where a folder that is open is given the last part of the path alone."""
    opened = os.open

    def refuse(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith(".part"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "sheet.png"):
        pass
    assert caught.value.filename == str(tmp_path / ".sheet.png.part")
