"""What a worker does beside answering, about once a second: metrics, refusals, counts of logins, silent sessions; and
once, when it has begun: crowds whose marks died with its predecessor.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from aaa.accounting.journal import Journal
from aaa.accounting.store import sweep_silent
from aaa.health import count_logins, forget_logins
from aaa.limits import crowd
from aaa.limits.overrides import drain
from aaa.observe.worker import Watched
from aaa.radius.answers import Answers
from core import clock
from core.db import Database, Outage
from core.errors import first_line

_log = structlog.get_logger()
_TIDY = 60
_COUNT = 5
_PUBLISH = 3
"""Rounds between two files for Prometheus, which comes by every 15 seconds or so."""
_STEP = 10.0
Flush = Callable[[Database], object]
"""Writes what waits; raises what the database raises, and nothing is lost then."""


class Chores:
    """All of it may be late, and none of it keeps an answer waiting. Its keeper (one worker a node) also does what is
    the node's: overrides that were given here, and sessions that fell silent.
    """

    def __init__(
        self, home: Path, db: Database, journal: Journal, answers: Answers, watched: Watched, keeper: bool
    ) -> None:
        self._home, self._db, self._journal = home, db, journal
        self._answers, self._watched, self._keeper = answers, watched, keeper
        self._counted: Counter[tuple[str, str]] = Counter()
        self._began = clock.now()
        self._offset = _offset()
        self._recalled = False
        self._outages: defaultdict[str, Outage] = defaultdict(Outage)

    def run(self, stop: threading.Event, flushes: Sequence[Flush]) -> None:
        """Until stopped. A database that is away costs a line in the log, and everything waits for it."""
        rounds = 0
        while not stop.wait(1.0):
            rounds += 1
            self._one("metrics are not published", partial(self._tell, rounds))
            for flush in flushes:
                self._one("what waits is not written", partial(flush, self._db))
            self._one("counts are not written", partial(self._write, rounds))
            if not self._recalled:
                self._one("services with a session more are not looked for", self._recall)

    def _one(self, what: str, chore: Callable[[], object]) -> None:
        """A chore that cannot be done keeps none of the others from being done."""
        try:
            chore()
        except Exception as error:
            if self._outages[what].is_news(error):
                _log.warning(what, error=first_line(error))
        else:
            self._outages[what].end()

    def _tell(self, rounds: int) -> None:
        """For those who watch: it needs no database, and a full disk costs metrics only."""
        self._watched.look()
        if rounds % _PUBLISH == 1:
            with suppress(OSError):
                self._watched.publish()

    def _listened_since(self) -> datetime:
        """Since when silence is theirs: since we began, or since our clock was set, and all moments before are as far
        away as it was set.
        """
        before, self._offset = self._offset, _offset()
        if abs(self._offset - before) > _STEP:
            _log.warning("this machine's clock was set", seconds=round(self._offset - before))
            self._began = clock.now()
        return self._began

    def _write(self, rounds: int) -> None:
        since = self._listened_since()
        if rounds % _COUNT == 0:
            self._count_logins()
        if self._keeper:
            drain(self._home, self._db, int(time.time()))
        if self._keeper and rounds % _TIDY == 0 and not self._journal.waiting:
            tidy(self._db, since)

    def _recall(self) -> None:
        """Every worker for itself: only one of a node's may have been killed. Without a view there are no rules yet."""
        if self._answers.knows:
            crowd.recall(self._db, self._answers.rule)
            self._recalled = True

    def _count_logins(self) -> None:
        """Add the logins since last time to the database; while that is away they wait for the next time."""
        outcomes = Counter(self._answers.outcomes)
        fresh: Counter[tuple[str, bool]] = Counter()
        for (nas, outcome), count in (outcomes - self._counted).items():
            fresh[nas, outcome == "accepted"] += count
        if fresh:
            with self._db.write() as conn:
                count_logins(conn, fresh, clock.now())
        self._counted = outcomes


def _offset() -> float:
    """What stays the same while nobody sets the clock."""
    return clock.now().timestamp() - clock.monotonic()


def tidy(db: Database, up_since: datetime) -> None:
    """Close sessions that fell silent while we listened, and forget old counts of logins."""
    now = clock.now()
    sweep_silent(db, now, up_since)
    with db.write() as conn:
        forget_logins(conn, now)
