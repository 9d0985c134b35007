"""Driver and worker of a cluster: what they make of orders, answers and accidents. No cluster runs here."""

import errno
import re
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.pixlate.conftest import NEAREST, Nearest, folder, outputs, save, tree, write_onnx
from tests.pixlate.weights.test_ncnn import small
from tests.pixlate_onnx.test_interpolation import network

import pixlate
from pixlate.convert import ConvertOptions, choosing, convert
from pixlate.convert.conversion import Sinks, Task, settings_digest
from pixlate.convert.plan import Plan, make_plan
from pixlate.convert.report import Report, Summary
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN
from pixlate.inference.strength import system_used
from pixlate.places.journal import Job, Journal
from pixlate.places.local import LocalPlace, LocalStore, locate
from pixlate.places.paths import version_of
from pixlate.plugin.place import Store
from pixlate.plugin.translator import Translator
from pixlate_ray import RayOptions, cluster, driver, worker
from pixlate_ray.cluster import Cluster, Share, contents, divide, refuse_private, refuse_unreachable
from pixlate_ray.driver import ClusterRun
from pixlate_ray.worker import Answer, Order, Setup, Worker


class RayError(Exception):
    """As Ray raises."""


class RayActorError(RayError):
    """As Ray raises where a worker was killed."""


Change = Callable[[Answer], list[Answer | BaseException]]


class Stream:
    """Answers of a task, which begins when the first is taken."""

    def __init__(self, ray: "Ray", actor: Any, orders: Sequence[Order]) -> None:
        self.answers = self.changed(ray, actor, orders)
        ray.streams.append(self)

    def changed(self, ray: "Ray", actor: Any, orders: Sequence[Order]) -> Generator[Answer | BaseException, None, None]:
        ray.tasks.append(len(orders))
        with closing(actor.convert(orders)) as answers:
            for answer in answers:
                yield from ray.change(answer)

    def __next__(self) -> Answer | BaseException:
        return next(self.answers)


class Actor:
    """A worker in this process."""

    def __init__(self, ray: "Ray", actor: Worker) -> None:
        self.device = Method(actor.device)
        self.convert = Method(lambda orders: Stream(ray, actor, orders))
        self.stop = Method(actor.stop)


class Method:
    def __init__(self, act: Callable[..., object]) -> None:
        self.remote = act

    def options(self, concurrency_group: str) -> "Method":
        return self


