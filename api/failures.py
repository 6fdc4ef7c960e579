"""Failed logins by caller: after ten within five minutes the next ones are not even looked at."""

import threading
from collections import deque

from api.errors import TooManyFailures
from core import clock

LIMIT = 10
WINDOW = 300.0
_MOST_CALLERS = 10_000


class Failures:
    """Kept in memory; bounded, the oldest caller is forgotten first."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def require_patience(self, caller: str) -> None:
        """Raises TooManyFailures while a caller has failed too often."""
        with self._lock:
            moments = self._recent(caller)
            if len(moments) >= LIMIT:
                raise TooManyFailures(int(moments[0] + WINDOW - clock.monotonic()) + 1)

    def note(self, caller: str) -> None:
        """Remember a failure."""
        with self._lock:
            moments = self._recent(caller)
            moments.append(clock.monotonic())
            self._seen.pop(caller, None)
            self._seen[caller] = moments
            while len(self._seen) > _MOST_CALLERS:
                del self._seen[next(iter(self._seen))]

    def _recent(self, caller: str) -> deque[float]:
        moments = self._seen.get(caller, deque(maxlen=LIMIT))
        while moments and moments[0] < clock.monotonic() - WINDOW:
            moments.popleft()
        return moments
