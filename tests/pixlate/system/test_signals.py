"""Work that a signal leaves behind."""

import subprocess
import sys

CALLED = """
import threading
from pixlate.system.signals import interruptible

def begun(thread, start=threading.Thread.start):
    start(thread)
    raise KeyboardInterrupt  # as a signal does that comes while the thread is waited for

threading.Thread.start = begun
try:
    interruptible(threading.Event().wait)
except KeyboardInterrupt:
    pass
"""


def test_ctrl_c_while_a_thread_is_being_started_ends_the_process_around_it() -> None:
    done = subprocess.run([sys.executable, "-c", CALLED], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
