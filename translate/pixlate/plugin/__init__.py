"""What a plugin author meets: the hooks, one file a contract, the manager that isolates plugins, and checks for their tests. No PyTorch but for gan."""

from pluggy import HookimplMarker

hookimpl = HookimplMarker("pixlate")
"""Marks a plugin's functions as implementations of hooks."""
