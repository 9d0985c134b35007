"""Everything behind the routes: models under their names, threads, queue and metrics."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from pixlate.images.picture import Pixels
from pixlate.inference.batcher import Batch, Batcher, Ticket
from pixlate.inference.conditions import Arrays
from pixlate.inference.pictures import to_model
from pixlate.inference.strength import blend
from pixlate.plugin.translator import Translator
from pixlate.system.cores import granted_cores
from pixlate_serve import footprint
from pixlate_serve.admission import Admission, Backlog, Claim
from pixlate_serve.metrics import Metrics
from pixlate_serve.multipart import file_of
from pixlate_serve.options import ServeOptions
from pixlate_serve.refusals import Refusal, late, stopping
from pixlate_serve.served_model import ServedModel, Weights
from pixlate_serve.translation import MAX_PIXELS, Answer, decoded, encoded, opened, require_sides, split_hole
from pixlate_serve.workers import Workers

DONE_BY = 0.9
"""Share of the deadline at which the model has to be done with a picture, for its answer to be encoded in time."""
NO_WEIGHTS = Weights()


class Service:
    """Translates uploads with models that are loaded already; clients must send the token, where there is one."""

    def __init__(
        self, translators: Mapping[str, Translator], options: ServeOptions, token: str = "", weights: Mapping[str, Weights] = MappingProxyType({})
    ) -> None:
        self.options, self.token = options, token
        self.admission = Admission(options.queue, options.most_bytes)
        self.models = {name: ServedModel(name, translator, options, weights.get(name, NO_WEIGHTS)) for name, translator in translators.items()}
        self.metrics = Metrics(self.admission, {name: model.weights for name, model in self.models.items()})
        self.stopping = False
        self._cut = False
        self._requests: set[asyncio.Task[object]] = set()
        self._workers = Workers(options.threads or granted_cores())
        devices = {model.device for model in self.models.values()}
        self._batchers = {device: self._batcher(device) for device in devices}
        self._backlogs = {device: Backlog(DONE_BY * options.deadline) for device in devices}

    def start(self) -> None:
        """Begin to warm the models up, then take pictures."""
        for batcher in self._batchers.values():
            batcher.start()

    def close(self, timeout_s: float) -> bool:
        """End the threads; return whether all have ended in time."""
        ended = [self._workers.close(timeout_s), *(batcher.close(timeout_s) for batcher in self._batchers.values())]
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

    async def translate(
        self, model: ServedModel, data: bytes, format_for: Callable[[str], str], claim: Claim, conditions: Arrays, strength: float = 1.0, form: str = ""
    ) -> Answer:
        """Return the answer to an upload.

        Args:
            model: The model.
            data: The upload, which the claim holds.
            format_for: Names the format of the answer for that of the upload.
            claim: Takes a slot, and the memory of the pixels.
            conditions: What the model takes besides the picture.
            strength: How much of the model is in the answer, from 0 to 1.
            form: Content-Type of an upload that is a form with a file in it.

        Raises:
            Refusal: Why there is none; 503 after the deadline.
        """
        claim.take_place()
        try:
            async with asyncio.timeout(self.options.deadline):
                answer = await self._answer(model, data, format_for, claim, conditions, strength, form)
        except TimeoutError as error:
            raise late(self.options.deadline) from error
        claim.leave_place()
        claim.hold(len(answer.data))
        return answer

    async def _answer(
        self, model: ServedModel, data: bytes, format_for: Callable[[str], str], claim: Claim, conditions: Arrays, strength: float, form: str
    ) -> Answer:
        workers, options = self._workers, self.options
        if form:
            claim.hold(2 * len(data))
            data = await workers.run(claim, file_of, data, form)
        file = await workers.run(claim, opened, data, model.max_pixels, options.max_pixels)
        width, height = file.size
        format = format_for(file.format.name)
        require_sides(file, format, model.spec.scale)
        self._hold(claim, len(data), footprint.of_header(file.header, model.spec, format), width * height, format)
        with self._backlogs[model.device].holding(model.seconds(height, width), self.admission):
            picture = await workers.run(claim, decoded, file, model.spec)
            self._hold(claim, len(data), footprint.of_picture(picture, model.spec, format), width * height, format)
            del data, file
            if model.mask:
                picture, mask = await workers.run(claim, split_hole, picture, model.mask)
                conditions = {**conditions, **mask}
            pixels = await workers.run(claim, to_model, picture, model.spec)
            output = await self._translated(model, pixels, conditions, claim)
            if strength < 1:
                output = await workers.run(claim, blend, output, pixels, strength)
            del pixels
        picture = replace(picture, notes=(*picture.notes, *model.executor.notes(height, width)))
        self.metrics.translated(model.name, width * height)
        system = model.system(strength)
        return await workers.run(claim, encoded, output, picture, model.spec, format, options.quality, options.strip_metadata, strength, system)

    def _hold(self, claim: Claim, upload: int, taken: int, pixels: int, format: str) -> None:
        """Hold an upload and what its picture takes; 413 with the largest that is accepted where it is more than there is for all."""
        if upload + taken > self.options.most_bytes:
            most = max(0, self.options.most_bytes - upload) * pixels // taken
            sentence = f"expected at most {most / 1e6:.2g} million pixels of this depth for an answer as {format.upper()}, got {pixels / 1e6:.2g} million"
            raise Refusal(413, "too_large_for_memory", f"{sentence}; send a smaller picture, or add ?format=png", {MAX_PIXELS: str(most)})
        claim.hold(upload + taken)

    async def _translated(self, model: ServedModel, pixels: Pixels, conditions: Arrays, claim: Claim) -> Pixels:
        """Return the translated picture, or raise the refusal; where the caller is cancelled, the picture leaves the queue, or ends after its tile."""
        outcome: Future[Pixels] = Future()
        ended: Future[None] = Future()
        gone = threading.Event()
        done = partial(copy_context().run, model.settle, outcome, ended, *pixels.shape[:2])
        ticket = Ticket(pixels, done, conditions, model.name, lambda: not gone.is_set())
        claim.keep_for(ended)
        self._batchers[model.device].submit(ticket)
        try:
            return await asyncio.wrap_future(outcome)
        finally:
            gone.set()
            if self._batchers[model.device].withdraw(ticket):
                ended.set_result(None)

    def _batcher(self, device: str) -> Batcher:
        models = [model for model in self.models.values() if model.device == device]

        def warm_up() -> None:
            for model in models:
                model.warm_up()

        lane, speeds = {model.name: model.executor for model in models}, {model.name: model.speed for model in models}
        return Batcher([lane], self.options.batch_wait_ms / 1000, True, warm_up, self._ran, speeds)

    def _ran(self, batch: Batch) -> None:
        self.metrics.ran(batch)
        self.admission.finished(batch.seconds / batch.count)
