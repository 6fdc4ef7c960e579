"""Telling a story in steps: a title before, what happened below it, and the measured time behind."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from core.errors import Retryable, Terminal

Step = Callable[[], None]


class StepFailed(Terminal):
    """A step of the story did not end as it should."""

    def __init__(self, number: int, title: str, why: str) -> None:
        super().__init__(f"step {number} ({title}) failed: {why}")


class Teller:
    """Prints numbered steps; `say` adds a line to the step that runs."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._total = 0
        self._number = 0
        self.times: list[tuple[str, float]] = []

    def counted(self, steps: list[tuple[str, Step]]) -> list[tuple[str, Step]]:
        """The same steps; from now on each is numbered out of them all."""
        self._total = len(steps)
        return steps

    def total(self) -> None:
        """How long all steps took together."""
        self._console.print(f"[bold green]All {self._number} steps went well[/] in {self._spent():.1f} s")

    def _spent(self) -> float:
        return sum(spent for _, spent in self.times)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run a step; raises StepFailed with the step's number for whatever goes wrong inside."""
        self._number += 1
        self._console.print(f"[bold cyan]{self._number:>2}/{self._total}[/] [bold]{title}[/]")
        begun = time.monotonic()
        try:
            yield
        except Exception as error:
            self._console.print(f"      [red]failed after {time.monotonic() - begun:.2f} s[/]")
            raise StepFailed(self._number, title, f"{type(error).__name__}: {error}") from error
        spent = time.monotonic() - begun
        self.times.append((title, spent))
        self._console.print(f"      [green]done in {spent:.2f} s[/]")

    def say(self, *lines: str) -> None:
        """Lines of what happened."""
        for line in lines:
            self._console.print(f"      {line}", markup=False)

    def show(self, title: str, lines: Sequence[str], most: int = 20) -> None:
        """A block such as reply attributes or a diff, indented; what is over `most` lines is counted."""
        self._console.print(f"      [dim]{title}[/]")
        for line in lines[:most]:
            self._console.print(f"        {line}", markup=False)
        if len(lines) > most:
            self._console.print(f"        [dim]… and {len(lines) - most} lines more[/]")

    def end(self, text: str) -> None:
        """A line outside of the steps."""
        self._console.print(text, markup=False)


def wait_until(
    what: str,
    predicate: Callable[[], object],
    cap: float = 30.0,
    every: float = 0.02,
    why: Callable[[], str] = str,
) -> float:
    """Wait until something is so; returns the seconds it took. Raises NotInTime, with what `why` says then."""
    begun = time.monotonic()
    while not predicate():
        if time.monotonic() - begun > cap:
            raise NotInTime(what, cap, why())
        time.sleep(every)
    return time.monotonic() - begun


class NotInTime(Retryable):
    """Something that should happen by itself did not happen in time."""

    def __init__(self, what: str, cap: float, why: str = "") -> None:
        super().__init__(f"{what} did not happen within {cap:g} s{why and ': '}{why}")
