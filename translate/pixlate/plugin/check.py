"""What ``pixlate doctor`` reports."""

from dataclasses import dataclass
from typing import Literal

from pixlate.plugin.offer import Offer


@dataclass(frozen=True)
class Check(Offer, kind="check"):
    """One finding of ``pixlate doctor``."""

    name: str
    """What was looked at."""
    status: Literal["ok", "note", "problem"]
    """ok, note (something optional is not there) or problem (something that was installed does not work)."""
    found: str
    """What was seen."""
    remedy: str = ""
    """The one command that fixes it."""
