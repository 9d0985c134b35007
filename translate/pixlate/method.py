"""Methods under the name that plugins of 0.1 import; see :mod:`pixlate.plugin.method`."""

from pixlate.plugin.method import DATA, Method, Pairing

__all__ = ["DATA", "Method", "Pairing"]
