"""Which threads run first where there are more of them than cores."""

import os
import sys
import threading
from contextlib import suppress

STEP = 10
"""How much nicer than the process a thread of the background is: beside a thread of the model it gets a tenth of a core, which is enough that it is not starved
where others need the machine as well. What it leaves undone, the model leaves it time for when its queue runs dry."""


def run_in_background() -> None:
    """Let the calling thread give way to the others of its process; on Linux, where each thread has a niceness of its own. Elsewhere, nothing is done."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):  # a sandbox may forbid it, and speed alone depends on it
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + STEP))
