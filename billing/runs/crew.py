"""Several hands: threads take ranges from one list; what they do is SQL, in which Python waits."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from core.db import Database
from core.structs import make_ready

T = TypeVar("T")
_MOST = 8


def hands(database: Database, asked: int | None) -> int:
    """How many: one on SQLite, which has one writer; on PostgreSQL as many as there are cores, or as asked."""
    if database.is_sqlite:
        return 1
    return max(1, asked or min(_MOST, os.cpu_count() or 1))


def each(work: Sequence[T], workers: int, act: Callable[[T], None]) -> None:
    """Do all of it, in order of the list; the first error ends everything, and is raised."""
    if workers == 1 or len(work) < 2:
        for one in work:
            act(one)
        return
    waiting, lock, broken = iter(work), threading.Lock(), threading.Event()

    def take() -> None:
        while not broken.is_set():
            with lock:
                one = next(waiting, None)
            if one is None:
                return
            try:
                act(one)
            except BaseException:
                broken.set()
                raise

    make_ready()
    with ThreadPoolExecutor(workers, thread_name_prefix="bill-run") as pool:
        taken: list[Future[None]] = [pool.submit(take) for _ in range(min(workers, len(work)))]
        wait(taken)
    failed = [error for one_hand in taken if (error := one_hand.exception())]
    for error in sorted(failed, key=lambda error: isinstance(error, TurnLost)):
        raise error


class Turns:
    """Who may go on: the n-th after all before it are done. When one has failed, nobody may."""

    def __init__(self) -> None:
        self._next, self._failed = 0, False
        self._changed = threading.Condition()

    def wait(self, n: int, patience: float | None = None) -> None:
        """Wait for the turn of the n-th, at most so many seconds. Raises TurnLost, TurnLate."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._failed or self._next >= n, patience)
            if self._failed:
                raise TurnLost
            if not came:
                raise TurnLate

    def done(self, n: int) -> None:
        """The n-th is done."""
        with self._changed:
            self._next = n + 1
            self._changed.notify_all()

    def fail(self) -> None:
        """One has failed."""
        with self._changed:
            self._failed = True
            self._changed.notify_all()


class TurnLate(Exception):
    """It is not our turn yet: whoever holds locks lets go of them before it waits on."""


class TurnLost(Exception):
    """Another one failed before; its error is the one to tell."""
