"""A line in the log for who gets no answer, however much comes of it."""

from core import clock

_AGAIN = 600.0
_MOST = 200
"""Lines in that time: a stranger may invent addresses."""


class Seldom:
    """`is_news` says yes once in ten minutes for the same thing, and at most 200 times in all."""

    def __init__(self) -> None:
        self._began = clock.monotonic()
        self._told: set[tuple[str, ...]] = set()

    def is_news(self, *what: str) -> bool:
        """Whether to tell it."""
        now = clock.monotonic()
        if now - self._began >= _AGAIN:
            self._began = now
            self._told.clear()
        if what in self._told or len(self._told) >= _MOST:
            return False
        self._told.add(what)
        return True
