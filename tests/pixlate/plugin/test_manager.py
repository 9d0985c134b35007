"""Plugins: found by entry point, loaded one by one, asked, and refused with both names where they clash."""

import re
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import EntryPoint, PathDistribution
from pathlib import Path
from typing import NoReturn

import pytest

import pixlate
from pixlate.convert.threads import THREADS
from pixlate.plugin import hookspecs
from pixlate.plugin.engine import Engine
from pixlate.plugin.entries import Plugin, entry_points
from pixlate.plugin.manager import Plugins, installed
from pixlate.plugin.method import Method
from pixlate.plugin.metric import Metric
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.runtime import Runtime

Install = Callable[..., tuple[EntryPoint, Plugin]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution of one module on the path, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, code: str, version: str = "1.0", entry: str | None = None) -> tuple[EntryPoint, Plugin]:
        module = f"module_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(f"import pixlate\n{code}")
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(f"[pixlate]\n{entry or name} = {module}\n")
        (point,) = PathDistribution(folder).entry_points
        monkeypatch.delitem(sys.modules, module, raising=False)
        return point, Plugin(point.name, name, version)

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
    assert list(plugins.offered(ModelCard)) == ["night"]
    broken, good = plugins.plugins
    assert (broken.error, good.error) == ("ModuleNotFoundError: No module named 'not_there'", "")


METHOD = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Options:
    depth: int = 1
@dataclass(frozen=True)
class Clashing:
    batch: int = 1
def method(name, options=Options):
    return pixlate.Method(name=name, summary="a method", data=pixlate.paired, options=options, build=lambda options: None)
