"""A progress bar on a terminal's stderr for whatever takes over two seconds; nothing anywhere else."""

import sys
import time
from types import TracebackType
from typing import Any

PATIENCE = 2.0


class Bar:
    """`with Bar("validating") as bar: bar(done, total)`; the bar shows itself after two seconds."""

    def __init__(self, label: str, patience: float = PATIENCE) -> None:
        self._label = label
        self._from = time.monotonic() + patience
        self._shown: Any = None
        self._task: Any = None

    def __enter__(self) -> "Bar":
        return self

    def __call__(self, done: int, total: int, told: str = "") -> None:
        """So many are done, of so many; `told` stands beside the label."""
        if self._shown is None and (not sys.stderr.isatty() or time.monotonic() < self._from):
            return
        if self._shown is None:
            self._show(total)
        label = f"{self._label}: {told}" if told else self._label
        self._shown.update(self._task, completed=done, total=total, description=label)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()

    def _show(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._shown = Progress(console=Console(stderr=True), transient=True)
        self._shown.start()
        self._task = self._shown.add_task(self._label, total=total)
