"""The subscriber's half of `make lab` as one story: login, hold, page, release, each step checked and timed."""

import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from cli.lab.bng import INTERNET_SAYS, BngLab
from core.errors import Terminal

_T = TypeVar("_T")
_CAP = 30.0


class StepFailed(Terminal):
    """A step of the story did not give what it must."""

    def __init__(self, step: str, seen: object) -> None:
        super().__init__(f"lab step '{step}' failed: {seen}")
        self.step = step


class Story(msgspec.Struct, frozen=True):
    """What was seen: addresses free and held, the page, and the seconds of every step."""

    free: str
    held: str
    page: str
    seconds: dict[str, float]


def run_story(
    lab: BngLab,
    config: str,
    login: tuple[str, str],
    hold: Callable[[], object],
    release: Callable[[], object],
) -> Story:
    """Configure the BNG, dial, hold, see the page and nothing else, release, be free.

    `hold` and `release` change the intents and let enforcement end the session (commit, index, view, lane 1);
    they return when that is under way, the story waits. Raises StepFailed, LoginRejected, DialFailed.
    """
    seconds: dict[str, float] = {}
    _timed(seconds, "configure", lambda: lab.configure(config))
    free = _timed(seconds, "login", lambda: lab.dial(*login)).address
    _must("internet", lambda: INTERNET_SAYS in lab.fetch().body)
    _timed(seconds, "held", lambda: _ended(lab, hold))
    held = _timed(seconds, "login while held", lambda: lab.dial(*login)).address
    page = _timed(seconds, "page", lab.first_answer)
    if page.status != 511 or "Why" not in page.body or "How to pay" not in page.body:
        raise StepFailed("page", page)
    _must("nothing else", lambda: lab.fetch("http://198.51.100.80:8080/", cap=2).status == 0)
    _timed(seconds, "released", lambda: _ended(lab, release))
    _timed(seconds, "login when free", lambda: lab.dial(*login))
    _must("internet again", lambda: INTERNET_SAYS in lab.fetch().body)
    return Story(free, held, page.body, seconds)


def _ended(lab: BngLab, change: Callable[[], object]) -> None:
    """The change ends the live session: on the BNG, and the subscriber's router notices."""
    change()
    _must("the session ends", lambda: not lab.connected() and lab.sessions() == (), _CAP)


def _timed(seconds: dict[str, float], step: str, act: Callable[[], _T]) -> _T:
    started = time.monotonic()
    done = act()
    seconds[step] = time.monotonic() - started
    return done


def _must(step: str, holds: Callable[[], bool], cap: float = 10.0) -> None:
    deadline = time.monotonic() + cap
    while not holds():
        if time.monotonic() > deadline:
            raise StepFailed(step, f"not within {cap:g} s")
        time.sleep(0.2)
