"""A lock that is given in the order of asking: SQLite's own waiting is a lottery that starves whoever came first."""

import threading
from collections import deque


class FairLock:
    """Mutual exclusion, first come first served; not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._held = False

    def acquire(self, timeout: float) -> bool:
        """Take the lock; False when `timeout` seconds passed first."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(timeout):
            return True
        with self._guard:
            if turn.is_set():  # it was handed to us in this very moment
                return True
            self._waiting.remove(turn)
        return False

    def release(self) -> None:
        """Hand the lock to whoever waits longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._held = False
