"""Methods under the name that plugins of 0.1 import; see :mod:`pixlate.plugin.method`."""

from typing import Literal

from pixlate.data.kinds import BUILT_IN
from pixlate.plugin.method import Method

Pairing = Literal["paired", "unpaired", "degraded"]
DATA = {name: kind.options for name, kind in BUILT_IN.items()}
"""Options of the built-in data kinds, by name."""

__all__ = ["DATA", "Method", "Pairing"]
