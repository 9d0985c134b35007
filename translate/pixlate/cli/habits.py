"""What people type who come from other tools, and what to type here.

The tables of ``docs/coming_from.md`` are generated from this, and an option that no command has is answered from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_MODELS = "a ready model's name or an ONNX file after `--model`, such as `--model upscale-x4`"
_EPOCHS = "`--epochs N` for all epochs, of which the last `--decay-epochs N` have a falling learning rate"
_SCALE = "`--scale N`, such as 2 or 1.5: what the model makes is resized, and it runs again where that is not enough"
_FOLDERS = "the folders as they are, without an option: `pixlate convert photos/ out/ --model upscale-x4`"


@dataclass(frozen=True)
class Tool:
    """A program that people come from, and its options.

    Attributes:
        name: Of the program.
        commands: Its commands and the one here, side by side.
        options: Command here -> option there -> what to do here, as an imperative or as what to write.
    """

    name: str
    commands: Mapping[str, str]
    options: Mapping[str, Mapping[str, str]]


TOOLS = (
    Tool(
        "upscayl and realesrgan-ncnn-vulkan",
        {"realesrgan-ncnn-vulkan -i photos -o out -n realesrgan-x4plus": "`pixlate convert photos/ out/ --model real-esrgan-x4`"},
        {
            "convert": {
                "-i": _FOLDERS,
                "-o": _FOLDERS,
                "-n": _MODELS,
                "-m": _MODELS,
                "-s": _SCALE,
                "-z": _SCALE,
                "-t": "`--tile N`, in pixels of the source",
                "-g": "`--device cuda:N`, or `--device cpu`",
                "-j": "`--threads N`",
                "-f": "`--format jpeg`, `png` or `webp`",
                "-c": "`--quality N`, 1 to 100",
                "-x": "leave it out: conversion has no test-time augmentation",
                "-v": "`--verbose`",
                "-w": "`--width N`",
                "-r": "`--width N`, or with `--height N` the most of both: proportions are kept",
            }
        },
    ),
    Tool(
        "Real-ESRGAN and BasicSR",
        {
            "python inference_realesrgan.py -n RealESRGAN_x4plus -i inputs -o results": "`pixlate convert inputs/ results/ --model real-esrgan-x4`",
            "python inference_realesrgan.py --model_path RealESRGAN_x4plus.pth": "`pixlate import RealESRGAN_x4plus.pth x4plus.onnx`",
            "python basicsr/train.py -opt options.yml": "`pixlate train srgan photos/ --out runs/first`",
            "python basicsr/train.py -opt options.yml --auto_resume": "`pixlate train --resume runs/first`",
        },
        {
            "convert": {
                "--input": _FOLDERS,
                "--output": _FOLDERS,
                "--model_name": _MODELS,
                "--model_path": "`pixlate import FILE.pth model.onnx`, then `--model model.onnx`",
                "--outscale": _SCALE,
                "--upscale": _SCALE,
                "--tile_pad": "`--tile N` alone: tiles overlap by as much as the network sees",
                "--pre_pad": "leave it out: sides are padded by mirroring as the network needs it",
                "--fp32": "leave it out: the file of a model has its precision, see `pixlate export --precision`",
                "--half": "leave it out: the file of a model has its precision, see `pixlate export --precision`",
                "--alpha_upsampler": "`--alpha bicubic` or `--alpha model`",
                "--ext": "`--format jpeg`, `png` or `webp`",
                "--gpu_id": "`--device cuda:N`, or `--device cpu`",
                "--gpu": "`--device cuda:N`, or `--device cpu`",
                "--denoise_strength": "`--strength S` to mix output and source, or with `--blend-with MODEL` the weights of two models",
                "--face_enhance": "leave it out: faces are translated like the rest of the picture",
                "--recursive": "leave it out: folders are searched recursively",
            },
            "train": {
                "--opt": "the options themselves, or a TOML file: `pixlate --config options.toml train srgan photos/`",
                "--auto_resume": "`--resume RUN`",
            },
        },
    ),
    Tool(
        "chaiNNer",
        {
            "Load Images, Load Model, Upscale Image, Save Image": "`pixlate convert photos/ out/ --model real-esrgan-x4`",
            "Upscale Image, then Resize to a factor of 2": "`pixlate convert photos/ out/ --model real-esrgan-x4 --scale 2`",
            "Upscale Image, then Resize to 1920 x 1080": "`pixlate convert photos/ out/ --model real-esrgan-x4 --width 1920 --height 1080`",
            "two Upscale Image, one after another": "`pixlate convert photos/ out/ --model clean --then photo-x4`",
            "Text Append for the name of Save Image": "`pixlate convert photos/ out/ --model photo-x4 --name '{stem}@4x{suffix}'`",
        },
        {},
    ),
    Tool(
        "rembg",
        {
            "rembg p photos out": "`pixlate convert photos/ out/ --model model.onnx`",
            "rembg i cat.jpg cat.png": "`pixlate convert cat.jpg cat.png --model model.onnx`",
            "rembg i < cat.jpg > cat.png": "`pixlate convert - - --model model.onnx < cat.jpg > cat.png`",
            "rembg p --watch photos out": "`pixlate convert photos/ out/ --model model.onnx --watch`",
            "rembg s": "`pixlate serve model.onnx`",
            "rembg d": "`pixlate models`",
        },
        {
            "convert": {
                "-a": "leave it out: transparency of the source is kept; there is no matting",
            }
        },
    ),
    Tool(
        "pytorch-CycleGAN-and-pix2pix",
        {
            "python train.py --dataroot facades --model pix2pix --name first": "`pixlate train pix2pix facades/train --out runs/first`",
            "python train.py --dataroot horses --model cycle_gan --name first": "`pixlate train cyclegan horses/trainA horses/trainB --out runs/first`",
            "python train.py --continue_train --name first": "`pixlate train --resume runs/first`",
            "python test.py --dataroot facades --name first": "`pixlate export runs/first model.onnx`, then `pixlate convert photos/ out/ --model model.onnx`",
            "weights in latest_net_G.pth": "`pixlate import latest_net_G.pth model.onnx`",
        },
        {
            "convert": {
                "--dataroot": _FOLDERS,
                "--results_dir": _FOLDERS,
                "--num_test": "`--limit N`",
                "--load_size": "leave it out: pictures are converted at their size",
                "--crop_size": "leave it out: pictures are converted at their size",
                "--preprocess": "leave it out: pictures are converted at their size",
                "--gpu_ids": "`--device cuda:N`, or `--device cpu`",
                "--direction": "leave it out: a model has one direction",
                "--phase": "leave it out: name the folder itself, such as `facades/test`",
                "--epoch": "`pixlate export RUN/checkpoints/step-N model.onnx`, then `--model model.onnx`",
                "--netG": "leave it out: the file of a model has its network",
                "--norm": "leave it out: the file of a model has its norms, see `pixlate export --norm`",
                "--no_dropout": "leave it out: exported models have no dropout",
                "--eval": "leave it out: the file of a model has its norms, see `pixlate export --norm`",
                "--batch_size": "`--batch N`",
            },
            "train": {
                "--dataroot": "the folders as they are: `pixlate train pix2pix sources/ targets/ --out runs/first`",
                "--model": "the method as a word: `pixlate train cyclegan horses/ zebras/ --out runs/first`",
                "--name": "`--out runs/NAME`",
                "--checkpoints_dir": "`--out runs/NAME`",
                "--direction": "the folders in the other order, the source first; `--reverse` where one folder has both side by side",
                "--dataset_mode": "leave it out: the method knows, and `pixlate train pix2pix` takes one folder of both side by side, or two",
                "--phase": "leave it out: name the folder itself, such as `facades/train`",
                "--gpu_ids": "`--device cuda:N`, or `--device cpu`",
                "--n_epochs": _EPOCHS,
                "--niter": _EPOCHS,
                "--n_epochs_decay": _EPOCHS,
                "--niter_decay": _EPOCHS,
                "--lr": "`--learning-rate X`",
                "--beta1": "`--betas X 0.999`",
                "--netG": "`--generator unet` with `--depth 8` for unet_256, `resnet` with `--blocks 9` for resnet_9blocks",
                "--netD": "`--discriminator patch` or `pixel`",
                "--ngf": "`--channels N`",
                "--ndf": "`--discriminator-channels N`",
                "--n_layers_D": "`--discriminator-layers N`",
                "--input_nc": "`--channels-in N`",
                "--output_nc": "`--channels-out N`",
                "--load_size": "`--resize N`",
                "--crop_size": "`--patch N`",
                "--preprocess": "`--resize N` and `--patch N`",
                "--no_flip": "`--no-mirror`",
                "--no_dropout": "`--dropout 0`",
                "--init_type": "`--initialisation NAME`",
                "--lambda_L1": "`--l1-weight X`",
                "--lambda_A": "`--cycle-weight X`",
                "--lambda_B": "`--cycle-weight-target X`",
                "--lambda_identity": "`--identity-weight X`, which is absolute: 5 for their 0.5 x 10",
                "--gan_mode": "`--objective least-squares` for lsgan, `vanilla`, or `wasserstein` with `--gradient-penalty 10` for wgangp",
                "--lr_policy": "`--schedule NAME`",
                "--continue_train": "`pixlate train --resume RUN`",
                "--epoch_count": "leave it out: `pixlate train --resume RUN` counts on from its checkpoint",
                "--print_freq": "`--log-every N`",
                "--display_freq": "`--validate-every N`: validation writes samples",
                "--save_latest_freq": "`--checkpoint-every N`",
                "--save_epoch_freq": "`--checkpoint-every N`, in steps",
                "--batch_size": "`--batch N`",
                "--num_threads": "`--workers N`",
                "--pool_size": "`--pool N`",
                "--max_dataset_size": "a folder with fewer pictures",
                "--serial_batches": "`--seed N`: the order is shuffled, but the same for a seed",
                "--display_id": "leave it out: the run folder holds report.html and logs for TensorBoard",
                "--no_html": "leave it out: report.html is small",
                "--use_wandb": "leave it out: the run folder holds report.html and logs for TensorBoard",
            },
        },
    ),
)
COMMANDS = {
    "test": "`pixlate export RUN model.onnx`, then `pixlate convert photos/ out/ --model model.onnx`, or `pixlate evaluate model.onnx photos/` to measure it",
    "upscale": "`pixlate convert photos/ out/ --model upscale-x4`",
    "run": "`pixlate convert photos/ out/ --model upscale-x4`",
    "predict": "`pixlate convert photos/ out/ --model upscale-x4`",
    "inference": "`pixlate convert photos/ out/ --model upscale-x4`",
    "translate": "`pixlate convert photos/ out/ --model day-to-night`",
    "i": "`pixlate convert photo.jpg out.png --model upscale-x4`",
    "p": "`pixlate convert photos/ out/ --model upscale-x4`",
    "s": "`pixlate serve upscale-x4`",
    "list": "`pixlate models`",
    "resume": "`pixlate train --resume RUN`",
    "check": "`pixlate data check FOLDER`",
}
"""Commands of other tools -> the line to write here."""


def answer(command: str, option: str) -> str:
    """Return what to do with an option of another tool, empty where it is none.

    Args:
        command: First word of the command line, such as ``convert``.
        option: As it was written; ``_`` and ``-`` are one.
    """
    text = next((text for name, text in _options(command) if _same(name) == _same(option)), "")
    return text if not text or text.startswith("leave it out") else f"write {text}"


def _options(command: str) -> Iterator[tuple[str, str]]:
    for tool in TOOLS:
        yield from tool.options.get(command, {}).items()


def _same(option: str) -> str:
    return option.replace("_", "-") if option.startswith("--") else option
