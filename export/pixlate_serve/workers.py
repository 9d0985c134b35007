"""Threads that decode and encode: as many at once as there are cores, but a slow file keeps no other waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from pixlate_serve.admission import Claim

SLOW_S = 1.0
"""Seconds after which a job no longer keeps others from beginning; it goes on in its thread."""
SLOW = 16
"""Most threads beyond those for quick jobs."""
Params = ParamSpec("Params")
Result = TypeVar("Result")


class Workers:
    """Runs jobs in threads, ``count`` at once, not counting up to :data:`SLOW` that have taken longer than :data:`SLOW_S`."""

    def __init__(self, count: int) -> None:
        self._quick = asyncio.Semaphore(count)
        self._pool = ThreadPoolExecutor(count + SLOW, "images")
        self._running: set[Future[object]] = set()

    async def run(self, claim: Claim, function: Callable[Params, Result], *arguments: Params.args, **named: Params.kwargs) -> Result:
        """Return what a function returns; the claim keeps what it holds until the function has ended, even where the caller is cancelled."""
        loop = asyncio.get_running_loop()
        await self._quick.acquire()
        held = True

        def let_next() -> None:
            nonlocal held
            if held:
                self._quick.release()
            held = False

        def ended(job: "Future[object]") -> None:
            self._running.discard(job)
            with suppress(RuntimeError):  # the server has ended before the job
                loop.call_soon_threadsafe(let_next)

        timer = loop.call_later(SLOW_S, let_next)
        job = self._pool.submit(copy_context().run, lambda: function(*arguments, **named))
        self._running.add(job)  # type: ignore[arg-type]
        claim.keep_for(job)  # type: ignore[arg-type]
        job.add_done_callback(ended)  # type: ignore[arg-type]
        try:
            return await asyncio.wrap_future(job)
        finally:
            if job.done():
                timer.cancel()

    def close(self, timeout_s: float) -> bool:
        """Begin no more jobs; return whether those that run have ended in time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not wait(set(self._running), timeout_s).not_done
