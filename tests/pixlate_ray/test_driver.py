"""Driver and worker of a cluster by themselves: what they make of orders, answers and accidents. No cluster runs here."""

import errno
import pickle
import re
import signal
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pytest
from tests.pixlate.conftest import Nearest, folder, outputs, save, tree

import pixlate
from pixlate.convert import ConvertOptions, convert
from pixlate.convert.conversion import Task, Work, settings_digest
from pixlate.convert.plan import Plan, make_plan
from pixlate.convert.report import Report, Summary
from pixlate.errors import PixlateError
from pixlate.images import BUILT_IN
from pixlate.places.job import Job
from pixlate.places.journal import Journal
from pixlate.places.local import LocalStore
from pixlate.places.locating import locate
from pixlate.plugin.place import Store, Version
from pixlate.plugin.translator import Translator
from pixlate_ray import RayOptions, cluster, driver, worker
from pixlate_ray.cluster import divide, refuse_private
from pixlate_ray.driver import ClusterRun, Share
from pixlate_ray.worker import Answer, Order, Setup, Worker


class Ray:
    """As much of Ray as a worker sees."""

    node = "here"
    stopping = False

    def get_runtime_context(self) -> "Ray":
        return self

    def get_node_id(self) -> str:
        return self.node

    def get_actor_id(self) -> str:
        return "actor"

    def get_actor(self, name: str) -> object:
        if not self.stopping:
            raise ValueError(name)
        return self

    def get(self, reference: bytes) -> bytes:
        return reference


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    fake = Ray()
    monkeypatch.setattr(worker, "import_module", lambda name: fake if name == "ray" else import_module(name))
    monkeypatch.delenv("PIXLATE_CORES", raising=False)
    return fake


class Workers:
    """Workers in this process; ``change`` sees each row on its way."""

    share = Share(2, 1, 0)

    def __init__(self, ray: Ray, setup: Setup, change: Callable[[int, bool, bytes], list[tuple[int, bool, bytes]]]) -> None:
        self.ray = ray
        self.worker, self.change = Worker(setup, [b"a model"]), change
        self.tasks: list[int] = []

    def stop(self) -> None:
        self.ray.stopping = True

    def answers(self, orders: Sequence[bytes], at_once: int) -> Generator[Any, None, None]:
        for first in range(0, len(orders), at_once):
            batch = pyarrow.table({"order": orders[first : first + at_once]})
            self.tasks.append(batch.num_rows)
            for table in self.worker(batch):
                for row in self.change(*(table[name][0].as_py() for name in ("index", "last", "data"))):
                    yield pyarrow.table({"index": [row[0]], "last": [row[1]], "data": pyarrow.array([row[2]], pyarrow.large_binary())})


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / "scratch").mkdir()
    return Setup("stand-in.model", ConvertOptions(threads=2), "", None, 2, str(tmp_path / "scratch"), "here", "flag")


Start = Callable[..., tuple[Summary, Workers]]


@pytest.fixture
def start(ray: Ray, setup: Setup, use: Callable[[Translator], Path], tmp_path: Path) -> Start:
    """Convert through workers in this process."""
    model = use(Nearest())

    def run(
        source: Path,
        out: Path,
        change: Callable[[int, bool, bytes], list[tuple[int, bool, bytes]]] = lambda *row: [row],
        watch: Callable[[Report], None] = lambda report: None,
        **options: Any,
    ) -> tuple[Summary, Workers]:
        chosen = ConvertOptions(threads=2, **options)
        plan, settings = make_plan([locate(source)], locate(out), chosen, BUILT_IN), settings_digest(model, chosen)
        workers = Workers(ray, replace(setup, settings=settings, options=chosen), change)
        report = Report(None, len(plan.jobs) + len(plan.failures), plan.ignored)
        with Journal(plan.store, settings) as journal:
            ClusterRun(Task(plan, model, model, chosen, settings, BUILT_IN, watch), workers, Work(journal, report, None)).run()
        assert list((tmp_path / "scratch").iterdir()) == []
        return report.summary, workers

    return run


def test_the_tree_is_that_of_the_threads(tmp_path: Path, start: Start, use: Callable[[Translator], Path]) -> None:
    source = folder(tmp_path / "in", 40)
    (source / "empty.png").touch()
    summary, workers = start(source, tmp_path / "out")
    assert (summary.converted, summary.failed) == (40, 1)
    assert max(workers.tasks) == 5
    convert(source, tmp_path / "threads", use(Nearest()))
    assert tree(tmp_path / "out") == tree(tmp_path / "threads")
    assert start(source, tmp_path / "out")[0].finished_before == 40