"""
GOOD = {
    "method": ("methods", METHOD, "method('good')"),
    "model": ("models", "from pathlib import Path\n", "pixlate.ModelCard(name='good', summary='', path=Path('good.onnx'))"),
    "runtime": ("runtimes", "", "pixlate.Runtime(name='good', suffixes=('.good',), available=bool, open=print)"),
    "image format": ("image_formats", "", "pixlate.ImageFormat(name='good', suffixes=('.good',), read=print)"),
    "engine": (
        "engines",
        "from dataclasses import dataclass\nfrom pixlate.plugin.engine import Engine\n@dataclass(frozen=True)\nclass Own:\n    pass\n",
        "Engine(name='good', summary='', options=Own, run=print)",
    ),
    "metric": ("metrics", "", "pixlate.Metric(name='good', compute=lambda output, target: 1.0)"),
    "check": ("checks", "", "pixlate.Check(name='good', status='ok', found='')"),
}
"""Hook, setting and expression of a value of each kind that hooks collect."""


def offered(plugins: Plugins, kind: str) -> list[str]:
    if kind == "check":
        return [check.name for check in plugins.checks()]
    if kind == "image format":
        return [value.name for value in plugins.image_formats().values()]
    return list(plugins.offered(next(wanted for wanted in (Engine, Method, Metric, ModelCard, Runtime) if wanted.kind == kind)))


def article(kind: str) -> str:
    return "an" if kind in ("image format", "engine") else "a"


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("yield 7", "is left out: expected an? [A-Z].* with a name, got int"),
        ("raise KeyError('gone')", r"failed in pixlate_\w+ \(KeyError: 'gone'\)"),
        ("return None", r"failed in pixlate_\w+ \(TypeError"),
        ("yield 1 / 0", r"failed in pixlate_\w+ \(ZeroDivisionError"),
        ("yield pixlate.ModelSpec(scale=0)", r"failed in pixlate_\w+ \(model spec: expected scale"),
        ("yield pixlate.Metric()", "is left out: expected an? [A-Z].* with a name, got Metric|missing 2 required"),
    ],
)
def test_a_bad_offer_is_left_out_alone_and_named_once(kind: str, bad: str, reason: str, install: Install) -> None:
    hook, setting, good = GOOD[kind]
    broken = install("broken", f"@pixlate.hookimpl\ndef pixlate_{hook}():\n    {bad}\n", "0.3")
    beside = install("beside", f"{setting}\n@pixlate.hookimpl\ndef pixlate_{hook}():\n    yield {good}\n    {bad.replace('return None', 'yield None')}\n")
    plugins = Plugins([broken, beside])
    with pytest.warns(UserWarning) as warned:
        assert offered(plugins, kind) == ["good"]
    first = [str(warning.message) for warning in warned if "broken (broken 0.3)" in str(warning.message)]
    assert len(warned) == 2 and len(first) == 1 and re.search(reason, first[0]) and first[0].endswith("update or uninstall broken")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert offered(plugins, kind) == ["good"]
        assert {part.plugin.name for part in plugins.left_out()} == {"broken", "beside"}


def test_a_method_whose_option_clashes_costs_that_method_only(install: Install) -> None:
    plugins = Plugins(
        [
            install(
                "mixed",
                METHOD + "@pixlate.hookimpl\ndef pixlate_methods():\n    yield method('clash', Clashing)\n    yield method('a b')\n    yield method('fits')\n",
            )
        ]
    )
    with pytest.warns(UserWarning) as warned:
        assert list(plugins.offered(Method)) == ["fits"]
    clash, spaced = (str(warning.message) for warning in warned)
    assert "a method of the plugin mixed (mixed 1.0) is left out: method 'clash': the option 'batch' of Clashing is also one of TrainingOptions" in clash
    assert "method 'a b': expected a name of letters, digits" in spaced
    assert plugins.why("method", "clash") == clash


def test_a_methods_option_may_not_be_called_as_one_of_train(install: Install) -> None:
    code = METHOD.replace("batch:", "plugin:") + "@pixlate.hookimpl\ndef pixlate_methods():\n    yield method('clash', Clashing)\n    yield method('fits')\n"
    with pytest.warns(UserWarning, match="the option 'plugin' of Clashing is also one of pixlate train"):
        assert list(Plugins([install("mixed", code)]).offered(Method)) == ["fits"]


def test_an_engine_whose_option_clashes_with_one_of_convert_costs_that_engine_only(install: Install) -> None:
    code = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Clashing:
    quality: int = 1
@dataclass(frozen=True)
class Own:
    lanes: int = 1
@pixlate.hookimpl
def pixlate_engines():
    yield pixlate.Engine("clash", "", Clashing, run=print)
    yield pixlate.Engine("fits", "", Own, run=print)
"""
    plugins = Plugins([install("mixed", code)])
    with pytest.warns(
        UserWarning, match=r"an engine of the plugin mixed \(mixed 1\.0\) is left out: engine 'clash': the option 'quality' of Clashing is also one of"
    ):
        assert list(plugins.offered(Engine)) == ["fits"]
    assert [part.name for part in plugins.left_out()] == ["clash"]
    assert "'quality' of Clashing is also one of pixlate convert" in plugins.why("engine", "clash")


def test_a_method_with_a_bad_option_made_at_import_costs_that_method_only(install: Install) -> None:
    code = METHOD + "METHODS = [method('clash', Clashing), method('fits')]\n@pixlate.hookimpl\ndef pixlate_methods():\n    return METHODS\n"
    with pytest.warns(UserWarning, match="the option 'batch'"):
        assert list(Plugins([install("mixed", code)]).offered(Method)) == ["fits"]


@pytest.mark.parametrize("kind", GOOD)
def test_a_value_that_cannot_be_made_costs_that_value_only(kind: str, install: Install) -> None:
    hook, setting, good = GOOD[kind]
    bad = good.replace("'good'", "'bad'").replace("('bad'", "('bad', nonsense=1") if kind == "method" else good.replace("name='good'", "name='bad', nonsense=1")
    code = f"{setting}\n@pixlate.hookimpl\ndef pixlate_{hook}():\n    return [{bad.replace('method(', 'pixlate.Method(')}, {good}]\n"
    plugins = Plugins([install("mixed", code)])
    with pytest.warns(UserWarning, match=rf"{article(kind)} {kind} of the plugin mixed \(mixed 1\.0\) is left out: .*unexpected keyword argument 'nonsense'"):
        assert offered(plugins, kind) == ["good"]
    assert "nonsense" in plugins.why(kind, "bad")


