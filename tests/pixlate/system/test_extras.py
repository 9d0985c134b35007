"""One sentence for a package that is missing, and commands that install it."""

import re
import tomllib
from pathlib import Path

import pytest

from pixlate.errors import PixlateError
from pixlate.system.extras import BESIDE, BROUGHT, import_for, install

ROOT = Path(__file__).parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", BROUGHT)
def test_missing_package_is_named_with_the_command_that_installs_it(extra: str) -> None:
    with pytest.raises(PixlateError) as raised:
        import_for("training", "no_such_package.run", extra)
    command = f"pip install 'pixlate[{extra}]' (from a checkout: pip install '.[{extra}]')" + (f", then: {BESIDE[extra]}" if extra in BESIDE else "")
    assert str(raised.value) == f"training needs {BROUGHT[extra]}, and no_such_package is missing; run: {command}"
    assert install(extra) == command


def test_every_extra_that_is_named_exists() -> None:
    assert BROUGHT.keys() <= EXTRAS.keys()
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        named = {extra for group in re.findall(r"pip install '\.\[([\w,]+)\]'", page.read_text()) for extra in group.split(",")}
        assert named <= EXTRAS.keys(), page.name


def test_missing_package_message_is_defined_once() -> None:
    sources = [path for shelf in ("translate", "plugins", "export") for path in (ROOT / shelf).rglob("*.py")]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    written = [path.name for path in (*sources, *pages) if re.search(r"pip install '?pixlate\[", path.read_text())]
    assert written == ["extras.py"]
