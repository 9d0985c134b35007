"""Everything behind the routes: models, threads, queue and metrics."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Batch, Batcher, Ticket
from pixlate.inference.conditions import Arrays
from pixlate.inference.pictures import to_model
from pixlate.plugin.translator import Translator
from pixlate.system.process import granted_cores
from pixlate_serve.admission import Admission, Claim
from pixlate_serve.metrics import Metrics
from pixlate_serve.options import ServeOptions
from pixlate_serve.refusals import Refusal, stopping
from pixlate_serve.served import ServedModel
from pixlate_serve.translation import Answer, cost, decoded, encoded, header_of, most_pixels, require_sides, split_hole

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Service:
    """Translates uploads with models that are loaded already.

    Args:
        translators: Name -> model.
        options: Limits and how to write.
        token: What clients must send, empty where nothing is asked for.
    """

    def __init__(self, translators: Mapping[str, Translator], options: ServeOptions, token: str = "") -> None:
        self.options, self.token = options, token
        self.admission = Admission(options.queue, options.memory)
        self.metrics = Metrics(self.admission)
        self.models = {
            name: ServedModel(name, translator, options.tile, options.batch, options.bucket, most_pixels(translator.spec, options.max_pixels, options.memory))
            for name, translator in translators.items()
        }
        self.stopping = False
        self._cut = False
        self._requests: set[asyncio.Task[object]] = set()
        self._pool = ThreadPoolExecutor(options.threads or granted_cores(), "images")
        self._batchers = {device: self._batcher(device) for device in {model.device for model in self.models.values()}}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(timeout_s=60)

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
        """Return a model.

        Raises:
            Refusal: 404 with the names there are.
        """
        if name not in self.models:
            raise Refusal(404, "unknown_model", f"expected one of the models {', '.join(sorted(self.models))}, got another name; see /v1/models")
        return self.models[name]

    def accept(self) -> Claim:
        """Accept a request of the current task.

        Raises:
            Refusal: 503 the server is stopping, 429 it is busy.
        """
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
        header = await self._in_pool(header_of, data, model.max_pixels)
        format = format_for(header.format)
        require_sides(header, format, model.spec.scale)
        claim.hold(len(data) + cost(header, model.spec))
        picture = await self._in_pool(decoded, data, model.max_pixels, model.spec)
        del data
        if model.mask:
            picture, mask = split_hole(picture, model.mask)
            conditions = {**conditions, **mask}
        output = await self._translated(model, to_model(picture, model.spec), conditions)
        answer = await self._in_pool(encoded, output, picture, model.spec, format, self.options.quality, self.options.strip_metadata)
        claim.leave_place()
        claim.hold(len(answer.data))
        self.metrics.translated(model.name, header.width * header.height)
        return answer

    async def _translated(self, model: ServedModel, pixels: Pixels, conditions: Arrays) -> Pixels:
        """Return the translated picture; where the caller is cancelled, the picture leaves the queue.

        Raises:
            Refusal: Why there is none.
        """
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