@pytest.mark.parametrize(
    ("kind", "offer", "reason"),
    [
        ("metric", "Metric('bad', 3)", "Metric 'bad': expected compute to be a function, got 3; change it in the plugin"),
        ("metric", "Metric(7, print)", "Metric 7: expected name to be a text, got 7; change it in the plugin"),
        ("runtime", "Runtime('bad', None, bool, print)", "Runtime 'bad': expected suffixes to be a list of texts, got None"),
        ("runtime", "Runtime('bad', ('.bad',), True, print)", "Runtime 'bad': expected available to be a function, got True"),
        ("image format", "ImageFormat('bad', (3,), print)", "ImageFormat 'bad': expected suffixes to be a list of texts, got (3,)"),
        ("image format", "ImageFormat('bad', ('.bad',), None)", "ImageFormat 'bad': expected read to be a function, got None"),
        ("image format", "ImageFormat('bad', ('.bad',), print, write=5)", "ImageFormat 'bad': expected write to be a function, got 5"),
        ("model", "ModelCard('bad', 's', 'bad.onnx')", "ModelCard 'bad': expected path to be a path (in Python a pathlib.Path), got 'bad.onnx'"),
        ("check", "Check('bad', 'broken', 'seen')", "Check 'bad': expected status to be one of ok, note, problem, got 'broken'"),
        ("method", "Method('bad', 7, pixlate.paired, Own, print)", "Method 'bad': expected summary to be a text, got 7"),
        ("method", "Method('bad', '', replace(pixlate.paired, open=9), Own, print)", "DataKind 'paired': expected open to be a function, got 9"),
        ("method", "Method('bad', '', replace(pixlate.paired, roles={'x': 'smell'}), Own, print)", "DataKind 'paired': expected roles to be"),
    ],
)
def test_an_offer_with_a_field_of_another_type_is_left_out_alone(kind: str, offer: str, reason: str, install: Install) -> None:
    hook, setting, good = GOOD[kind]
    own = "from dataclasses import dataclass, replace\n@dataclass(frozen=True)\nclass Own:\n    deep: int = 1\n"
    code = f"{setting}\n{own}@pixlate.hookimpl\ndef pixlate_{hook}():\n    yield pixlate.{offer}\n    yield {good}\n"
    plugins = Plugins([install("mixed", code)])
    with pytest.warns(UserWarning, match=rf"{article(kind)} {kind} of the plugin mixed \(mixed 1\.0\) is left out: {re.escape(reason)}"):
        assert offered(plugins, kind) == ["good"]


@pytest.mark.parametrize("kind", ["method", "engine"])
def test_options_whose_types_cannot_be_resolved_cost_that_offer_only(kind: str, install: Install) -> None:
    hook, setting, good = GOOD[kind]
    strange = "@dataclass(frozen=True)\nclass Strange:\n    deep: 'Elsewhere' = 1\n"
    bad = "method('bad', Strange)" if kind == "method" else "Engine(name='bad', summary='', options=Strange, run=print)"
    code = f"{setting}\n{strange}@pixlate.hookimpl\ndef pixlate_{hook}():\n    return [{bad}, {good}]\n"
    sentence = rf"{kind} 'bad': the types of the options Strange cannot be resolved \(name 'Elsewhere' is not defined\); import or define them in its module"
    with pytest.warns(UserWarning, match=sentence):
        assert offered(Plugins([install("mixed", code)]), kind) == ["good"]


def test_an_api_number_that_is_no_number_costs_that_plugin_only(install: Install) -> None:
    with pytest.warns(UserWarning, match=r"the plugin new \(new 1\.0\) is left out: it needs plugin API array"):
        plugins = Plugins([install("new", f"import numpy\nPIXLATE_API = numpy.array([1, 2])\n{MODEL}"), install("old", MODEL)])
    assert list(plugins.offered(ModelCard)) == ["night"]


