"""The fair lock: first come, first served."""

import threading

from core.queueing import FairLock
from tests.support import eventually


def test_who_asks_first_gets_the_lock_first() -> None:
    """Ten waiters get their turns in the order in which they came."""
    lock, order = FairLock(), []
    assert lock.acquire(1)

    def wait(number: int) -> None:
        assert lock.acquire(10)
        order.append(number)
        lock.release()

    threads = []
    for number in range(10):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        eventually(lambda: len(lock._waiting) == len(threads), cap=5)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_who_waits_too_long_is_told_and_leaves_the_queue() -> None:
    """A timeout neither takes the lock nor loses it for the others."""
    lock = FairLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.01)
    lock.release()
    assert lock.acquire(0.01)
