"""The bar on a terminal while a folder is converted; elsewhere nobody waits for rich to be imported."""

from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pixlate.cli.progress import status
from pixlate.convert.report import Report


class Bar(Progress):
    """A bar of the pixels that are done, drawn several times a second."""

    def __init__(self, model: str, report: Callable[[], Report | None]) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),  # a path may hold brackets
            BarColumn(24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}", markup=False),  # after the time elapsed, which would read as the time left
        )
        super().__init__(*columns, console=Console(stderr=True))
        self._model, self._of = model, report
        self._task = self.add_task(f"loading {model} ...", total=None, status="")

    def get_renderable(self) -> RenderableType:
        """Return what is drawn, as things are now."""
        report = self._of() if hasattr(self, "_of") else None
        if report is not None:
            self.update(self._task, description=self._model, total=1.0, completed=report.progress.fraction, status=status(report))
        return super().get_renderable()
