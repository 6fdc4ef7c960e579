"""Bringing a session to its wanted policy: the request for its NAS, and the record of what the NAS really said."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa import turns
from aaa.accounting.merge import Session
from aaa.coa.channel import SINGLE, WAITS, Ask
from aaa.coa.client import identity_of
from aaa.coa.decide import Action
from aaa.coa.engine import Engine
from aaa.coa.outcome import Outcome
from aaa.enforcement import UNKNOWN, Correction
from aaa.models import enforcement, is_open, session
from aaa.opened import follow
from aaa.radius import packet as wire
from aaa.radius.nases import NasEntry
from aaa.view.records import class_of
from core import clock
from core.db import Database, insert_many

EndSession = Callable[[Session], bool]
"""The driver's `end_session`: for a NAS that takes no Disconnect (pppd). True: the session is gone."""
Settled = Callable[[Correction, Outcome], None]
"""Called once, with what was really asked in the end (a CoA may have become a Disconnect) and its outcome."""

# The NAS cannot change what its vendor can (an old release), or not this: end the session instead.
_CANNOT = (401, 402, 404, 405, 407)


def start(
    engine: Engine, correction: Correction, nas: NasEntry | None, settled: Settled,
    rank: int = SINGLE, waits: tuple[float, ...] = WAITS,
) -> Ask | None:  # fmt: skip
    """Submit the correction by CoA or Disconnect; None when nothing had to be sent (it is settled already).

    `nas` None (it has left the network) is `unreachable`.
    """
    if correction.action.how == "none" or nas is None:
        settled(
            correction, Outcome("acked" if correction.action.how == "none" else "unreachable", attempts=0)
        )
        return None
    one, action = correction.session, correction.action
    identity = identity_of(nas, one.acct_session_id, one.login, one.framed_address)

    def ended(outcome: Outcome) -> None:
        settled(correction, outcome)

    def changed(outcome: Outcome) -> None:
        if outcome.result == "nak" and outcome.code in _CANNOT:
            why = f"the NAS refused a CoA: {outcome.meaning}"
            end = msgspec.structs.replace(correction, action=Action("disconnect", why=why))
            start(engine, end, nas, settled, rank, waits)
        else:
            settled(correction, outcome)

    if action.how == "coa":
        told = action.attributes + class_of(one.service, correction.wanted_hash)
        ask = Ask(nas, wire.COA_REQUEST, identity + told, changed, rank, waits)
    else:
        ask = Ask(nas, wire.DISCONNECT_REQUEST, identity, ended, rank, waits)
    engine.submit(ask)
    return ask


def end_by_driver(correction: Correction, end_session: EndSession | None) -> Outcome:
    """For a NAS that takes no Disconnect: its driver ends the session, in the caller's thread."""
    if end_session is None:
        return Outcome("unreachable", attempts=0)
    begun = clock.monotonic()
    ended = end_session(correction.session)
    spent = int((clock.monotonic() - begun) * 1000)
    return Outcome("acked" if ended else "timeout", milliseconds=spent)


def correct(
    db: Database, correction: Correction, nas: NasEntry | None, *,
    end_session: EndSession | None = None, waits: tuple[float, ...] = WAITS,
) -> Outcome:  # fmt: skip
    """Correct one session in this thread and record what the NAS answered. A NAK or a timeout leaves it stale."""
    return correct_all(db, [(correction, nas)], end_session=end_session, waits=waits)[0][1]


def correct_all(
    db: Database, wanted: Sequence[tuple[Correction, NasEntry | None]], *,
    end_session: EndSession | None = None, waits: tuple[float, ...] = WAITS,
) -> list[tuple[Correction, Outcome]]:  # fmt: skip
    """Correct sessions side by side with an engine of their own, record the outcomes, and return them."""
    engine, done = Engine(), list[tuple[Correction, Outcome]]()
    try:
        for correction, nas in wanted:
            if correction.action.how == "end-session":
                done.append((correction, end_by_driver(correction, end_session)))
            else:
                start(engine, correction, nas, lambda *one: done.append(one), waits=waits)
        while len(done) < len(wanted):
            engine.step()
    finally:
        engine.stop()
    with db.write() as conn:
        record(conn, done)
    return done


def record(conn: Connection, done: Sequence[tuple[Correction, Outcome]]) -> None:
    """Write outcomes into the log of enforcement, and what they prove into the sessions; a few statements for all.
    A session whose NAS did not acknowledge is marked: it stays visible until it is right.
    """
    # Who was disconnected sends a Stop at this very moment.
    turns.hold(conn, [one.session.session_ref for one, _outcome in done])
    moment = clock.now()
    rows = [
        {
            "at": moment, "session_ref": one.session.session_ref, "service": one.session.service,
            "wanted_hash": one.wanted_hash, "action": one.action.how, "outcome": outcome.result,
            "code": outcome.code, "milliseconds": outcome.milliseconds,
        }
        for one, outcome in done
        if outcome.result != "superseded"
    ]  # fmt: skip
    insert_many(conn, enforcement, rows)
    changed: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    open_: list[dict[str, Any]] = []
    for one, outcome in done:
        ref = one.session.session_ref
        if one.action.how in ("coa", "none") and outcome.result == "acked":
            changed.append({"ref": ref, "hash": one.wanted_hash, "mark": False})
        elif one.action.how == "coa" and outcome.result == "timeout" and outcome.attempts:
            # Applied or not, nobody knows: only a new session is sure to be right.
            changed.append({"ref": ref, "hash": UNKNOWN, "mark": True})
        elif outcome.done:
            ended.append({"ref": ref})
        elif outcome.result != "superseded":
            open_.append({"ref": ref})
    mine = sa.and_(session.c.session_ref == sa.bindparam("ref"), is_open)
    if changed:
        to = sa.update(session).values(policy_hash=sa.bindparam("hash"), stale=sa.bindparam("mark"))
        conn.execute(to.where(mine), changed)
    if ended:
        # The Stop brings the last counters; if the NAS lied, the next interim reopens it and it is stale again.
        gone = {
            "state": "closed",
            "inferred": True,
            "stale": False,
            "stopped_at": moment,
            "cause": "corrected",
        }
        conn.execute(sa.update(session).where(mine).values(gone), ended)
    if open_:
        conn.execute(sa.update(session).where(mine).values(stale=True), open_)
    follow(conn, [one["ref"] for one in (*changed, *ended, *open_)])
