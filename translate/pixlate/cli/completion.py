"""``pixlate --install-completion``: the Tab key completes commands, options, choices and the names of models."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pixlate.errors import PixlateError
from pixlate.system.text import printable

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

MODEL_FILES = (".onnx", ".param", ".pth", ".pt", ".safetensors")
"""Suffixes of files that are models, or weights that become one."""
_RESTART = {"bash": "source ~/.bashrc", "zsh": "exec zsh", "fish": "exec fish", "powershell": "pwsh"}


def models(context: "CompletionContext") -> list[tuple[str, str]]:
    """Return the models whose name begins as what is typed, with what they are for, and the model files and folders whose path does."""
    from pixlate.inference.ready import cards

    typed = context.incomplete
    found = [(card.name, card.summary) for card in cards().values() if card.name.startswith(typed)]
    folder = Path(typed) if typed.endswith("/") else Path(typed).parent
    if folder.is_dir():
        paths = ((path, f"{typed[: typed.rfind('/') + 1]}{path.name}") for path in sorted(folder.iterdir()))
        named = [(path, text) for path, text in paths if text.startswith(typed) and not path.name.startswith(".")]
        found += [(f"{text}/" if path.is_dir() else text, "") for path, text in named if path.is_dir() or path.suffix in MODEL_FILES]
    return found


def install(*, shell: Annotated[Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(name="--shell")] = None, output: Path | None = None) -> None:
    """Let the Tab key complete commands, options, choices and names of models, in bash, zsh, fish or PowerShell.

    Parameters
    ----------
    shell
        The shell; by default the one that runs this command.
    output
        Write the script to this file, and leave the shell's own settings as they are.
    """
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    from pixlate.cli import build_app

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError as error:
        raise PixlateError("expected to run in bash, zsh, fish or PowerShell, got another shell; name one with --shell") from error
    path = build_app().install_completion(shell=chosen, output=output, add_to_startup=output is None)
    encoding = sys.stdout.encoding or "utf-8"
    then = f"; restart the shell, or run: {_RESTART[chosen]}" if output is None else ""
    print(f"completion for {chosen}: {printable(path)}{then}".encode(encoding, "backslashreplace").decode(encoding))
