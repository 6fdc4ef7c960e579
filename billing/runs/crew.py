"""Several hands: threads take ranges from one list; what they do is SQL, in which Python waits."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from core.db import Database

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

    with ThreadPoolExecutor(workers, thread_name_prefix="bill-run") as pool:
        taken: list[Future[None]] = [pool.submit(take) for _ in range(min(workers, len(work)))]
        wait(taken, return_when=FIRST_EXCEPTION)
    for one_hand in taken:
        one_hand.result()
