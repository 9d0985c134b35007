"""The Dockerfiles, as far as they can be checked without Docker: every path, extra and option they name is there."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FILES = [ROOT / "export/docker/Dockerfile.cpu", ROOT / "export/docker/Dockerfile.cuda"]
EXTRAS = {"Dockerfile.cpu": {"serve"}, "Dockerfile.cuda": {"cuda", "serve"}}


class Instruction(NamedTuple):
    """A line of a Dockerfile."""

    stage: int
    name: str
    text: str


def instructions(path: Path) -> list[Instruction]:
    """Return the instructions, with continued lines joined and the number of the stage of each."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[Instruction] = []
    stage = -1
    for line in joined.splitlines():
        name, _, text = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, text.strip()))
    return found


def texts(path: Path, name: str, stage: int | None = None) -> list[str]:
    return [found.text for found in instructions(path) if found.name == name and stage in (None, found.stage)]


def words(path: Path, name: str) -> list[str]:
    """Return the words of an instruction in the form of a JSON list, which runs without a shell."""
    (text,) = texts(path, name)
    listed: list[str] = json.loads(text)
    return listed


def sent(source: str) -> bool:
    """Return whether .dockerignore leaves a path of the root in what the builder gets."""
    kept = True
    for pattern in (line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")):
        if fnmatch(source, pattern.lstrip("!")):
            kept = pattern.startswith("!")
    return kept


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
class TestDockerfile:
    """What holds of each."""

    def test_dockerfiles_have_known_instructions_in_two_stages(self, path: Path) -> None:
        known = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
        assert {found.name for found in instructions(path)} <= known
        assert [found.stage for found in instructions(path) if found.name == "FROM"] == [0, 1]
        assert instructions(path)[0].name == "FROM"

    def test_base_images_are_pinned_by_a_tag_that_names_version_and_system(self, path: Path) -> None:
        images = [text.split()[0] for text in texts(path, "FROM")]
        assert len(set(images)) == 1, "the environment is copied between stages, and holds the path of its interpreter"
        assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+", image) for image in images)

    def test_interpreter_is_one_that_pyproject_allows(self, path: Path) -> None:
        minor = int(re.findall(r"python:3\.(\d+)", path.read_text())[0])
        asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
        assert minor >= int(asked.removeprefix(">=3."))

    def test_every_copied_path_exists_and_is_sent_to_the_builder(self, path: Path) -> None:
        copied = [source for text in texts(path, "COPY", 0) for source in text.split()[:-1]]
        assert copied
        for source in copied:
            assert (ROOT / source).exists() and sent(source), source
        (from_build,) = texts(path, "COPY", 1)
        assert from_build == "--from=build /opt/pixlate /opt/pixlate"
        assert texts(path, "FROM", 0)[0].endswith(" AS build")

    def test_wheel_is_made_of_what_is_copied(self, path: Path) -> None:
        copied = {source for text in texts(path, "COPY", 0) for source in text.split()[:-1]}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        needed = {package.split("/")[0] for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
        needed |= {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
        assert needed == copied

    def test_extras_exist_and_do_not_install_pytorch(self, path: Path) -> None:
        extras = set(re.findall(r"\.whl\)\[([a-z,]+)\]", path.read_text())[0].split(","))
        assert extras == EXTRAS[path.name]
        optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        required = [line for extra in extras for line in optional[extra]]
        assert required
        assert not [line for line in required if line.startswith(("torch", "pixlate["))]

    def test_server_runs_as_a_user_without_rights(self, path: Path) -> None:
        (user,) = texts(path, "USER")
        assert user.isdigit() and int(user) >= 10_000
        order = [found.name for found in instructions(path) if found.stage == 1]
        assert order.index("USER") > order.index("COPY") and order.index("USER") < order.index("ENTRYPOINT")
        assert f"useradd --uid {user} " in texts(path, "RUN", 1)[0]

    def test_entry_point_is_a_command_pixlate_knows(self, path: Path) -> None:
        command = [*words(path, "ENTRYPOINT"), *words(path, "CMD")]
        assert command[:2] == ["pixlate", "serve"]
        printed = subprocess.run([sys.executable, "-m", *command[:2], "--help"], check=True, capture_output=True, text=True, timeout=60).stdout
        for option in (word for word in command if word.startswith("--")):
            assert option in printed.replace("\n", " "), option

    def test_server_without_a_token_does_not_start(self, path: Path) -> None:
        command = [sys.executable, "-m", *words(path, "ENTRYPOINT"), *words(path, "CMD")]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
        assert done.returncode == 2
        assert "expected a token, since other machines can connect to --host 0.0.0.0" in done.stderr

    def test_health_check_uses_the_port_that_is_served(self, path: Path) -> None:
        command = words(path, "ENTRYPOINT")
        port = command[command.index("--port") + 1]
        assert texts(path, "EXPOSE") == [port]
        (check,) = texts(path, "HEALTHCHECK")
        asked = json.loads(check.partition("CMD ")[2])
        assert asked[:2] == ["python", "-c"] and f"http://127.0.0.1:{port}/healthz" in asked[2]
        compile(asked[2], path.name, "exec")

    def test_commands_can_be_parsed_by_a_shell(self, path: Path) -> None:
        for text in texts(path, "RUN"):
            subprocess.run(["sh", "-n", "-c", text], check=True, timeout=10)

    def test_pip_keeps_no_cache_in_a_layer(self, path: Path) -> None:
        installs = [part for text in texts(path, "RUN") for part in text.split("&&") if "pip install" in part]
        assert installs
        assert all("--no-cache-dir" in shlex.split(part) for part in installs)


@pytest.mark.parametrize("path", ["tests", "docs", ".git", ".venv", "runs", "secrets.env", "benchmarks"])
def test_nothing_else_is_sent_to_the_builder(path: str) -> None:
    assert not sent(path)


def test_tool_that_builds_the_wheel_is_pinned_the_same_in_both() -> None:
    pinned = {text for path in FILES for text in re.findall(r"build==[\d.]+", path.read_text())}
    assert len(pinned) == 1


def test_cpu_image_takes_the_runtime_in_the_versions_pyproject_allows() -> None:
    bound = re.findall(r"onnxruntime>=([\d.]+)", FILES[0].read_text())
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [line.partition(">=")[2].partition(";")[0].strip() for line in required if line.startswith("onnxruntime>=")] == bound
