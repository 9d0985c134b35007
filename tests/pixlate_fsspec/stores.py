"""A store with faults on order, kept in memory; tests of URLs and of the cluster reach it through fsspec."""

from collections.abc import Callable
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]


class Faulty(MemoryFileSystem):  # type: ignore[misc]
    """Calls ``fault(operation, path)`` before each operation; what it raises is what the network did."""

    protocol = "faulty"
    store: dict[str, Any] = {}  # noqa: RUF012 - of fsspec's making
    pseudo_dirs = [""]  # noqa: RUF012
    fault: Callable[[str, str], None] = staticmethod(lambda operation, path: None)
    calls: list[tuple[str, str]] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        path = str(path).removeprefix("faulty://").removeprefix("gs://").strip("/")
        return f"/{path}" if path else ""

    def _before(self, operation: str, path: str) -> None:
        type(self).calls.append((operation, path))
        type(self).fault(operation, path)

    def info(self, path: str, **options: Any) -> Any:
        self._before("info", path)
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._before("ls", path)
        return super().ls(path, detail=detail, **options)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        self._before("read", path)
        return super().cat_file(path, start, end, **options)

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        self._before("get", rpath)
        super().get_file(rpath, lpath, **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        self._before("write", path)
        super().pipe_file(path, value, mode=mode, **options)

    def put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **options: Any) -> None:
        self._before("put", rpath)
        super().put_file(lpath, rpath, mode=mode, **options)

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        self._before("mv", path2)
        self.store[self._strip_protocol(path2)] = self.store.pop(self._strip_protocol(path1))

    def rm_file(self, path: str) -> None:
        self._before("rm", path)
        super().rm_file(path)


class Bucket(Faulty):
    """The same as an object store, where a put appears whole."""

    protocol = "gs"
    store: dict[str, Any] = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    fault: Callable[[str, str], None] = staticmethod(lambda operation, path: None)
    calls: list[tuple[str, str]] = []  # noqa: RUF012
