"""Plugins: found by entry point, loaded one by one, asked, and refused with both names where they clash."""

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, PathDistribution
from pathlib import Path

import pytest

import pixlate
from pixlate.plugin import hookspecs
from pixlate.plugin.manager import Plugins, installed

Install = Callable[..., tuple[EntryPoint, Distribution]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution of one module on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, code: str, version: str = "1.0", entry: str | None = None) -> tuple[EntryPoint, Distribution]:
        module = f"module_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(f"import pixlate\n{code}")
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(f"[pixlate]\n{entry or name} = {module}\n")
        distribution = PathDistribution(folder)
        (point,) = distribution.entry_points
        monkeypatch.delitem(sys.modules, module, raising=False)
        return point, distribution

    return put


MODEL = """
from pathlib import Path
@pixlate.hookimpl
def pixlate_models():
    yield pixlate.ModelCard(name="night", summary="a model", path=Path("night.onnx"))
"""


def test_a_plugin_that_fails_to_import_is_left_out_and_named(install: Install) -> None:
    with pytest.warns(UserWarning, match=r"broken \(broken 0\.3\) is left out.*No module named 'not_there'.*uninstall broken"):
        plugins = Plugins([install("broken", "import not_there", "0.3"), install("good", MODEL)])
    assert list(plugins.models()) == ["night"]
    broken, good = plugins.plugins
    assert (broken.error, good.error) == ("ModuleNotFoundError: No module named 'not_there'", "")


def test_a_misspelled_hook_is_an_error_that_lists_the_hooks(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_modles():\n    yield 1\n"
    with pytest.raises(pixlate.PixlateError, match=r"slip \(slip 1\.0\).*pixlate_modles.*pixlate_models"):
        Plugins([install("slip", code)])


def test_a_hook_with_a_wrong_argument_is_an_error(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_open_model(file):\n    return None\n"
    with pytest.raises(pixlate.PixlateError, match=r"slip \(slip 1\.0\) does not fit"):
        Plugins([install("slip", code)])


def test_two_plugins_that_offer_one_model_are_refused_by_both_names(install: Install) -> None:
    plugins = Plugins([install("first", MODEL), install("second", MODEL, "2.0")])
    with pytest.raises(pixlate.PixlateError, match=r"model named 'night': first \(first 1\.0\) and second \(second 2\.0\); uninstall one"):
        plugins.models()


def test_two_plugins_of_one_name_are_refused_by_both_distributions(install: Install) -> None:
    with pytest.raises(pixlate.PixlateError, match=r"two plugins are named 'same': same \(first 1\.0\) and same \(second 1\.0\)"):
        Plugins([install("first", MODEL, entry="same"), install("second", "", entry="same")])


def test_two_image_formats_that_claim_one_suffix_are_refused(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_image_formats():\n    yield pixlate.ImageFormat(name='{}', suffixes=('.raw',), read=None)\n"
    plugins = Plugins([install("first", code.format("a")), install("second", code.format("b"))])
    with pytest.raises(pixlate.PixlateError, match=r"suffix \.raw is claimed by the image formats 'a' and 'b'"):
        plugins.image_formats()


def test_the_first_plugin_that_opens_a_model_wins_and_none_passes_on(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_open_model(path, device):\n    return {!r} if path.suffix == {!r} else None\n"
    plugins = Plugins([install("first", code.format("one", ".one")), install("second", code.format("two", ".two"))])
    asked = [plugins.manager.hook.pixlate_open_model(path=Path(name), device="cpu") for name in ("a.one", "a.two", "a.three")]
    assert asked == ["one", "two", None]


def test_checks_of_all_plugins_reach_doctor(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_checks():\n    yield pixlate.Check('tables', 'problem', 'missing', 'pip install tables')\n"
    (check,) = Plugins([install("first", code)]).checks()
    assert (check.name, check.status, check.remedy) == ("tables", "problem", "pip install tables")


@pytest.mark.parametrize("body", ["raise KeyError('gone')", "return None", "yield 1 / 0"])
def test_a_plugin_that_fails_in_a_hook_is_named(body: str, install: Install) -> None:
    plugins = Plugins([install("bad", f"@pixlate.hookimpl\ndef pixlate_models():\n    {body}\n", "0.2")])
    with pytest.raises(pixlate.PixlateError, match=r"the plugin bad \(bad 0\.2\) failed in pixlate_models .*update or uninstall bad"):
        plugins.models()


def test_commands_of_a_plugin_that_fails_are_left_out_and_the_others_added(install: Install) -> None:
    bad = install("bad", "@pixlate.hookimpl\ndef pixlate_commands(app):\n    raise KeyError('gone')\n")
    good = install("good", "@pixlate.hookimpl\ndef pixlate_commands(app):\n    app.append('good')\n")
    added: list[str] = []
    with pytest.warns(UserWarning, match=r"the commands of the plugin bad \(bad 1\.0\) are left out"):
        Plugins([bad, good]).add_commands(added)  # type: ignore[arg-type]
    assert added == ["good"]


def test_built_in_plugins_come_through_the_same_entry_points() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins = installed()
    assert {plugin.name for plugin in plugins.plugins} >= {"onnx", "srgan"}
    assert "srgan" in plugins.methods()


@pytest.mark.parametrize("name", [name for name in vars(hookspecs) if name.startswith("pixlate_")])
def test_every_hook_is_documented_with_an_example(name: str) -> None:
    text = getattr(hookspecs, name).__doc__
    assert "Example::" in text
    assert f"def {name}(" in text