class Ray:
    """As much of Ray as a conversion sees, with workers in this process; ``change`` sees each answer on its way."""

    node = "here"
    exceptions = SimpleNamespace(RayError=RayError, RayActorError=RayActorError)

    def __init__(self) -> None:
        self.tasks: list[int] = []
        self.streams: list[Stream] = []
        self.started = self.killed = 0
        self.change: Change = lambda answer: [answer]

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def get_runtime_context(self) -> "Ray":
        return self

    def get_node_id(self) -> str:
        return self.node

    def remote(self, **options: object) -> Callable[[type[Worker]], Any]:
        def make(*arguments: Any) -> Actor:
            self.started += 1
            return Actor(self, Worker(*arguments))

        return lambda kind: Method(make)

    def put(self, value: bytes) -> bytes:
        return value

    def wait(self, waiting: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        assert waiting
        return waiting[:num_returns], waiting[num_returns:]

    def get(self, reference: Any) -> Any:
        if isinstance(reference, BaseException):
            raise reference
        return reference

    def kill(self, actor: Actor) -> None:
        self.killed += 1


class Device(dict[str, str]):
    """What a worker says of its device, as hashable as a reference to it."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    fake, device = Ray(), Worker.device
    monkeypatch.setattr(worker, "import_module", lambda name: fake if name == "ray" else import_module(name))
    monkeypatch.setattr(Worker, "device", lambda self: Device(device(self)))
    monkeypatch.delenv("PIXLATE_CORES", raising=False)
    return fake


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / "scratch").mkdir()
    return Setup("stand-in.model", ConvertOptions(threads=2), "", None, 2, str(tmp_path / "scratch"), "here")


Start = Callable[..., Summary]


@pytest.fixture
def start(ray: Ray, setup: Setup, use: Callable[[Translator], Path]) -> Start:
    """Convert through two workers in this process."""
    model = use(Nearest())

    def run(
        source: Path, out: Path | str, change: Change = lambda answer: [answer], watch: Callable[[Report], None] = lambda report: None, **options: Any
    ) -> Summary:
        chosen = ConvertOptions(threads=2, **options)
        plan, settings = make_plan([locate(source)], locate(out), chosen, BUILT_IN), settings_digest(model, chosen)
        ray.change, ray.tasks, ray.started, ray.killed = change, [], 0, 0
        task = Task(plan, model, model, chosen, settings, BUILT_IN, watch, system=system_used(str(model)))
        workers = Cluster(ray, task, 2, setup.scratch)
        workers.open()
        report = Report(None, len(plan.jobs) + len(plan.failures), plan.ignored)
        with Journal(plan.store, settings) as journal:
            ClusterRun(task, Sinks(journal, report, None), workers).run()
        workers.close()
        assert ray.killed == len(workers.lanes)
        for stream in ray.streams:  # of workers that were killed
            stream.answers.close()
        assert list(Path(setup.scratch).iterdir()) == []
        return report.summary

    return run


def test_the_output_tree_equals_that_of_the_threads_engine(tmp_path: Path, start: Start, ray: Ray, use: Callable[[Translator], Path]) -> None:
    source = folder(tmp_path / "in", 40)
    (source / "empty.png").touch()
    summary = start(source, tmp_path / "out")
    assert (summary.converted, summary.failed, summary.device) == (40, 1, "cpu, 2 workers")
    assert max(ray.tasks) == 5
    convert(source, tmp_path / "threads", use(Nearest()))
    assert tree(tmp_path / "out") == tree(tmp_path / "threads")
    assert start(source, tmp_path / "out").finished_before == 40


def test_duplicate_results_count_once(tmp_path: Path, start: Start) -> None:
    source = folder(tmp_path / "in", 5)
    summary = start(source, tmp_path / "out", lambda answer: [answer] * 2)
    assert summary.converted == 5


@pytest.mark.parametrize("fault", ["lost", "worker killed"])
def test_an_output_that_did_not_arrive_is_made_again(fault: str, tmp_path: Path, start: Start, ray: Ray) -> None:
    seen: set[int] = set()

    def change(answer: Answer) -> list[Answer | BaseException]:
        if answer.index in seen:
            return [answer]
        seen.add(answer.index)
        return [] if fault == "lost" else [RayActorError("killed")]

    source = folder(tmp_path / "in", 20)
    summary = start(source, tmp_path / "out", change)
    assert (summary.converted, summary.failed) == (20, 0)
    assert ray.tasks.count(1) >= 20
    assert (ray.started > 2) == (fault == "worker killed")
    assert len((tmp_path / "out" / ".pixlate" / "journal.jsonl").read_text().splitlines()) == 20


def test_a_picture_over_which_workers_are_killed_fails_and_the_others_of_its_task_do_not(tmp_path: Path, start: Start, ray: Ray) -> None:
    def change(answer: Answer) -> list[Answer | BaseException]:
        return [RayActorError("killed")] if answer.result.output.endswith("009.png") else [answer]

    summary = start(folder(tmp_path / "in", 40), tmp_path / "out", change)
    assert (summary.converted, summary.failed) == (39, 1)
    assert summary.failures[0][0].endswith("009.png")
    assert "a worker was killed 3 times while it had this picture" in summary.failures[0][1]
    assert ray.started == 2 + 3


def test_without_any_result_each_picture_fails_with_a_reason(tmp_path: Path, start: Start) -> None:
    summary = start(folder(tmp_path / "in", 3), tmp_path / "out", lambda answer: [])
    assert summary.failed == 3
    assert "no worker answered for it" in summary.failures[0][1]


def test_a_worker_that_cannot_start_again_is_left_out_and_the_summary_says_why(tmp_path: Path, start: Start, ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(answer: Answer) -> list[Answer | BaseException]:
        if ray.started > 2:
            return [answer]
        monkeypatch.setattr(Worker, "device", lambda self: RayActorError("killed while it loaded the model"))
        return [RayActorError("killed")]

    source = folder(tmp_path / "in", 40)
    summary = start(source, tmp_path / "out", change)
    assert (summary.converted, summary.failed) == (40, 0)
    assert summary.device.startswith("cpu, 1 worker (a worker of the cluster could not be started (killed while it loaded the model)")


def test_without_workers_it_stops_and_says_why(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(answer: Answer) -> list[Answer | BaseException]:
        monkeypatch.setattr(Worker, "device", lambda self: RayActorError("killed while it loaded the model"))
        return [RayActorError("killed")]

    summary = start(folder(tmp_path / "in", 40), tmp_path / "out", change)
    assert (summary.converted, summary.not_reached) == (0, 40)
    assert "killed while it loaded the model" in summary.stopped


def test_fail_fast_stops(tmp_path: Path, start: Start) -> None:
    source = folder(tmp_path / "in", 40)
    (source / "0" / "000.png").write_bytes(b"")
    summary = start(source, tmp_path / "out", fail_fast=True)
    assert (summary.failed, summary.stopped) == (1, "stopped at the first failure, as --fail-fast asks")
    assert summary.not_reached > 0


def test_a_full_disk_stops(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(journal: Journal, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "finish", full)
    summary = start(folder(tmp_path / "in", 40), tmp_path / "out")
    assert "takes no more (No space left on device)" in summary.stopped
    assert (summary.failed, summary.exit_code) == (1, 1)


def test_a_cluster_that_is_lost_stops_and_keeps_what_is_done(tmp_path: Path, start: Start) -> None:
    count = iter(range(5))

    def lose(answer: Answer) -> list[Answer | BaseException]:
        return [RuntimeError("the head\nis gone") if next(count, None) is None else answer]

    source = folder(tmp_path / "in", 40)
    summary = start(source, tmp_path / "out", lose)
    assert summary.stopped == "the cluster was lost (the head is gone); the same command continues"
    assert summary.converted == len(outputs(tmp_path / "out")) == 5
    assert start(source, tmp_path / "out").finished_before == 5


def test_interrupted_driver_collects_finished_tasks_and_submits_no_more(tmp_path: Path, start: Start) -> None:
    def interrupt(report: Report) -> None:
        if report.summary.converted == 7:
            signal.raise_signal(signal.SIGINT)

    source = folder(tmp_path / "in", 80)
    summary = start(source, tmp_path / "out", watch=interrupt)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert summary.converted == len(outputs(tmp_path / "out")) >= 7
    assert summary.not_reached == 80 - summary.converted > 30
    assert start(source, tmp_path / "out").converted == 80 - summary.converted


def test_a_conversion_that_lost_its_lease_stops(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = False

    def check(store: Store) -> None:
        if lost:
            raise PixlateError("another conversion has taken over")

    def change(answer: Answer) -> list[Answer | BaseException]:
        nonlocal lost
        lost = answer.index >= 7
        return [answer]

    out = f"local://{tmp_path}/out"
    monkeypatch.setattr(type(locate(out).store()), "check", check)
    summary = start(folder(tmp_path / "in", 40), out, change)
    assert "another conversion has taken over" in summary.stopped
    assert 1 <= summary.converted <= 7
    assert summary.not_reached >= 33


def test_a_long_folder_is_looked_at_while_it_is_converted_and_not_before(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "AT_ONCE", 2)
    looked, most = [0], [0]
    look = ClusterRun._look

    def counted(self: ClusterRun, index: int, job: Job) -> object:
        looked[0] += 1
        return look(self, index, job)

    def watch(report: Report) -> None:
        most[0] = max(most[0], looked[0] - report.summary.converted)

    monkeypatch.setattr(ClusterRun, "_look", counted)
    assert start(folder(tmp_path / "in", 200), tmp_path / "out", watch=watch).converted == 200
    assert looked[0] == 200
    assert most[0] <= 2 * 2 * 2 * 2 + 2 * 2 * 2  # ready or being looked at, and given to the two workers


def test_answers_of_many_workers_are_taken_together(tmp_path: Path, start: Start, ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, wait = [], ray.wait

    def recorded(waiting: list[Any], num_returns: int = 1, timeout: float = 0) -> tuple[list[Any], list[Any]]:
        asked.append(num_returns)
        return wait(waiting, num_returns, timeout)

    monkeypatch.setattr(ray, "wait", recorded)
    assert start(folder(tmp_path / "in", 40), tmp_path / "out").converted == 40
    assert 2 in asked


def test_existing_outputs_are_not_submitted(tmp_path: Path, start: Start, ray: Ray) -> None:
    source = folder(tmp_path / "in", 4)
    save(tmp_path / "out" / "0" / "000.png", seed=50)
    summary = start(source, tmp_path / "out")
    assert (summary.converted, summary.failed, sum(ray.tasks)) == (3, 1, 3)
    assert start(source, tmp_path / "out", on_exists="skip").skipped == 4
    assert start(source, tmp_path / "out", on_exists="overwrite").converted == 4


def model_files(setup: Setup) -> dict[str, bytes]:
    """The file of the stand-in model, which is empty."""
    return {Path(setup.model).suffix: b""}


def order(path: Path, index: int = 0) -> Order:
    return Order(index, Job(LocalPlace(str(path)), f"{path.stem}{index}.png", "png"), version_of(str(path)), True)


def test_a_source_missing_or_different_on_a_remote_worker_fails_alone(tmp_path: Path, setup: Setup, ray: Ray, use: Callable[[Translator], Path]) -> None:
    use(Nearest())
    gone, other, good = (order(save(tmp_path / f"{name}.png"), index) for index, name in enumerate(("gone", "other", "good")))
    (tmp_path / "gone.png").unlink()
    save(tmp_path / "other.png", 30, 30)
    ray.node = "far"
    results = [answer.result for answer in Worker(setup, model_files(setup), {}).convert([gone, other, good])]
    assert [result.status for result in results] == ["failed", "failed", "converted"]
    assert re.search(r"the worker on \S+ cannot read it \(there is no such file", results[0].reason)
    assert "has another file under this path" in results[1].reason


@pytest.mark.parametrize("blended", [False, True])
def test_workers_have_the_strength_and_the_second_file(blended: bool, tmp_path: Path, setup: Setup) -> None:
    first, second = network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2)
    options = ConvertOptions(strength=0.3, blend_with="gone.onnx" if blended else None, device="cpu")  # the driver's path, which no other machine has
    made = Worker(replace(setup, model="a.onnx", options=options), contents(first), contents(second) if blended else {})
    (answer,) = made.convert([order(save(tmp_path / "a.png"), 0)])
    assert answer.result.status == "converted", answer.result.reason
    expected = pixlate.load(first, "cpu", strength=0.3, blend_with=second if blended else None)(np.asarray(Image.open(tmp_path / "a.png"))[None])[0]
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(answer.data))), expected)


def test_workers_have_every_model_of_a_chain_and_the_size(tmp_path: Path, setup: Setup) -> None:
    first, second = network(tmp_path / "a.onnx", 1), network(tmp_path / "b.onnx", 2)
    options = ConvertOptions(then=("gone.onnx", "gone.onnx"), scale=1.5, device="cpu", strip_metadata=True)  # the driver's paths, which no other machine has
    later = [(path.name, contents(path)) for path in (second, first)]
    made = Worker(replace(setup, model="a.onnx", options=options), contents(first), {}, later)
    (answer,) = made.convert([order(save(tmp_path / "a.png"), 0)])
    assert answer.result.status == "converted", answer.result.reason
    assert pixlate.convert(tmp_path / "a.png", tmp_path / "out", first, replace(options, then=(second, first))).converted == 1
    assert answer.data == (tmp_path / "out/a.png").read_bytes()


def test_workers_have_both_files_of_a_model_of_ncnn(tmp_path: Path, setup: Setup) -> None:
    pytest.importorskip("spandrel")
    model = small(tmp_path / "a model.v2.param")
    made = Worker(replace(setup, model=model.name, options=ConvertOptions(device="cpu")), contents(model), {})
    assert made.device() == {"device": "cpu"}
    (answer,) = made.convert([order(save(tmp_path / "a.png"), 0)])
    expected = pixlate.load(model, "cpu")(np.asarray(Image.open(tmp_path / "a.png"))[None])[0]
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(answer.data))), expected)


def test_another_version_of_pixlate_or_a_missing_device_is_refused(setup: Setup, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    use(Nearest())
    refused = Worker(replace(setup, version="0.0.1"), model_files(setup), {}).device()["refused"]
    assert re.fullmatch(rf"the worker on \S+ cannot convert: it has Pixlate {pixlate.__version__}, and the command has 0\.0\.1; .*", refused)
    assert Worker(setup, model_files(setup), {}).device() == {"device": "cpu"}

    def no_gpu(*arguments: object) -> None:
        raise PixlateError("no CUDA here")

    monkeypatch.setattr(worker, "load_executors", no_gpu)
    assert Worker(setup, model_files(setup), {}).device()["refused"].endswith(" cannot convert: no CUDA here")


def test_a_worker_that_cannot_convert_refuses_the_conversion_before_anything_is_written(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, message in (({"refused": "no CUDA here"}, "no CUDA here"), (RayActorError("No module named 'pixlate_ray'"), "install Pixlate there too")):
        monkeypatch.setattr(Worker, "device", lambda self, answer=answer: answer)
        with pytest.raises(PixlateError, match=message):
            start(folder(tmp_path / "in", 2), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_begun_with_a_runtime_that_knows_no_nvidia_gpu_is_continued_on_cores(tmp_path: Path, ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out, model = folder(tmp_path / "in", 4), tmp_path / "out", write_onnx(tmp_path / "nearest.onnx", NEAREST)
    convert(source, out, model, runtime="openvino", device="cpu", limit=2)
    sentence = "expected --device auto or cpu for openvino, with which the output folder was begun, got cuda; name one of these, or another folder"
    with pytest.raises(PixlateError, match=f"^{sentence}$"):
        convert(source, out, model, engine="ray", device="cuda")
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}])
    monkeypatch.setattr(driver, "connected", lambda address: nullcontext(ray))
    summary = convert(source, out, model, engine="ray")
    assert (summary.finished_before, summary.converted, summary.runtime, summary.device) == (2, 2, "openvino", "cpu, 1 worker")


def test_a_runtime_that_knows_no_nvidia_gpu_is_refused_on_one(tmp_path: Path) -> None:
    source, model = save(tmp_path / "a.png"), write_onnx(tmp_path / "nearest.onnx", NEAREST)
    with pytest.raises(PixlateError, match=r"^expected --device auto or cpu for openvino, got cuda; name one of these, or another --runtime$"):
        convert(source, tmp_path / "out", model, engine="ray", runtime="openvino", device="cuda")
    assert not (tmp_path / "out").exists()


def test_a_new_folder_is_converted_with_the_first_runtime_without_a_trial(tmp_path: Path, ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORTH_S", 0.0), ("WORTH_PARTS", 0.0)):  # however little work there is
        monkeypatch.setattr(choosing, name, value)
    monkeypatch.setattr(choosing, "tried", None)
    monkeypatch.setattr(driver, "connected", lambda address: nullcontext(ray))
    summary = convert(folder(tmp_path / "in", 2), tmp_path / "out", write_onnx(tmp_path / "nearest.onnx", NEAREST), engine="ray")
    assert (summary.converted, summary.runtime, summary.choice) == (2, "onnxruntime", "")


def test_a_cluster_that_starts_no_worker_is_refused_as_busy(tmp_path: Path, start: Start, ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "wait", lambda waiting, timeout: ([], waiting))
    with pytest.raises(PixlateError, match="the cluster had no 1 free cores for a worker within 300 s; wait until it is less busy"):
        start(folder(tmp_path / "in", 2), tmp_path / "out")


@pytest.mark.parametrize(
    ("cores", "gpus", "options", "share"),
    [
        ([2], 0, {}, Share(1, 2, 0)),
        ([2], 0, {"concurrency": 2}, Share(2, 1, 0)),
        ([16, 16], 0, {}, Share(8, 4, 0)),
        ([8, 3], 0, {"concurrency": 3}, Share(3, 3, 0)),
        ([5, 5], 0, {"concurrency": 3}, Share(3, 2, 0)),
        ([0, 8], 0, {}, Share(2, 4, 0)),
        ([16, 16], 4, {}, Share(4, 8, 1)),
        ([16, 16], 4, {"device": "cpu"}, Share(8, 4, 0)),
        ([16], 2, {"device": "cuda", "concurrency": 1}, Share(1, 16, 1)),
    ],
)
def test_workers_of_a_cluster_never_share_a_core(cores: list[int], gpus: int, options: dict[str, Any], share: Share) -> None:
    assert divide(cores, gpus, **{"device": "auto"} | options) == share


@pytest.mark.parametrize(
    ("cores", "gpus", "options", "message"),
    [
        ([2], 0, {"concurrency": 3}, "expected --concurrency of at most 2, one core for each worker, got 3"),
        ([16], 1, {"device": "cuda", "concurrency": 2}, "expected --concurrency of at most 1, one GPU for each worker"),
        ([16], 0, {"device": "cuda"}, "expected GPUs in the cluster for --device cuda, found none"),
        ([], 0, {}, "expected --concurrency of at most 0"),
    ],
)
def test_more_resources_than_a_cluster_has_are_refused(cores: list[int], gpus: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PixlateError, match=message):
        divide(cores, gpus, **{"device": "auto"} | options)


def test_resources_that_no_worker_can_have_are_refused(tmp_path: Path) -> None:
    url, out = locate("memory://bucket/out"), LocalStore(tmp_path)
    for plan in (Plan(url.store()), Plan(out, [Job(url, "a.png", "png")])):
        with pytest.raises(PixlateError, match="is in the memory of this process"):
            refuse_private(plan, "auto")
    for device in ("cuda:1", "gpu", "CUDA"):
        with pytest.raises(PixlateError, match=f"expected --device auto, cpu, cuda or tensorrt with --engine ray, got {device};"):
            refuse_private(Plan(out), device)


def test_a_machine_local_disk_is_refused_as_output_of_several_machines(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="names a disk of each machine"):
        refuse_private(Plan(locate(f"local://{tmp_path}").store()), "auto", 2)
    refuse_private(Plan(LocalStore(tmp_path)), "auto", 2)


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ":6379", "http://host:80"])
def test_an_invalid_address_is_refused(address: str) -> None:
    with pytest.raises(PixlateError, match="expected --address as HOST:PORT"):
        refuse_unreachable(address)


def test_without_ray_the_extra_is_named(tmp_path: Path, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "import_module", lambda name: (_ for _ in ()).throw(ModuleNotFoundError(f"No module named {name!r}", name=name)))
    with pytest.raises(PixlateError, match=re.escape("--engine ray needs Ray, and ray is missing; run: pip install 'pixlate[cluster]'")):
        convert(save(tmp_path / "a.png"), tmp_path / "out", use(Nearest()), engine="ray")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [{"address": "auto"}, {"concurrency": 2}, {"engine": "ray"}])
def test_options_of_the_cluster_are_its_own(option: dict[str, Any]) -> None:
    with pytest.raises(PixlateError, match=r"in ConvertOptions, got .*; write pixlate.convert\(.*engine=pixlate_ray.RayOptions"):
        ConvertOptions(**option)
    with pytest.raises(PixlateError, match="expected --concurrency of at least 0, got -1"):
        RayOptions(concurrency=-1)


def test_tasks_are_larger_on_a_gpu() -> None:
    assert driver.AT_ONCE < driver.AT_ONCE_GPU
