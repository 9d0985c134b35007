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
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pixlate.inference.ready import cards

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

    def test_base_images_are_pinned_by_digest_with_a_tag_that_names_version_and_system(self, path: Path) -> None:
        images = [text.split()[0] for text in texts(path, "FROM")]
        assert len(set(images)) == 1, "the environment is copied between stages, and holds the path of its interpreter"
        assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", image) for image in images)

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
        assert needed == {source for source in copied if "requirements-" not in source}

    def test_every_package_is_pinned_by_hash_and_none_is_looked_for_beside_them(self, path: Path) -> None:
        installs = [shlex.split(part) for text in texts(path, "RUN") for part in text.split("&&") if "pip install" in part]
        locked = [words for words in installs if "--require-hashes" in words]
        assert [words[-1] for words in locked] == ["requirements-build.txt", f"requirements-{path.suffix[1:]}.txt"]
        assert all({"--no-index", "--no-deps"} <= set(words) for words in installs if words not in locked)
        assert "--no-isolation" in shlex.split(texts(path, "RUN", 0)[-1])

    def test_locked_packages_are_those_that_pyproject_asks_for(self, path: Path) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        optional = project["optional-dependencies"]
        machine = {"sys_platform": "linux", "platform_machine": "x86_64" if path.suffix == ".cuda" else "other", "extra": ""}
        asked = [Requirement(line) for line in (*project["dependencies"], *(line for extra in EXTRAS[path.name] for line in optional[extra]))]
        wanted = [each for each in asked if each.marker is None or each.marker.evaluate(machine)]
        versions = locked(path.suffix[1:])
        assert {each.name for each in wanted if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"))} == set()
        assert ("onnxruntime-gpu" in versions, "onnxruntime" in versions) == (path.suffix == ".cuda", path.suffix == ".cpu")
        assert not {"torch", "onnx", "torchvision"} & versions.keys()

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


def locked(name: str) -> dict[str, str]:
    """Return the versions in a lock file, after checking that each package has hashes and nothing names a place to get it from."""
    text = re.sub(r"\s*\\\n\s*", " ", (ROOT / f"export/docker/requirements-{name}.txt").read_text())
    found = {}
    for line in (line for line in text.splitlines() if not line.startswith("#")):
        pinned = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)((?: --hash=sha256:[0-9a-f]{64})+)", line)
        assert pinned, line
        found[pinned[1]] = pinned[2]
    return found


def test_wheel_is_built_with_the_backend_of_pyproject() -> None:
    needed = Requirement(tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"][0])
    versions = locked("build")
    assert needed.specifier.contains(versions[needed.name]) and "build" in versions


def test_both_images_have_the_same_base_and_packages() -> None:
    assert len({text.split()[0] for path in FILES for text in texts(path, "FROM")}) == 1
    cpu, cuda = locked("cpu"), locked("cuda")
    assert {name for name in cpu.keys() & cuda.keys() if cpu[name] != cuda[name]} == set()
    assert cpu["onnxruntime"] == cuda["onnxruntime-gpu"]


class TestCompose:
    """The services of compose.yaml."""

    services = yaml.safe_load((ROOT / "export/docker/compose.yaml").read_text())["services"]

    @pytest.mark.parametrize("name", ["cpu", "gpu"])
    def test_service_is_built_here_and_reachable_from_this_machine_alone(self, name: str) -> None:
        service = self.services[name]
        context = (ROOT / "export/docker" / service["build"]["context"]).resolve()
        assert context == ROOT and (ROOT / service["build"]["dockerfile"]) in FILES
        assert service["image"] in (ROOT / service["build"]["dockerfile"]).read_text()
        (port,) = service["ports"]
        assert port.startswith("127.0.0.1:") and port.endswith(":8000")
        assert service["environment"]["PIXLATE_TOKEN"].startswith("${PIXLATE_TOKEN:?")
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["tmpfs"] == ["/tmp"]

    @pytest.mark.parametrize("name", ["cpu", "gpu"])
    def test_service_is_healthy_once_its_model_is_warmed_up(self, name: str) -> None:
        check = self.services[name]["healthcheck"]
        kind, *command = check["test"]
        assert kind == "CMD" and command[:2] == ["python", "-c"] and "http://127.0.0.1:8000/readyz" in command[2]
        compile(command[2], "compose.yaml", "exec")
        assert all(re.fullmatch(r"\d+s", check[key]) for key in ("interval", "timeout", "start_period"))

    def test_the_gpu_is_reserved_for_its_service_alone(self) -> None:
        assert "deploy" not in self.services["cpu"]
        (device,) = self.services["gpu"]["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])

    def test_default_model_is_one_that_everybody_has(self) -> None:
        assert {service["command"][0] for service in self.services.values()} == {"${MODEL:-upscale-x2}"}
        assert "upscale-x2" in cards()