def test_outputs_arrive_in_pieces_of_any_size(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PIECE", 100)
    source = folder(tmp_path / "in", 3)
    assert start(source, tmp_path / "out")[0].converted == 3
    monkeypatch.undo()


def test_rows_that_come_twice_count_once(tmp_path: Path, start: Start) -> None:
    """As where a task is done again after its first answers were taken."""
    source = folder(tmp_path / "in", 5)
    summary, _ = start(source, tmp_path / "out", lambda index, last, data: [(index, last, data)] * 2 if last else [(index, last, data)])
    assert summary.converted == 5


@pytest.mark.parametrize("fault", ["lost", "doubled", "garbled"])
def test_an_output_that_did_not_arrive_whole_is_made_again(fault: str, tmp_path: Path, start: Start) -> None:
    seen: set[int] = set()

    def change(index: int, last: bool, data: bytes) -> list[tuple[int, bool, bytes]]:
        if last or index in seen:
            return [(index, last, data)]
        seen.add(index)
        copies = {"lost": 0, "doubled": 2, "garbled": 1}[fault]
        return [(index, last, data[:-1] + b"x" if fault == "garbled" else data)] * copies

    source = folder(tmp_path / "in", 20)
    summary, workers = start(source, tmp_path / "out", change)
    assert (summary.converted, summary.failed) == (20, 0)
    assert workers.tasks[-20:] == [1] * 20
    assert len((tmp_path / "out" / ".pixlate" / "journal.jsonl").read_text().splitlines()) == 20


def test_without_any_answer_each_picture_fails_with_a_reason(tmp_path: Path, start: Start) -> None:
    summary, _ = start(folder(tmp_path / "in", 3), tmp_path / "out", lambda *row: [])
    assert summary.failed == 3
    assert "no worker answered for it" in summary.failures[0][1]


def test_fail_fast_stops(tmp_path: Path, start: Start) -> None:
    source = folder(tmp_path / "in", 40)
    (source / "0" / "000.png").write_bytes(b"")
    summary, _ = start(source, tmp_path / "out", fail_fast=True)
    assert (summary.failed, summary.stopped) == (1, "stopped at the first failure, as --fail-fast asks")
    assert summary.not_reached > 0


def test_a_full_disk_stops(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(journal: Journal, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "finish", full)
    summary, _ = start(folder(tmp_path / "in", 40), tmp_path / "out")
    assert "takes no more (No space left on device)" in summary.stopped
    assert (summary.failed, summary.exit_code) == (1, 1)


def test_a_cluster_that_is_lost_stops_and_keeps_what_is_done(tmp_path: Path, start: Start) -> None:
    count = iter(range(10))

    def lose(*row: Any) -> list[tuple[int, bool, bytes]]:
        if next(count, None) is None:
            raise RuntimeError("the head\nis gone")
        return [row]

    source = folder(tmp_path / "in", 40)
    summary, _ = start(source, tmp_path / "out", lose)
    assert summary.stopped == "the cluster was lost (the head is gone); the same command continues"
    assert summary.converted == len(outputs(tmp_path / "out")) == 5
    assert start(source, tmp_path / "out")[0].finished_before == 5


def test_interrupted_it_takes_what_is_finished_and_gives_out_no_more(tmp_path: Path, start: Start, ray: Ray) -> None:
    def interrupt(report: Report) -> None:
        if report.summary.converted == 7:
            signal.raise_signal(signal.SIGINT)

    source = folder(tmp_path / "in", 80)
    summary, _ = start(source, tmp_path / "out", watch=interrupt)
    assert (summary.interrupted, summary.exit_code) == (True, 130)
    assert summary.converted == len(outputs(tmp_path / "out")) >= 7
    assert summary.not_reached == 80 - summary.converted > 30
    ray.stopping = False
    assert start(source, tmp_path / "out")[0].converted == 80 - summary.converted


def test_who_was_taken_over_stops(tmp_path: Path, ray: Ray, setup: Setup, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = use(Nearest())
    source, options = folder(tmp_path / "in", 40), ConvertOptions(threads=2)
    plan = make_plan([locate(source)], locate(f"local://{tmp_path}/out"), options, BUILT_IN)
    report = Report(None, len(plan.jobs), {})
    lost = False

    def check(store: Store) -> None:
        if lost:
            raise PixlateError("another conversion has taken over")

    with Journal(plan.store, "") as journal:
        monkeypatch.setattr(type(plan.store), "check", check)

        def change(index: int, last: bool, data: bytes) -> list[tuple[int, bool, bytes]]:
            nonlocal lost
            lost = index >= 7
            return [(index, last, data)]

        workers = Workers(ray, replace(setup, store=plan.store, options=options), change)
        ClusterRun(Task(plan, model, model, options, "", BUILT_IN, lambda report: None), workers, Work(journal, report, None)).run()
    assert "another conversion has taken over" in report.summary.stopped
    assert 1 <= report.summary.converted <= 7
    assert report.summary.not_reached >= 33


def test_what_stands_already_is_not_given_out(tmp_path: Path, start: Start) -> None:
    source = folder(tmp_path / "in", 4)
    save(tmp_path / "out" / "0" / "000.png", seed=50)
    summary, workers = start(source, tmp_path / "out")
    assert (summary.converted, summary.failed, sum(workers.tasks)) == (3, 1, 3)
    assert start(source, tmp_path / "out", on_exists="skip")[0].skipped == 4
    assert start(source, tmp_path / "out", on_exists="overwrite")[0].converted == 4


def answers(worker: Worker, *orders: Order) -> list[Answer]:
    batch = pyarrow.table({"order": [pickle.dumps(order) for order in orders]})
    return [pickle.loads(table["data"][0].as_py()) for table in worker(batch) if table["last"][0].as_py()]


def order(path: Path, index: int = 0) -> Order:
    status = path.stat()
    return Order(index, Job(str(path), f"{path.stem}{index}.png", "png"), Version(status.st_size, status.st_mtime_ns), True)


def test_a_task_over_which_a_worker_was_killed_is_given_back_and_a_picture_is_not_tried_for_ever(
    tmp_path: Path, setup: Setup, use: Callable[[Translator], Path]
) -> None:
    use(Nearest())
    first, second = (order(save(tmp_path / "a.png"), index) for index in (0, 1))
    folder_of_worker = Path(setup.scratch) / "pixlate-actor"
    (folder_of_worker / "parts").mkdir(parents=True)
    (folder_of_worker / "parts" / "left over").touch()
    (folder_of_worker / "0 2").write_bytes(b".")
    assert answers(Worker(setup, [b""]), first, second) == []
    for kills in range(4):
        folder_of_worker.mkdir(exist_ok=True)
        (folder_of_worker / "0 1").write_bytes(b"." * kills)
        [answer] = answers(Worker(setup, [b""]), first)
        assert answer.result.status == ("converted" if kills < 3 else "failed")
    assert "a worker was killed 3 times while it had this picture" in answer.result.reason
    assert list(Path(setup.scratch).iterdir()) == []


def test_a_worker_that_is_killed_by_the_model_says_so(tmp_path: Path, setup: Setup, use: Callable[[Translator], Path]) -> None:
    use(Nearest())
    (Path(setup.scratch) / "pixlate-actor").mkdir()
    (Path(setup.scratch) / "pixlate-actor" / "model").write_bytes(b"...")
    [answer] = answers(Worker(setup, [b""]), order(save(tmp_path / "a.png")))
    assert "it was killed 3 times while it loaded the model" in answer.result.reason


def test_a_source_that_a_far_worker_lacks_or_has_otherwise_fails_alone(tmp_path: Path, setup: Setup, ray: Ray, use: Callable[[Translator], Path]) -> None:
    use(Nearest())
    gone, other, good = (order(save(tmp_path / f"{name}.png"), index) for index, name in enumerate(("gone", "other", "good")))
    (tmp_path / "gone.png").unlink()
    save(tmp_path / "other.png", 30, 30)
    ray.node = "far"
    results = [answer.result for answer in answers(Worker(setup, [b""]), gone, other, good)]
    assert [result.status for result in results] == ["failed", "failed", "converted"]
    assert re.search(r"the worker on \S+ cannot read it \(there is no such file", results[0].reason)
    assert "has another file under this path" in results[1].reason


def test_another_version_of_pixlate_or_a_missing_device_is_refused(setup: Setup, use: Callable[[Translator], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    use(Nearest())
    told = worker.examine(replace(setup, version="0.0.1"), b"")
    assert told["refused"].startswith(f"the workers cannot convert: it has Pixlate {pixlate.__version__}, and the command has 0.0.1")
    assert worker.examine(setup, b"") == {"device": "cpu"}

    def no_gpu(*arguments: object) -> None:
        raise PixlateError("no CUDA here")

    monkeypatch.setattr(worker, "load_executors", no_gpu)
    assert worker.examine(setup, b"") == {"refused": "the workers cannot convert: no CUDA here"}


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
def test_a_cluster_is_divided_so_that_no_core_is_given_twice(cores: list[int], gpus: int, options: dict[str, Any], share: Share) -> None:
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
def test_more_than_a_cluster_has_is_refused(cores: list[int], gpus: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PixlateError, match=message):
        divide(cores, gpus, **{"device": "auto"} | options)


def test_what_workers_can_never_have_is_refused(tmp_path: Path) -> None:
    url, out = locate("memory://bucket/out"), LocalStore(tmp_path)
    for plan in (Plan(url.store()), Plan(out, [Job("", "a.png", "png", (), url)])):
        with pytest.raises(PixlateError, match="lies in the memory of this process"):
            refuse_private(plan, "auto")
    with pytest.raises(PixlateError, match="expected --device auto, cpu, cuda or tensorrt with --engine ray, got cuda:1"):
        refuse_private(Plan(out), "cuda:1")


def test_a_disk_of_each_machine_is_no_output_of_several(tmp_path: Path) -> None:
    with pytest.raises(PixlateError, match="names a disk of each machine"):
        cluster._refuse_disks(Plan(locate(f"local://{tmp_path}").store()))
    cluster._refuse_disks(Plan(LocalStore(tmp_path)))


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ":6379", "http://host:80"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(PixlateError, match="expected --address as HOST:PORT"):
        cluster._refuse_unreachable(address)


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
