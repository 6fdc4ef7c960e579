"""Shadow: our own decision beside the old server's answer, compared by meaning, counted and kept for `compare`."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime

import msgspec

from aaa.proxy.meaning import meaning
from aaa.proxy.moving import OTHERS, Found, Tally, forget, known_different, write
from aaa.radius import packet as wire
from aaa.radius.authenticate import Verdict
from aaa.radius.deferred import Ask
from aaa.radius.packet import Packet
from core import clock
from core.db import Database

_KEPT = 5000
_TIDY = 60.0


class Difference(msgspec.Struct, frozen=True):
    """One kind of difference, each side in words."""

    kind: str
    ours: str
    theirs: str


class Shadow:
    """`compare` is cheap and keeps in memory; `flush` writes from another thread."""

    def __init__(self, decide: Callable[[Ask, Packet], Verdict]) -> None:
        self._decide = decide
        self._lock = threading.Lock()
        self._tally: Counter[Tally] = Counter()
        self._found: dict[tuple[str, str], tuple[str, datetime, int, Sequence[Difference]]] = {}
        self._agreed: set[tuple[str, str]] = set()
        self._open: set[tuple[str, str]] = set()
        self._tidied = -_TIDY

    def compare(self, ask: Ask, reply: Packet | None) -> None:
        """Decide as if it were ours, and note what differs. `reply` None: the old server was silent."""
        assert ask.asked is not None
        asked, nas, now = ask.asked, ask.nas.device, clock.now()
        login = asked.login or asked.calling or "?"
        realm = login.rpartition("@")[2].lower() if "@" in login else ""
        if reply is None or (asked.unusual and reply.code == wire.ACCESS_REJECT):
            # With EAP and MS-CHAP we cannot tell a wrong password from here: nothing to compare.
            with self._lock:
                self._count(now.date(), realm, nas, "silent" if reply is None else "skipped")
            return
        found = differences(self._decide(ask, reply), reply)
        with self._lock:
            self._count(now.date(), realm, nas, "differed" if found else "agreed")
            for one in found:
                self._count(now.date(), realm, nas, one.kind)
            self._keep((nas, login), realm, now, found)

    def _count(self, day: date, realm: str, nas: str, what: str) -> None:
        tally = Tally(day, realm[:128], nas, what)
        if tally not in self._tally and len(self._tally) >= _KEPT:
            tally = Tally(day, OTHERS, nas, what)  # strangers write realms as they like
        self._tally[tally] += 1

    def _keep(self, who: tuple[str, str], realm: str, now: datetime, found: Sequence[Difference]) -> None:
        if not found:
            self._found.pop(who, None)
            if who in self._open:
                self._agreed.add(who)
            return
        self._agreed.discard(who)
        if len(self._found) < _KEPT or who in self._found:
            before = self._found[who][2] if who in self._found else 0
            self._found[who] = (realm, now, before + 1, found)

    def flush(self, db: Database) -> None:
        """Write what was compared; what cannot be written is kept."""
        with self._lock:
            tally, self._tally = self._tally, Counter()
            found, self._found = self._found, {}
            agreed, self._agreed = self._agreed, set()
        if not (tally or found or agreed):
            return
        rows = [
            Found(nas, login, realm, one.kind, one.ours, one.theirs, seen, at)
            for (nas, login), (realm, at, seen, differing) in found.items()
            for one in differing
        ]
        try:
            with db.write() as conn:
                write(conn, tally, rows, agreed)
                if clock.monotonic() - self._tidied > _TIDY:
                    forget(conn, clock.now())
                    self._tidied = clock.monotonic()
                self._open = known_different(conn)
        except Exception:
            with self._lock:
                self._tally.update(tally)
                self._found = found | self._found
                self._agreed |= agreed
            raise


def differences(ours: Verdict, theirs: Packet) -> list[Difference]:
    """What our decision and their reply do not agree in; two refusals agree, whatever the reasons. Pure."""
    accepted = theirs.code == wire.ACCESS_ACCEPT
    if ours.accepted != accepted:
        mine = (
            "accept" if ours.accepted else f"reject ({ours.reason}{': ' if ours.detail else ''}{ours.detail})"
        )
        return [Difference("decision", mine, "accept" if accepted else "reject")]
    if not accepted:
        return []
    mean, meant = meaning(_pairs(ours.block)), meaning(theirs.pairs)
    return [
        Difference(aspect, _told(mean.get(aspect)), _told(meant.get(aspect)))
        for aspect in sorted(mean.keys() | meant.keys())
        if mean.get(aspect) != meant.get(aspect)
    ]


def _told(texts: frozenset[str] | None) -> str:
    return ", ".join(sorted(texts)).replace("\0", "")[:200] if texts else "-"


def _pairs(block: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 2 <= len(block):
        found.append((block[at], block[at + 2 : at + block[at + 1]]))
        at += block[at + 1]
    return found
