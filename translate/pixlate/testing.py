"""Checks for the tests of plugins; see :mod:`pixlate.plugin.testing`."""

from pixlate.plugin.testing import check_method, make_photographs, small_options

__all__ = ["check_method", "make_photographs", "small_options"]
