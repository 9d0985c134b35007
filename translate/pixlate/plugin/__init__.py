"""The API for plugin authors: the hooks, one file per contract, the manager that isolates plugins, and checks for their tests. No PyTorch except in gan."""

from pluggy import HookimplMarker

hookimpl = HookimplMarker("pixlate")
"""Marks a plugin's functions as implementations of hooks."""
