"""Everything behind the routes: models under their names, threads, queue and metrics."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np

from pixlate.errors import OutOfDeviceMemory, PixlateError
from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Abandoned, Batch, Batcher, Ticket
from pixlate.inference.conditions import Arrays, Conditions, stacked
from pixlate.inference.executor import Executor
from pixlate.inference.pictures import to_model
from pixlate.inference.sizes import allowed_side
from pixlate.plugin.spec import ModelSpec
from pixlate.plugin.translator import Translator
from pixlate.system.cores import granted_cores
from pixlate_serve.admission import Admission, Claim
from pixlate_serve.metrics import Metrics
from pixlate_serve.options import ServeOptions
from pixlate_serve.refusals import Refusal, internal, stopping, too_large_for_memory
from pixlate_serve.translation import Answer, cost, decoded, encoded, most_pixels, opened, require_sides, split_hole

SAMPLE = 32
"""Side of the picture a model is warmed up with, where it takes one so small."""
log = logging.getLogger("pixlate_serve")
Params = ParamSpec("Params")
Result = TypeVar("Result")


class ServedModel:
    """A loaded model under its name: how its pictures run, and whether it still works.

    Raises:
        PixlateError: The model takes several masks, or the tile is too small for it.
    """

    def __init__(self, name: str, translator: Translator, options: ServeOptions) -> None:
        self.name = name
        self.device: str = translator.device
        self.spec: ModelSpec = translator.spec
        self.max_pixels = most_pixels(self.spec, options.max_pixels, options.memory)
        self.warm = threading.Event()
        self.works = True
        self._neutral = Conditions.neutral(self.spec)
        self.mask = next((each.name for each in self.spec.conditions if each.kind == "mask"), "")
        self.executor = Executor(translator, options.tile, options.batch, options.bucket)
        self._has_sample = False

    def warm_up(self) -> None:
        """Run a small picture, so that the first client does not wait for what is done once."""
        self._has_sample = self._runs_sample()
        self.warm.set()

    def settle(self, outcome: "Future[Pixels]", height: int, width: int, found: Pixels | Exception) -> None:
        """Deliver the result of a picture of that size, or its refusal; disconnected clients get neither."""
        refusal = self._refusal(height, width, found) if isinstance(found, Exception) else None
        self.works = self.works or refusal is None
        if not outcome.set_running_or_notify_cancel():
            return
        if refusal is not None:
            outcome.set_exception(refusal)
        elif not isinstance(found, Exception):
            outcome.set_result(found)

    def _refusal(self, height: int, width: int, error: Exception) -> Refusal:
        """Return why a picture could not be translated; the full reason, which may speak of this machine, goes into the log."""
        if isinstance(error, Abandoned):
            return Refusal(499, "gone", "the client has gone away")
        if not isinstance(error, PixlateError | OutOfDeviceMemory | MemoryError):
            log.error("%s: unexpected error", self.name, exc_info=error)
            return internal()
        log.warning("%s: a picture of %d x %d pixels failed: %s", self.name, width, height, error)
        if isinstance(error, OutOfDeviceMemory | MemoryError) or isinstance(error.__cause__, OutOfDeviceMemory | MemoryError):
            return too_large_for_memory()
        self.works = self._runs_sample() or not self._has_sample
        if not self.works:
            sentence = "the model has stopped working on this server; tell whoever runs it, and try again later"
            return Refusal(503, "model_broken", sentence, {"Retry-After": "30"})
        return Refusal(422, "model_failed", f"the model could not translate this picture of {width} x {height} pixels; use another size or model")

    def _runs_sample(self) -> bool:
        side = allowed_side(SAMPLE, self.spec)
        sample = np.full((1, side, side, self.spec.channels_in), 127, np.uint8)
        try:
            self.executor(sample, conditions=stacked([self._neutral.arrays("", sample[0, :, :, :1])]))
        except (PixlateError, OutOfDeviceMemory, MemoryError):
            return False  # a model of one fixed size, or one that does not work
        return True


class Service:
    """Translates uploads with models that are loaded already; clients must send the token, where there is one."""

    def __init__(self, translators: Mapping[str, Translator], options: ServeOptions, token: str = "") -> None:
        self.options, self.token = options, token
        self.admission = Admission(options.queue, options.memory)
        self.metrics = Metrics(self.admission)
        self.models = {name: ServedModel(name, translator, options) for name, translator in translators.items()}
        self.stopping = False
        self._cut = False
        self._requests: set[asyncio.Task[object]] = set()
        self._pool = ThreadPoolExecutor(options.threads or granted_cores(), "images")
        self._batchers = {device: self._batcher(device) for device in {model.device for model in self.models.values()}}

    def start(self) -> None:
        """Begin to warm the models up, then take pictures."""
        for batcher in self._batchers.values():
            batcher.start()

    def close(self, timeout_s: float) -> bool:
        """End the threads; return whether all have ended in time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        ended = [batcher.close(timeout_s) for batcher in self._batchers.values()]
        return all(ended)

    @property
    def ready(self) -> bool:
        """Whether every model is warm and works, and the server is not about to end."""
        return not self.stopping and all(model.warm.is_set() and model.works for model in self.models.values())

    @property
    def busy(self) -> bool:
        """Whether accepted requests are not yet answered."""
        return bool(self._requests)

    def model(self, name: str) -> ServedModel:
        """Return a model, or refuse with 404 and the names there are."""
        if name not in self.models:
            raise Refusal(404, "unknown_model", f"expected one of the models {', '.join(sorted(self.models))}, got another name; see /v1/models")
        return self.models[name]

    def accept(self) -> Claim:
        """Accept a request of the current task; 503 where the server is stopping, 429 where it is busy."""
        if self.stopping:
            raise stopping()
        self.admission.require_place()
        task = asyncio.current_task()
        assert task is not None
        self._requests.add(task)
        return Claim(self.admission, lambda: self._requests.discard(task))

    def cut_off(self) -> None:
        """Cancel the requests that are not yet answered; each is answered 503."""
        self._cut = True
        for task in self._requests:
            task.cancel()

    def was_cut_off(self) -> bool:
        """Return whether the current task was cancelled by :meth:`cut_off`; if so it may continue, to answer 503."""
        task = asyncio.current_task()
        if self._cut and task is not None:
            task.uncancel()
        return self._cut

    async def translate(self, model: ServedModel, data: bytes, format_for: Callable[[str], str], claim: Claim, conditions: Arrays) -> Answer:
        """Return the answer to an upload.

        Args:
            model: The model.
            data: The upload, which the claim holds.
            format_for: Names the format of the answer for that of the upload.
            claim: Takes a slot, and the memory of the pixels.
            conditions: What the model takes besides the picture.

        Raises:
            Refusal: Why there is none.
        """
        claim.take_place()
        file = await self._in_pool(opened, data, model.max_pixels)
        format = format_for(file.format.name)
        require_sides(file, format, model.spec.scale)
        claim.hold(len(data) + cost(file, model.spec))
        picture = await self._in_pool(decoded, file, model.spec)
        del data, file
        if model.mask:
            picture, mask = split_hole(picture, model.mask)
            conditions = {**conditions, **mask}
        output = await self._translated(model, await self._in_pool(to_model, picture, model.spec), conditions)
        answer = await self._in_pool(encoded, output, picture, model.spec, format, self.options.quality, self.options.strip_metadata)
        claim.leave_place()
        claim.hold(len(answer.data))
        self.metrics.translated(model.name, picture.pixels.shape[0] * picture.pixels.shape[1])
        return answer

    async def _translated(self, model: ServedModel, pixels: Pixels, conditions: Arrays) -> Pixels:
        """Return the translated picture, or raise the refusal; where the caller is cancelled, the picture leaves the queue."""
        outcome: Future[Pixels] = Future()
        gone = threading.Event()
        ticket = Ticket(pixels, partial(model.settle, outcome, *pixels.shape[:2]), conditions, model.name, lambda: not gone.is_set())
        self._batchers[model.device].submit(ticket)
        try:
            return await asyncio.wrap_future(outcome)
        finally:
            gone.set()
            self._batchers[model.device].withdraw(ticket)

    async def _in_pool(self, function: Callable[Params, Result], *arguments: Params.args, **named: Params.kwargs) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*arguments, **named))

    def _batcher(self, device: str) -> Batcher:
        models = [model for model in self.models.values() if model.device == device]

        def warm_up() -> None:
            for model in models:
                model.warm_up()

        return Batcher([{model.name: model.executor for model in models}], self.options.batch_wait_ms / 1000, True, warm_up, self._ran)

    def _ran(self, batch: Batch) -> None:
        self.metrics.ran(batch)
        self.admission.finished(batch.seconds / batch.count)