def test_a_misspelled_hook_is_left_out_alone_with_a_suggestion(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_modles():\n    yield 1\n"
    with pytest.warns(UserWarning, match=r"pixlate_modles of the plugin slip \(slip 1\.0\) is left out: .*did you mean pixlate_models\?; update slip"):
        plugins = Plugins([install("slip", MODEL + code)])
    assert list(plugins.offered(ModelCard)) == ["night"]
    assert plugins.plugins[0].hooks == ("pixlate_models",)


def test_a_hook_that_is_gone_costs_that_hook_alone(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_jpeg_codec():\n    return None\n"
    with pytest.warns(UserWarning, match=r"the hook pixlate_jpeg_codec of the plugin old \(old 0\.1\) is left out: API 2 has it no longer"):
        assert list(Plugins([install("old", MODEL + code, "0.1")]).offered(ModelCard)) == ["night"]


def test_an_optional_hook_that_is_not_known_is_ignored(install: Install) -> None:
    code = "@pixlate.hookimpl(optionalhook=True)\ndef pixlate_of_tomorrow():\n    return None\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(Plugins([install("new", MODEL + code)]).offered(ModelCard)) == ["night"]


def test_a_hook_with_a_wrong_argument_is_left_out_alone(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_open_model(file):\n    return None\n"
    with pytest.warns(UserWarning, match=r"slip \(slip 1\.0\) is left out: expected arguments among \(path, device\), got file"):
        assert list(Plugins([install("slip", MODEL + code)]).offered(ModelCard)) == ["night"]


@pytest.mark.parametrize(("api", "older"), [("3", "Pixlate"), ("'two'", "new")])
def test_a_plugin_of_an_unsupported_api_is_left_out_whole(api: str, older: str, install: Install) -> None:
    with pytest.warns(UserWarning, match=rf"the plugin new \(new 1\.0\) is left out: it needs plugin API {api}, and this Pixlate has 1 and 2; update {older}$"):
        plugins = Plugins([install("new", f"PIXLATE_API = {api}\n{MODEL}"), install("old", f"PIXLATE_API = 2\n{MODEL}")])
    assert list(plugins.offered(ModelCard)) == ["night"]
    assert f"the plugin new (new 1.0) is left out (it needs plugin API {api}" in plugins.why("model", "other")
    assert [plugin.api for plugin in plugins.plugins if not plugin.error] == [2]


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise GeneratorExit", "raise type('Own', (BaseException,), {})", "raise KeyError('x')", "def f(:"])
def test_a_plugin_that_ends_the_process_when_imported_is_left_out(code: str, install: Install) -> None:
    with pytest.warns(UserWarning, match="it failed to import"):
        assert list(Plugins([install("bad", code), install("good", MODEL)]).offered(ModelCard)) == ["night"]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "GeneratorExit", "KeyboardInterrupt"])
def test_a_hook_that_ends_the_process_is_left_out_and_an_interrupt_passes(raised: str, install: Install) -> None:
    hooks = {"models": "", "commands": "app", "step_finished": "step", "open_model": "path"}
    code = "".join(f"@pixlate.hookimpl\ndef pixlate_{hook}({argument}):\n    raise {raised}\n" for hook, argument in hooks.items())
    plugins = Plugins([install("bad", code)])
    calls: list[Callable[[], object]] = [
        lambda: plugins.offered(ModelCard),
        lambda: plugins.add_commands([]),  # type: ignore[arg-type]
        lambda: plugins.report("pixlate_step_finished", run=Path(), step=1, losses={}),
    ]
    for call in calls:
        with pytest.raises(KeyboardInterrupt) if raised == "KeyboardInterrupt" else pytest.warns(UserWarning, match=r"bad \(bad 1\.0\).*(Syst|Gen)\w+Exit"):
            call()
    with pytest.raises(KeyboardInterrupt) if raised == "KeyboardInterrupt" else nullcontext():
        answer, (failure,) = plugins.first("pixlate_open_model", lambda: {"path": Path()}, "a translator", bool)
        assert answer is None and failure.startswith("the plugin bad (bad 1.0) failed on it")


def test_an_interrupt_while_a_plugin_is_imported_passes(install: Install) -> None:
    with pytest.raises(KeyboardInterrupt):
        Plugins([install("slow", "raise KeyboardInterrupt")])


def test_a_distribution_without_metadata_is_left_out(install: Install, tmp_path: Path) -> None:
    (good, _), (half, _) = install("good", MODEL), install("half", MODEL)
    (tmp_path / "half-1.0.dist-info/METADATA").unlink()
    with pytest.warns(UserWarning, match=rf"the plugin half is left out: its distribution in {tmp_path} has no METADATA; install it again"):
        found = [entry for entry, _ in entry_points()]
    assert good in found and half not in found


def test_a_distribution_without_metadata_is_left_out_where_importlib_metadata_replaces_the_one_of_python(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("half", MODEL)

    class Lost(PathDistribution):
        @property
        def metadata(self) -> NoReturn:
            raise FileNotFoundError("No package metadata was found.")

    monkeypatch.setattr("pixlate.plugin.entries.distributions", lambda: [Lost(tmp_path / "half-1.0.dist-info")])
    with pytest.warns(UserWarning, match=r"the plugin half is left out: its distribution in .* has no METADATA; install it again"):
        assert entry_points() == []


@pytest.mark.parametrize("plugins", [1, 2])
def test_an_engine_named_like_one_of_the_core_leaves_the_core_its_own(plugins: int, install: Install) -> None:
    _, setting, good = GOOD["engine"]
    code = f"{setting}\n@pixlate.hookimpl\ndef pixlate_engines():\n    yield {good.replace('good', 'threads')}\n    yield {good}\n"
    core = install("core", "from pixlate.builtin import pixlate_engines\n")
    others = [install(name, code.replace("'good'", repr(name))) for name in ("first", "second")[:plugins]]
    with pytest.warns(UserWarning, match="an engine of the plugin .* is left out: 'threads' is the name of Pixlate's own") as warned:
        engines = Plugins([core, *others]).offered(Engine)
    assert len(warned) == plugins and all("first (first 1.0)" in str(each.message) or "second (second 1.0)" in str(each.message) for each in warned)
    assert engines["threads"] is THREADS and engines.keys() == {"threads", "first", "second"} - ({"second"} if plugins == 1 else set())


def test_each_of_several_wrong_values_is_named_once(install: Install) -> None:
    plugins = Plugins([install("mixed", METHOD + "@pixlate.hookimpl\ndef pixlate_methods():\n    return [method('fits'), 'srgan2', 5, None, 6]\n")])
    with pytest.warns(UserWarning) as warned:
        assert list(plugins.offered(Method)) == list(plugins.offered(Method)) == ["fits"]
    found = [str(each.message).partition("got ")[2].partition(";")[0] for each in warned]
    assert found == ["str as value 2", "int as value 3", "NoneType as value 4", "int as value 5"]
    assert [part.sentence for part in plugins.left_out()] == [str(each.message) for each in warned]


def test_a_model_that_two_plugins_offer_is_left_out_and_using_it_names_both(install: Install) -> None:
    other = MODEL.replace('"night"', '"day"')
    plugins = Plugins([install("first", MODEL), install("second", MODEL, "2.0"), install("third", other)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(plugins.offered(ModelCard)) == ["day"]
    assert re.search(r"model named 'night': first \(first 1\.0\) and second \(second 2\.0\); uninstall one", plugins.why("model", "night"))
    assert [part.plugin.name for part in plugins.left_out()] == ["first", "second"]


def test_two_plugins_of_one_name_are_both_loaded(install: Install) -> None:
    other = MODEL.replace('"night"', '"day"')
    plugins = Plugins([install("first", MODEL, entry="same"), install("second", other, entry="same")])
    assert set(plugins.offered(ModelCard)) == {"night", "day"}
    assert [str(plugin) for plugin in plugins.plugins] == ["same (first 1.0)", "same (second 1.0)"]


def test_a_module_of_two_entry_points_is_loaded_once(install: Install) -> None:
    point, plugin = install("first", MODEL)
    again = EntryPoint("again", point.value, point.group)
    with pytest.warns(UserWarning, match=r"the plugin again \(first 1\.0\) is left out: its module is that of the plugin first \(first 1\.0\)"):
        assert list(Plugins([(point, plugin), (again, replace(plugin, name="again"))]).offered(ModelCard)) == ["night"]


@pytest.mark.parametrize(
    ("name", "suffix", "sentence"), [("b", ".raw", "suffix .raw is claimed by the image formats 'a' of .*first.* and 'b'"), ("a", ".nef", "named 'a'")]
)
def test_of_image_formats_that_clash_only_their_files_are_refused(name: str, suffix: str, sentence: str, install: Install, tmp_path: Path) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_image_formats():\n    yield pixlate.ImageFormat(name='{}', suffixes=('{}',), read=print)\n"
    clashing = [install("first", code.format("a", ".raw")), install("second", code.format(name, suffix))]
    plugins = Plugins([*clashing, install("third", code.format("c", ".exr"))])
    formats = plugins.image_formats()
    assert formats.keys() == {".raw", suffix, ".exr"} and formats[".exr"].read.__name__ == "print"
    with pytest.raises(pixlate.PixlateError, match=sentence):
        formats[suffix].read(tmp_path)


LISTENER = """
@pixlate.hookimpl
def pixlate_step_finished(step, losses):
    losses.append({})
    {}
"""


def test_a_listener_that_raises_is_named_once_and_not_called_again(install: Install) -> None:
    plugins = Plugins([install("bad", LISTENER.format(1, "raise KeyError('gone')")), install("good", LISTENER.format(2, "pass"))])
    called: list[int] = []
    with pytest.warns(UserWarning, match=r"the plugin bad \(bad 1\.0\) failed in pixlate_step_finished \(KeyError: 'gone'\); it is not called again"):
        plugins.report("pixlate_step_finished", run=Path(), step=1, losses=called)
    plugins.report("pixlate_step_finished", run=Path(), step=2, losses=called)
    assert sorted(called) == [1, 2, 2] and plugins.listened("pixlate_step_finished")
    assert not plugins.listened("pixlate_epoch_finished")


def test_a_plugin_that_fails_to_open_a_model_does_not_keep_others_from_it(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_open_model(path, device):\n    {}\n"
    plugins = Plugins([install(name, code.format(body)) for name, body in (("good", "return 'opened'"), ("wrong", "return 5"), ("bad", "return 1 / 0"))])
    answer, failures = plugins.first("pixlate_open_model", lambda: {"path": Path("a"), "device": "cpu"}, "a translator", lambda answer: answer == "opened")
    assert answer == "opened"
    assert failures == [
        "the plugin bad (bad 1.0) failed on it (ZeroDivisionError: division by zero)",
        "the plugin wrong (wrong 1.0) returned int instead of a translator",
    ]


def test_the_first_plugin_that_opens_a_model_wins_and_none_defers_to_the_next(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_open_model(path, device):\n    return {!r} if path.suffix == {!r} else None\n"
    plugins = Plugins([install("first", code.format("one", ".one")), install("second", code.format("two", ".two"))])
    asked = [plugins.manager.hook.pixlate_open_model(path=Path(name), device="cpu") for name in ("a.one", "a.two", "a.three")]
    assert asked == ["one", "two", None]


def test_checks_of_all_plugins_reach_doctor(install: Install) -> None:
    code = "@pixlate.hookimpl\ndef pixlate_checks():\n    yield pixlate.Check('tables', 'problem', 'missing', 'pip install tables')\n"
    (check,) = Plugins([install("first", code)]).checks()
    assert (check.name, check.status, check.remedy) == ("tables", "problem", "pip install tables")


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
    assert "srgan" in plugins.offered(Method)


@pytest.mark.parametrize("name", [name for name in vars(hookspecs) if name.startswith("pixlate_")])
def test_every_hook_is_documented_with_an_example(name: str) -> None:
    text = getattr(hookspecs, name).__doc__
    assert "Example::" in text
    assert f"def {name}(" in text


def test_image_format_of_a_plugin_takes_the_place_of_a_built_in_one(install: Install) -> None:
    core = install("core", "from pixlate.builtin import pixlate_image_formats\n")
    code = "@pixlate.hookimpl\ndef pixlate_image_formats():\n    yield pixlate.ImageFormat(name='{}', suffixes=('{}',), read=print)\n"
    formats = Plugins([core, install("arrays", code.format("npy", ".npy")), install("depths", code.format("depth", ".tif"))]).image_formats()
    assert formats[".npy"].read.__name__ == "print" and formats[".tif"].name == "depth"
    assert formats[".tiff"].name == "tiff" and formats[".png"].probe is not None


def test_core_offers_its_image_formats_by_an_entry_point_like_a_plugin() -> None:
    assert "pixlate_image_formats" in next(plugin.hooks for plugin in installed().plugins if plugin.name == "core")
