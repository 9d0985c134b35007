"""``pixlate --install-completion``: what the Tab key gives in real shells."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pixlate.cli import main

Complete = Callable[..., list[str]]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def script(shell: str, folder: Path) -> Path:
    """Write the completion of a shell, or skip where there is no such shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = folder / f"pixlate.{shell}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pixlate", "--install-completion", "--shell", shell, "--output", str(path)])
        assert main() == 0
    return path


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Complete:
    """Return what bash offers for the last of some words."""
    path = script("bash", tmp_path_factory.mktemp("bash"))

    def complete(*words: str, folder: Path | None = None) -> list[str]:
        code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pixlate; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", code, "bash", path, "pixlate", *words], capture_output=True, text=True, timeout=60, check=True, env=ENVIRONMENT, cwd=folder
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_bash_completes_commands(bash: Complete) -> None:
    assert "convert" in bash("")
    assert bash("conv") == ["convert"]
    assert bash("data", "che") == ["check"]


def test_bash_completes_options_and_choices(bash: Complete) -> None:
    assert {"--watch", "--width"} <= set(bash("convert", "photos", "out", "--w"))
    assert bash("convert", "photos", "out", "--on-exists", "o") == ["overwrite"]


def test_bash_completes_names_of_models_and_model_files(bash: Complete, tmp_path: Path) -> None:
    (tmp_path / "upper.onnx").touch()
    (tmp_path / "upper.txt").touch()
    (tmp_path / "uploads").mkdir()
    assert set(bash("convert", "photos", "out", "--model", "up", folder=tmp_path)) == {"upscale-x2", "upscale-x4", "upper.onnx", "uploads/"}
    assert "brighten" in bash("models", "", folder=tmp_path)
    assert bash("evaluate", "col", folder=tmp_path) == ["colour-drawing"]


def test_fish_completes_commands_options_and_names_of_models(tmp_path: Path) -> None:
    path = script("fish", tmp_path)

    def complete(line: str) -> list[str]:
        words = ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=ENVIRONMENT | {"HOME": str(tmp_path)}, cwd=tmp_path)
        return [each.split("\t")[0] for each in done.stdout.splitlines()]

    assert complete("pixlate conv") == ["convert"]
    assert "--watch" in complete("pixlate convert photos out --wat")
    assert {"upscale-x2", "upscale-x4"} <= set(complete("pixlate convert photos out --model upsc"))


def test_zsh_completes_commands_and_names_of_models(tmp_path: Path) -> None:
    path = script("zsh", tmp_path)
    path.rename(path.with_name("_cyclopts_pixlate"))
    typed = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump; zstyle ':completion:*' list-colors no=; bindkey '^I' complete-word; print read''y"
until [[ $seen == *ready* ]]; do zpty -r shell line || exit 1; seen+=$line; done
zpty -w -n shell "$2"$'\t'
seen=
until [[ $seen == *$3* ]]; do zpty -r shell piece || exit 1; seen+=$piece; done
"""
    for line, completed in (("pixlate evalu", "pixlate evaluate "), ("pixlate convert a b --model colour-d", "colour-drawing")):
        words = ["zsh", "-f", "-c", typed.replace("zpty -r shell piece", "zpty -r shell piece '*' "), "zsh", str(tmp_path), line, completed]
        subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=ENVIRONMENT | {"HOME": str(tmp_path), "TERM": "dumb"}, cwd=tmp_path)


def test_it_is_installed_into_the_files_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["pixlate", "--install-completion", "--shell", "bash"])
    assert main() == 0
    installed = tmp_path / ".local/share/bash-completion/completions/pixlate"
    assert capsys.readouterr().out == f"completion for bash: {installed}; restart the shell, or run: source ~/.bashrc\n"
    assert f'. "{installed}"' in (tmp_path / ".bashrc").read_text()


def test_a_shell_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from cyclopts.completion import detect

    def unknown() -> None:
        raise detect.ShellDetectionError

    monkeypatch.setattr(detect, "detect_shell", unknown)
    monkeypatch.setattr(sys, "argv", ["pixlate", "--install-completion"])
    assert main() == 2
    assert capsys.readouterr().err == "pixlate: expected to run in bash, zsh, fish or PowerShell, got another shell; name one with --shell\n"
