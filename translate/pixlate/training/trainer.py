"""The networks of a run with their optimisers, averages and pools, and one step of training."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from pixlate.data.folders import name_some
from pixlate.data.kinds import open_data
from pixlate.data.loader import Loader
from pixlate.errors import PixlateError
from pixlate.options import check_used
from pixlate.plugin.data import Batch
from pixlate.plugin.gan import GAN, Images, Losses, Player
from pixlate.training.augment import DiffAugment, InstanceNoise
from pixlate.training.averaging import WeightAverage
from pixlate.training.checkpoint import Checkpoint, optimizer_state
from pixlate.training.devices import average_gradients
from pixlate.training.history import History
from pixlate.training.monitor import Monitor
from pixlate.training.optimizers import make_optimizer
from pixlate.training.pool import ImagePool
from pixlate.training.run import RunOptions
from pixlate.training.schedules import Growth, Schedule
from pixlate.training.unrolling import losses_ahead

PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
FOLLOWED = 4096
"""Weights of each player, evenly spread, by which the monitor detects whether they change."""


@dataclass
class Turn:
    """A player with what the engine keeps for it."""

    name: str
    player: Player
    optimizer: Optimizer
    parameters: list[nn.Parameter]
    """Those it trains; what a method froze stays frozen."""
    rates: list[float]
    """Initial learning rate of each of the optimiser's groups."""


@dataclass
class _Generated:
    """Images of one part of a batch, made once a step."""

    images: Images | None
    """With their graph; None where it is not kept, or weights they were made with have been updated."""
    first: Images
    """As they were before the first update of the step, detached."""


