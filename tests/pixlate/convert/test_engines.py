"""Engines are chosen by name or by their options, whose fields the command line accepts with them alone."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.pixlate.conftest import Nearest, save

from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import Task, settings_digest
from pixlate.convert.report import Summary
from pixlate.convert.threads import run_threads
from pixlate.errors import PixlateError
from pixlate.plugin.engine import Engine
from pixlate.plugin.manager import Plugins
from pixlate.plugin.translator import Translator


@dataclass(frozen=True)
class QueueOptions:
    """Options of the engine under test."""

    lanes: int = 1
    """Lanes of the queue."""


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[QueueOptions]:
    """Offer an engine that converts with the threads; return the options with which it is called."""
    found: list[QueueOptions] = []

    def run(task: Task, options: QueueOptions) -> Summary:
        found.append(options)
        return run_threads(task, options)  # type: ignore[arg-type]

    real, queue = Plugins.offered, {"queue": Engine("queue", "a queue", QueueOptions, run)}
    monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: real(plugins, wanted) | (queue if wanted is Engine else {}))
    return found


def test_an_engine_is_chosen_by_name_or_by_its_options(tmp_path: Path, use: Callable[[Translator], Path], received: list[QueueOptions]) -> None:
    source, model = save(tmp_path / "a.png"), use(Nearest())
    assert convert(source, tmp_path / "one", model, engine="queue").converted == 1
    assert convert(source, tmp_path / "two", model, engine=QueueOptions(lanes=3)).converted == 1
    assert received == [QueueOptions(), QueueOptions(lanes=3)]


def test_an_engine_that_returns_no_summary_is_named(tmp_path: Path, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real, odd = Plugins.offered, {"odd": Engine("odd", "returns nothing", QueueOptions, lambda task, options: None)}  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(Plugins, "offered", lambda plugins, wanted: real(plugins, wanted) | (odd if wanted is Engine else {}))
    with pytest.raises(PixlateError, match=r"^expected a Summary of the engine 'odd', got NoneType; update the plugin that offers it$"):
        convert(save(tmp_path / "a.png"), tmp_path / "out", use(Nearest()), engine="odd")


@pytest.mark.parametrize("options", [{}, 0, "", {"quality": 90}])
def test_options_of_another_type_are_refused(options: object, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    with pytest.raises(PixlateError, match=r"^expected options to be a pixlate\.ConvertOptions, got .*; write pixlate\.ConvertOptions\(format='png'\)$"):
        convert(save(tmp_path / "a.png"), tmp_path / "out", use(Nearest()), options)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["nosuch", 7, ConvertOptions()])
def test_an_engine_that_is_not_installed_is_refused_in_one_sentence(engine: object, tmp_path: Path, use: Callable[[Translator], Path]) -> None:
    with pytest.raises(PixlateError, match=r"expected an engine \(ray, threads\), got .*; install the plugin that offers it, or name another$"):
        convert(save(tmp_path / "a.png"), tmp_path / "out", use(Nearest()), engine=engine)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", [False, True])
def test_the_command_line_accepts_an_engines_options_with_the_engine_alone(
    config: bool, tmp_path: Path, use: Callable[[Translator], Path], received: list[QueueOptions]
) -> None:
    from pixlate.cli import build_app

    words = ["convert", str(save(tmp_path / "a.png")), str(tmp_path / "out"), "--model", str(use(Nearest()))]
    (tmp_path / "options.toml").write_text('[convert]\nengine = "queue"\n')
    chosen = ["--config", str(tmp_path / "options.toml")] if config else ["--engine", "queue"]
    for more in ([], ["--lanes", "2"]):
        tokens = [*chosen, *words, *more] if config else [*words, *chosen, *more]
        assert build_app(tokens).meta(tokens, result_action="return_value") == 0
    assert received == [QueueOptions(), QueueOptions(lanes=2)]
    process = subprocess.run([sys.executable, "-m", "pixlate", *words, "--lanes", "2"], check=False, capture_output=True, text=True, timeout=120)
    assert process.returncode != 0
    assert "--lanes" in process.stdout + process.stderr


def test_an_option_of_an_engine_that_the_command_has_is_refused() -> None:
    @dataclass(frozen=True)
    class Clashing:
        quality: int = 1

    with pytest.raises(PixlateError, match=r"engine 'clash': the option 'quality' of Clashing is also one of pixlate convert, .*; rename it in the plugin"):
        Engine("clash", "", Clashing, lambda task, options: Summary())


@pytest.mark.parametrize(("options", "message"), [(int, "expected options that are a dataclass"), (None, "expected options that are a dataclass")])
def test_an_engine_needs_options_of_a_dataclass(options: Any, message: str) -> None:
    with pytest.raises(PixlateError, match=message):
        Engine("bad", "", options, lambda task, options: Summary())


def test_every_option_of_an_engine_needs_a_default() -> None:
    @dataclass(frozen=True)
    class Bare:
        lanes: int

    with pytest.raises(PixlateError, match="engine 'bad': the option 'lanes' of Bare has no default"):
        Engine("bad", "", Bare, lambda task, options: Summary())


def test_options_of_an_engine_must_accept_their_defaults() -> None:
    @dataclass(frozen=True)
    class Refused:
        lanes: int = 0

        def __post_init__(self) -> None:
            raise ValueError("too few lanes")

    with pytest.raises(PixlateError, match=r"engine 'bad': the defaults of Refused are refused \(too few lanes\); change them in the plugin"):
        Engine("bad", "", Refused, lambda task, options: Summary())


@pytest.mark.parametrize("name", ["engine", "address", "concurrency", "jpeg"])
def test_options_of_0_1_that_are_gone_say_what_to_write(name: str) -> None:
    advice = "leave it out" if name == "jpeg" else re.escape("engine=pixlate_ray.RayOptions(address=..., concurrency=...)")
    with pytest.raises(PixlateError, match=f"expected no {name} in ConvertOptions, got 1; .*{advice}"):
        ConvertOptions(**{name: 1})  # type: ignore[arg-type]
    assert replace(ConvertOptions(quality=7), threads=2) == ConvertOptions(quality=7, threads=2)


def test_settings_are_what_they_were_without_conditions_and_others_with_them(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"a model")
    digests = [settings_digest(tmp_path / "model", ConvertOptions(set=conditions)) for conditions in ((), (), ("hair=blond",), ("hair=brown",))]
    assert digests[0] == digests[1] == settings_digest(tmp_path / "model", ConvertOptions())
    assert len(set(digests)) == 3
