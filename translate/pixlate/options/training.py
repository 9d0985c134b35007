"""What training takes whatever the method: how long and how fast, and what is cut out of the images, by the data kind."""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from pixlate.errors import PixlateError
from pixlate.options.checks import check_least, check_most, check_types, check_used
from pixlate.options.groups import Groups


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how fast to train, whatever the method."""

    steps: int = 100_000
    """Updates of every player; 0 uses --epochs."""
    epochs: int = 0
    """Passes over the training images, if --steps is 0."""
    decay_epochs: int = 0
    """How many of the --epochs, the last ones, the linear schedule falls in, once an epoch as in the code of Zhu et al.; 0 falls in each step of the second half."""
    batch: int = 16
    """Images in one step, over all devices."""
    accumulate: int = 1
    """Parts a batch is split into, one after the other, to save memory; the update is that of the whole batch, except for batch norm, which sees a part."""
    optimizer: Literal["adam", "adamw", "lion"] = "adam"
    """What updates the weights: adam; adamw, whose --weight-decay does not depend on the gradients; or lion, which takes steps of one size and needs a learning rate 3 to 10 times smaller."""
    weight_decay: float = 0.0
    """How strongly weights are drawn to zero: added to the gradient with adam, apart from it with adamw and lion."""
    learning_rate: float = 2e-4
    """Step size of the optimiser at the start of the schedule."""
    discriminator_learning_rate: float = 0.0
    """Step size of the discriminators (two time scales); 0 is the same."""
    generator_every: int = 1
    """The generators are updated in every N-th step only; Wasserstein training uses 5."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay rates of the optimiser's two moments; lion keeps one, by the second, and mixes it with the gradient by the first."""
    beta_end: float = 0.0
    """The second of --betas at the end of the run, reached by half a cosine (R3GAN: from 0.9 to 0.99); 0 keeps that of the start."""
    schedule: Literal["constant", "cosine", "linear", "step", "plateau"] = "cosine"
    """Learning rate over the run: constant, half a cosine to --schedule-end, constant for half the run (or until --decay-epochs) and then linear to zero, falling at --milestones, or falling where validation gets no better."""
    periods: int = 1
    """Times the cosine schedule starts again."""
    schedule_end: float = 0.0
    """Share of the learning rate that the cosine schedule falls to (R3GAN: 0.25)."""
    milestones: tuple[float, ...] = (0.5,)
    """Fractions of the run at which the step schedule multiplies the learning rate by --decay."""
    decay: float = 0.1
    """Factor on the learning rate at each milestone or plateau."""
    patience: int = 5
    """Validations without a better --best that the plateau schedule waits for."""
    warm_up: int = 0
    """Steps in which the learning rate rises linearly from zero."""
    average_decay: float = 0.999
    """Decay of the averaged weights (EMA), which are exported; 0 follows the weights exactly."""
    gradient_clip: float = 0.0
    """Largest norm of a player's gradient; 0 does not clip."""
    pool: int = 0
    """Past generated images kept for the discriminators (Shrivastava et al. 2017); 0 uses the newest only."""
    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()
    """Differentiable augmentation of the discriminators' inputs (DiffAugment, Zhao et al. 2020), for few images."""
    instance_noise: float = 0.0
    """Standard deviation, on images in [-1, 1], of noise added to what discriminators see, which falls linearly to 0 over the run (Sonderby et al. 2017); 0.1 is usual."""
    unroll: int = 0
    """Steps of the discriminators that generators look ahead, against collapse (unrolled updates, Metz et al. 2017); 5 is usual, and each costs a discriminator's step."""
    historical_averaging: float = 0.0
    """Weight of the squared distance of a player's weights from their mean over the run so far (Salimans et al. 2016)."""
    grow_from: int = 0
    """Side of the first patches, in source pixels; it doubles up to --patch over the first half of the run, and 0 starts with --patch."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"] = "32-true"
    """Arithmetic of the forward and backward pass; weights stay in 32 bits. auto is bf16-mixed with --channels-last where the device gains by it, else 32-true: measured at the start, said, and kept in options.toml."""
    channels_last: bool = False
    """Whether images are stored channels last, which is mostly faster on GPUs, and with bf16-mixed on CPUs that multiply matrices of bfloat16 (AMX)."""
    compile: bool = False
    """Whether to compile the networks with torch.compile, which takes a minute or more at the start."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:N, mps, which is the GPU of an Apple computer, or auto, which is the first GPU there is, else cpu."""
    devices: int = 1
    """Processes that share each batch, a GPU each on CUDA; the update is that of the whole batch, except for batch norm, which sees a share. torchrun sets it."""
    seed: int = 0
    """Seed of initial weights, the order and cropping of images, and all other randomness."""
    validate_every: int = 1000
    """Steps between two validations on held-out images, and between two sample sheets."""
    best: str = ""
    """Metric by which the best checkpoint is kept; by default the first that validation reports."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    keep: int = 2
    """Newest checkpoints kept, besides the best."""
    log_every: int = 50
    """Steps between two lines of the log."""
    start_from: str = ""
    """A run, a checkpoint, a ready model such as upscale-x4, an ONNX file of Pixlate's, or a file of another code base; its weights of the same name and shape are loaded first."""
    GROUPS: ClassVar[Groups] = {
        "Everyday": ("steps", "epochs", "batch", "learning_rate", "device", "seed", "start_from"),
        "Optimisation": (
            "optimizer",
            "weight_decay",
            "discriminator_learning_rate",
            "generator_every",
            "betas",
            "beta_end",
            "schedule",
            "decay_epochs",
            "periods",
            "schedule_end",
            "milestones",
            "decay",
            "patience",
            "warm_up",
            "average_decay",
            "gradient_clip",
            "pool",
            "augment",
            "instance_noise",
            "unroll",
            "historical_averaging",
            "grow_from",
        ),
        "Speed and memory": ("accumulate", "precision", "channels_last", "compile", "devices"),
        "Validation, checkpoints and log": ("validate_every", "best", "checkpoint_every", "keep", "log_every"),
    }

    def __post_init__(self) -> None:
        check_types(self)
        at_least_one = ("batch", "accumulate", "generator_every", "periods", "patience", "devices", "validate_every", "checkpoint_every", "keep", "log_every")
        check_least(self, **dict.fromkeys(at_least_one, 1))
        check_least(
            self, steps=0, epochs=0, decay_epochs=0, warm_up=0, gradient_clip=0, weight_decay=0, pool=0, grow_from=0, seed=0, discriminator_learning_rate=0
        )
        check_least(self, instance_noise=0, unroll=0, historical_averaging=0, schedule_end=0)
        check_most(self, schedule_end=1, instance_noise=10, unroll=100, batch=2**16, pool=2**20, steps=2**40, epochs=2**30)
        if not self.steps and not self.epochs:
            raise PixlateError("expected --steps or --epochs above 0, got 0 for both; set one of them")
        if self.steps and self.epochs not in (0, type(self).epochs):
            raise PixlateError(f"expected --steps or --epochs, got {self.steps} steps and {self.epochs} epochs; add --steps 0 to count epochs")
        if self.learning_rate <= 0:
            raise PixlateError(f"expected --learning-rate above 0, got {self.learning_rate}; 2e-4 is usual")
        if self.seed >= 2**32:
            raise PixlateError(f"expected --seed below {2**32}, got {self.seed}; choose a smaller one")
        for name, decay in (
            ("betas", self.betas[0]),
            ("betas", self.betas[1]),
            ("beta-end", self.beta_end),
            ("average-decay", self.average_decay),
            ("decay", self.decay),
        ):
            if not 0 <= decay < 1:
                raise PixlateError(f"expected --{name} of at least 0 and below 1, got {decay}; 0.99 is usual")
        if list(self.milestones) != sorted(self.milestones) or not all(0 < milestone < 1 for milestone in self.milestones):
            raise PixlateError(f"expected --milestones of rising fractions between 0 and 1, got {self.milestones}; 0.5 is the middle of the run")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?|mps", self.device):
            raise PixlateError(f"expected --device auto, cpu, cuda, cuda:N or mps, got {self.device!r}; choose one of these")
        if self.devices > 1 and ":" in self.device:
            raise PixlateError(f"expected --device cpu or cuda with --devices {self.devices}, got {self.device}; leave out the number")
        if self.batch % (self.accumulate * self.devices):
            raise PixlateError(
                f"expected --batch to be a multiple of --accumulate times --devices, {self.accumulate * self.devices}, got {self.batch}; choose a multiple"
            )
        if self.unroll:
            self._check_unrolled()
        if self.decay_epochs > self.epochs:
            raise PixlateError(f"expected --decay-epochs of at most --epochs, {self.epochs}, of which they are the last, got {self.decay_epochs}; lower it")
        check_used(self, self.schedule == "linear" and not self.steps, "--schedule linear and --epochs", "decay_epochs")
        check_used(self, self.schedule == "cosine", "--schedule cosine", "periods", "schedule_end")
        check_used(self, self.schedule == "step", "--schedule step", "milestones")
        check_used(self, self.schedule == "plateau", "--schedule plateau", "patience")
        check_used(self, self.schedule in ("step", "plateau"), "--schedule step or plateau", "decay")

    def _check_unrolled(self) -> None:
        """Refuse what looking ahead cannot go with."""
        for refused, needed in (
            (self.pool, f"--pool 0, for images of the past do not change with the generators, got {self.pool}"),
            (self.accumulate > 1, f"--accumulate 1, for each step ahead is that of the whole batch, got {self.accumulate}"),
            (self.devices > 1, f"--devices 1, for each step ahead is that of the whole batch, got {self.devices}"),
            (self.optimizer != "adam", f"--optimizer adam, whose steps it looks ahead by, got {self.optimizer}"),
            (self.precision == "16-mixed", "--precision 32-true or bf16-mixed, for gradients of gradients are beyond 16-mixed, got it"),
            (self.compile, "networks that are not compiled, which cannot be differentiated twice, got --compile"),
        ):
            if refused:
                raise PixlateError(f"expected --unroll with {needed}; change that, or leave --unroll out")

    def total_steps(self, images: int) -> int:
        """Return the updates a run makes on that many training images."""
        return self.steps or -(-self.epochs * images // self.batch)


@dataclass(frozen=True)
class DataOptions:
    """What every kind of training data shares."""

    patch: int = 256
    """Height and width of a source patch, in pixels."""
    hold_out: int = 10
    """Images, evenly spread over the sorted list, used for validation and never for training."""
    weights: tuple[float, ...] = ()
    """Mixes several sets of images: --weights 3 1 takes the folders as two sets, in their order, and draws three times as many samples from the first. Each set holds out --hold-out images."""
    transforms: str = ""
    """A pipeline saved by albumentations (.json or .yaml), applied alike to the patches of a pair, before scaling to [0, 1]."""
    damaged: Literal["stop", "skip"] = "stop"
    """What to do with a file that cannot be read: stop training, or skip it with a warning that names it."""
    workers: int = 0
    """Threads that prefetch images; 0 uses the available cores, less one."""
    cache: int = 2048
    """Decoded images kept in memory, in MiB; 0 reads each one again."""
    GROUPS: ClassVar[Groups] = {"Everyday": ("patch", "hold_out"), "Speed and memory": ("workers", "cache")}

    def __post_init__(self) -> None:
        check_types(self)
        check_least(self, patch=1, hold_out=0, workers=0, cache=0)
        check_most(self, patch=2**15, workers=1024)
        if len(self.weights) == 1 or not all(weight > 0 for weight in self.weights):
            raise PixlateError(
                f"expected --weights of two or more numbers above 0, one for each set of images, got {' '.join(map(str, self.weights))}; 1 1 mixes two alike"
            )


@dataclass(frozen=True)
class FolderOptions(DataOptions):
    """What paired and unpaired folders, and those of plugins, share."""

    resize: int = 286
    """Height and width every image is resized to before cropping a patch; 0 keeps each image's own size."""
    keep_aspect: bool = False
    """Whether --resize is the length of the shorter side and the longer one follows."""
    resampling: Literal["area", "bicubic"] = "area"
    """How --resize resizes: area averages what shrinks and interpolates what grows (OpenCV); bicubic is Pillow's, with antialiasing, as in the code of Zhu et al."""
    mirror: bool = True
    """Whether half of the patches are flipped horizontally."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, resize=0)
        check_most(self, resize=2**15)
        if self.resize and self.resize < self.patch:
            raise PixlateError(
                f"expected --resize of at least --patch, {self.patch}, got {self.resize}; raise it, lower --patch, or keep sizes with --resize 0"
            )
        check_used(self, self.resize > 0, "--resize", "keep_aspect", "resampling")


@dataclass(frozen=True)
class PairedOptions(FolderOptions):
    """Sources and targets that show the same: side by side in one image, or in two folders by name."""

    reverse: bool = False
    """Whether the right half, or the second folder, is the source."""
    grey: bool = False
    """Whether the source is the target in grey, for colorization; the folders then hold targets alone."""
    lines: float = 0.0
    """Share of patches whose source is a line drawing made from the target; with 1 the folders hold targets alone."""
    line_drawer: Literal["contours", "hed"] = "contours"
    """How --lines draws: contours where tones differ (fast), or hed, outlines as a person draws them (extra [edges]; seconds for each photograph, once)."""

    hidden: float = 0.0
    """Share of squares of 32 pixels that are black in the source, which is the target otherwise: masked reconstruction, as a start for other trainings, 0.4 with UVCGAN; the folders then hold targets alone."""
    paper: float = 0.0
    """Share of patches whose source, a drawing, becomes a photograph of one: lines of any thickness, in pencil, pen or felt-tip on paper, with shadows, noise and JPEG."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, lines=0, hidden=0, paper=0)
        check_most(self, lines=1, hidden=0.9, paper=1)
        if self.made and self.reverse:
            raise PixlateError(f"expected --reverse with sources in files, got it with {self.made}, which makes them from the targets; leave one of them out")
        check_used(self, self.lines > 0, "--lines above 0", "line_drawer")
        other = "--grey" if self.grey else "--hidden" if self.hidden else ""
        if other and self.paper:
            raise PixlateError(f"expected --paper with sources that are drawings, got it with {other} (--paper {self.paper}); leave one of them out")
        if other and self.lines:
            raise PixlateError(f"expected {other} or --lines, got both (--lines {self.lines}); leave one of them out")
        if self.grey and self.hidden:
            raise PixlateError(f"expected --grey or --hidden, got both (--hidden {self.hidden}); leave one of them out")

    @property
    def made(self) -> str:
        """The option that makes every source from its target, so that folders hold targets alone; empty where sources are in files."""
        return "--grey" if self.grey else "--hidden" if self.hidden else "--lines 1" if self.lines == 1 else ""


@dataclass(frozen=True)
class UnpairedOptions(FolderOptions):
    """A folder of sources and a folder of targets that need not show the same."""