class Trainer:
    """Makes one step after the other, whatever the method; knows nothing about run folders and the terminal.

    Args:
        options: Of the run.
        fabric: Where it runs; it must be launched.
        new: Whether the run begins, so that the method may refuse what it starts from.

    Raises:
        PixlateError: Images, networks and options do not fit together.
    """

    def __init__(self, options: RunOptions, fabric: Fabric, new: bool = False) -> None:
        self.options, self.fabric = options.training, fabric
        self.warnings: deque[str] = deque()
        torch.manual_seed(self.options.seed)
        self.gan: GAN = options.build()
        if new:
            self.gan.begin_run(self.options.start_from)
        self.kind = options.method.data
        self.spec = spec = next(iter(self.gan.exports().values())).spec
        self.data = open_data(self.kind, options.folders, options.data, spec)
        self.steps = self.stage_steps = self.options.total_steps(self.data.images)
        judged = max((getattr(module, "minimum", 1) for module in self.gan.discriminators.modules()), default=1)
        self.growth = Growth(self.options.grow_from, options.data.patch, self.steps, spec, judged)
        self.loader = Loader(self.data, options.data, self.warnings.append, pin=fabric.device.type == "cuda")
        self.gan.to(fabric.device)
        if self.options.channels_last:
            self.gan.to(memory_format=torch.channels_last)
        self.average = WeightAverage(self.gan, self.options.average_decay)
        self.gan.prepare(fabric.device)
        if self.options.augment:
            self.gan.augment = DiffAugment(self.options.augment)
        if self.options.instance_noise:
            self.gan.augment = InstanceNoise(self.options.augment, self.options.instance_noise)
        if self.options.compile:
            for network in self.gan.compiled():
                network.compile()
        self.turns: dict[str, Turn] = {}
        for name, player in self.gan.players().items():
            if (turn := self._turn(name, player)).parameters:
                self.turns[name] = turn
        against = any(turn.player.adversary for turn in self.turns.values())
        check_used(self.options, against, "discriminators", "discriminator_learning_rate", "generator_every", "pool", "augment", "instance_noise", "unroll")
        self._check_batch()
        if self.options.unroll and (others := [turn.name for turn in self.turns.values() if turn.player.adversary and type(turn.optimizer) is not Adam]):
            raise PixlateError(
                f"expected --unroll with adversaries that Adam updates, but {others[0]} of this method has an optimiser of its own; leave it out"
            )
        self.history = History(self.options.historical_averaging, {name: turn.parameters for name, turn in self.turns.items()})
        self.schedule = Schedule(self.options, self.steps, self.data.images)
        self.pool = ImagePool(self.options.pool)
        self.monitor = Monitor()
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=self.options.precision == "16-mixed")
        self._seen: tuple[Batch, Images] = ({}, {})
        self._followed: dict[str, Tensor] = {}
        self._ready: tuple[int, Batch] | None = None

    def begun_with(self, steps: int) -> None:
        """Keep the boundaries of stages and growing patches of the length that the run began with."""
        self.stage_steps = self.growth.steps = steps

    def read(self, step: int) -> None:
        """Wait for the images of a step, which :meth:`step` then takes.

        Raises:
            PixlateError: A file cannot be read, or its image does not fit; names it. Nothing has changed.
        """
        if self._ready is None or self._ready[0] != step:
            self._ready = step, self.loader.batch(*self._draws(step))

    def step(self, step: int) -> Losses:
        """Let each player make one update, in the method's order; return all losses, detached. Steps are counted from 0.

        All that is random is seeded with (seed, step), so that a resumed run is bit-equal.
        """
        self.gan.train()
        self.gan.begin_step(step, self.stage_steps)
        if isinstance(self.gan.augment, InstanceNoise):
            self.gan.augment.share = max(0.0, 1 - step / self.steps)
        self.history.update(step)
        self._seed(step)
        batch = self.data.finish(self._batch(step))
        if step + 1 < self.steps:
            self.loader.prefetch(*self._draws(step + 1))
        parts = [dict(zip(batch, part, strict=True)) for part in zip(*(values.chunk(self.options.accumulate) for values in batch.values()), strict=True)]
        generates = (step + 1) % self.options.generator_every == 0
        turns = [turn for turn in self.turns.values() if turn.player.adversary or generates]
        made: list[_Generated | None] = [None] * len(parts)
        losses: Losses = {}
        for number, turn in enumerate(turns):
            left = sum(not later.player.adversary for later in turns[number:])
            own = self._update(step, turn, parts, made, graphs=left > 0 and len(parts) == 1)
            losses |= own
            if own and any(later.optimizer is turn.optimizer for later in turns[number + 1 :]):
                self.scaler.update()  # it refuses two updates by one optimiser otherwise
            if own and not turn.player.adversary:
                moved = {id(parameter) for parameter in turn.parameters}
                for images in filter(None, made):
                    if left == 1 or (images.images and moved & _weights_behind(images.images)):
                        images.images = None
        if losses:
            self.scaler.update()
        self.average.update(self.gan, step)
        return losses

    def observe(self, step: int) -> list[str]:
        """Return what looks unhealthy after a step, in words, each once a run."""
        batch, images = self._seen
        movement = {}
        with torch.no_grad():
            for name, turn in self.turns.items():
                now = _sampled(turn.parameters)
                if name in self._followed and turn.optimizer.state:  # not of one that has made no update yet
                    movement[name] = float((now - self._followed[name]).norm() / now.norm().clamp_min(1e-12))
                self._followed[name] = now
            self.gan.eval()
            with self._autocast():
                verdicts = self.gan.verdicts(batch, images) if images else {}
            self.gan.train()
        return self.monitor.observe(step, verdicts, images.get("target"), batch.get("target"), movement)

    def checkpoint(self, done: int, pools: list[dict[str, Tensor]], state: dict[str, Any]) -> Checkpoint:
        """Return everything a run needs to resume after ``done`` steps; the ``pools`` of all processes and ``state`` are kept with it.

        Raises:
            PixlateError: A weight, or a statistic of a norm, is not finite.
        """
        floating = {name: value for name, value in self.gan.state_dict().items() if value.is_floating_point() and value.numel()}
        require_finite({name: float(value.abs().max()) for name, value in floating.items()}, done)
        optimizers = {name: optimizer_state(turn.optimizer) for name, turn in self.turns.items() if not turn.player.shares}
        own = {"schedule": self.schedule.state(), "scaler": self.scaler.state_dict(), "monitor": self.monitor.state()}
        pool = {f"{rank}/{name}": images for rank, held in enumerate(pools) for name, images in held.items()}
        return Checkpoint(
            done, _cpu(self.gan.state_dict()), _cpu(self.average.module.state_dict()), optimizers, _cpu(pool), state | own, _cpu(self.history.state())
        )

    def restore(self, checkpoint: Checkpoint, origin: Path) -> None:
        """Resume from a checkpoint, which must hold the same networks; ``origin`` is named where it does not."""
        try:
            self.gan.load_state_dict(checkpoint.weights)
            self.average.module.load_state_dict(checkpoint.average)
            for name, turn in ((name, turn) for name, turn in self.turns.items() if not turn.player.shares):
                turn.optimizer.load_state_dict(checkpoint.optimizers[name])
                _lay_out(turn.optimizer)
            self.schedule.restore(checkpoint.state["schedule"])
            self.monitor.restore(checkpoint.state["monitor"])
            self.history.restore(checkpoint.history)
            if self.scaler.is_enabled():
                self.scaler.load_state_dict(checkpoint.state["scaler"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PixlateError(
                f"expected the weights of {origin}, but its checkpoint holds those of another network; undo the change of its options or of the method"
            ) from error
        own = f"{self.fabric.global_rank}/"
        self.pool.restore({name.removeprefix(own): images.to(self.fabric.device) for name, images in checkpoint.pool.items() if name.startswith(own)})
        self._followed = {name: _sampled(turn.parameters).detach() for name, turn in self.turns.items()}

    def _turn(self, name: str, player: Player) -> Turn:
        parameters = [parameter for parameter in player.module.parameters() if parameter.requires_grad]
        rate = (player.adversary and self.options.discriminator_learning_rate) or self.options.learning_rate
        rate = rate if player.learning_rate is None else player.learning_rate
        betas = self.options.betas if player.betas is None else player.betas
        if player.shares:
            first = self.turns[player.shares]
            return Turn(name, player, first.optimizer, parameters, first.rates)
        trained = parameters or [nn.Parameter(torch.zeros(1))]
        optimizer = player.optimizer(trained, rate, betas) if player.optimizer else make_optimizer(self.options, trained, rate, betas, player.rates)
        return Turn(name, player, optimizer, parameters, [group["lr"] for group in optimizer.param_groups])

    def _batch(self, step: int) -> Batch:
        """Return this process's share of the batch of a step, on its device; of its tensors only images may be channels last."""
        self.read(step)
        assert self._ready is not None
        (_, batch), self._ready = self._ready, None
        self.kind.require_roles(batch)
        last = {name for name in batch if self.options.channels_last and self.kind.roles[name] == "image"}
        layouts = {name: torch.channels_last if name in last else torch.contiguous_format for name in batch}
        return {name: values.to(self.fabric.device, memory_format=layouts[name], non_blocking=True) for name, values in batch.items()}

    def _draws(self, step: int) -> tuple[Any, int]:
        share = self.options.batch // self.fabric.world_size
        draws = self.data.draw(step * self.options.batch, self.options.batch, self.options.seed)
        return draws[self.fabric.global_rank * share :][:share], self.growth.side(step)

    def _seed(self, step: int, part: int = 0) -> None:
        torch.manual_seed(int(np.random.SeedSequence([self.options.seed, step, self.fabric.global_rank, part]).generate_state(1, np.uint64)[0] >> 1))

    def _images(self, step: int, index: int, part: Batch, made: list[_Generated | None], graphs: bool, turn: Turn) -> Images:
        """Return the generators' images for a player: those made before, where they hold.

        However often a part is generated within a step, it is seeded alike.
        """
        before = made[index]
        if before and turn.player.adversary:
            return before.first
        if before and before.images is not None:
            return before.images
        self._seed(step, index)
        with torch.set_grad_enabled(graphs or not turn.player.adversary), self._autocast():
            images = self.gan.generate(part)
        first = before.first if before else {name: image.detach() for name, image in images.items()}
        made[index] = _Generated(images if graphs else None, first)
        return images

    def _adversaries(self, step: int) -> list[tuple[Player, Optimizer]]:
        """Return the discriminators with their optimisers, at their learning rates of this step."""
        turns = [turn for turn in self.turns.values() if turn.player.adversary]
        for turn in turns:
            self._set_rates(turn, step)
        return [(turn.player, turn.optimizer) for turn in turns]

    def _set_rates(self, turn: Turn, step: int) -> None:
        """Give a player's optimiser its learning rates and decay rates of this step."""
        for group, rate in zip(turn.optimizer.param_groups, turn.rates, strict=True):
            group["lr"] = rate * self.schedule.factor(step)
            if self.options.beta_end and turn.player.betas is None and "betas" in group:
                group["betas"] = (group["betas"][0], self.schedule.second_beta(step))

    def _check_batch(self) -> None:
        """Refuse a batch of one, and images of the past, where discriminators compare the images of a batch."""
        least = max(getattr(module, "least_batch", 1) for module in self.gan.modules())
        parts = self.options.accumulate * self.fabric.world_size
        if self.options.batch // parts < least:
            raise PixlateError(
                f"expected --batch of at least {least * parts} where discriminators compare the images of a batch (--minibatch), {least} for each of {parts} parts, "
                f"got {self.options.batch}; raise it"
            )
        if least > 1 and self.options.pool:
            raise PixlateError(
                f"expected --pool 0 where discriminators compare the images of a batch (--minibatch), since those of a pool differ though the generator's do not, "
                f"got {self.options.pool}; set it to 0"
            )

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.options.precision]
        return torch.autocast(self.fabric.device.type, dtype, enabled=dtype != torch.float32)

    def _update(self, step: int, turn: Turn, parts: list[Batch], made: list[_Generated | None], graphs: bool) -> Losses:
        """Minimise the sum of one player's losses by one update; return the losses.

        Images of each part of the batch are kept in ``made``, with their graph, which takes memory, if ``graphs``.
        """
        player = turn.player
        own_weights = {id(parameter) for parameter in turn.parameters}
        for other in self.turns.values():
            if other.player.adversary:
                for parameter in other.parameters:
                    parameter.requires_grad_(id(parameter) in own_weights)
        turn.optimizer.zero_grad()
        wanted = [parameter for parameter in turn.parameters if parameter.requires_grad]
        losses: Losses = {}
        for index, part in enumerate(parts):
            images = self._images(step, index, part, made, graphs, turn)
            detached = {name: image.detach() for name, image in images.items()}
            with self._autocast():
                if player.adversary:
                    own = player.losses(part, self.pool.query({name: image.detach() for name, image in self.gan.judged(part, detached).items()}))
                elif self.options.unroll:
                    own = losses_ahead(self.gan, self._adversaries(step), self.options.unroll, player.losses, part, images)
                else:
                    own = player.losses(part, images)
            self._seen = (part, detached)
            if not own or not wanted:
                return {}
            own |= self.history.losses(turn.name)
            self.scaler.scale(torch.stack(list(own.values())).sum() / len(parts)).backward(inputs=wanted)  # type: ignore[no-untyped-call]
            for name, value in own.items():
                losses[name] = losses.get(name, 0) + value.detach() / len(parts)
        average_gradients(self.fabric, list(turn.parameters))
        if self.options.gradient_clip:
            self.scaler.unscale_(turn.optimizer)
            nn.utils.clip_grad_norm_(turn.parameters, self.options.gradient_clip)
        self._set_rates(turn, step)
        self.scaler.step(turn.optimizer)
        return losses


def require_finite(values: dict[str, float], step: int) -> None:
    """Refuse numbers that are not, by name."""
    if wrong := [name for name, value in values.items() if not np.isfinite(value)]:
        raise PixlateError(
            f"not finite at step {step}: {name_some(wrong, 3)}; checkpoints are kept: start a new run with a lower --learning-rate or --gradient-clip 1, "
            "from the last one with --start-from if you like"
        )


def _cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of their own, which safetensors asks for."""
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}


def _weights_behind(images: Images) -> set[int]:
    """Return the ``id`` of each weight that images were made with, found in their graph."""
    waiting: list[Any] = [image.grad_fn for image in images.values()]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [earlier for earlier, _ in node.next_functions]
    return {id(node.variable) for node in seen if hasattr(node, "variable")}


def _lay_out(optimizer: Optimizer) -> None:
    """Convert an optimiser's state of a weight to the weight's memory layout, which a checkpoint does not store and fused updates rely on."""
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _sampled(parameters: list[nn.Parameter]) -> Tensor:
    """Return some thousand weights, evenly spread."""
    share = max(1, FOLLOWED // len(parameters))
    return torch.cat([values.flatten()[:: max(1, values.numel() // share)] for values in parameters]).float()
