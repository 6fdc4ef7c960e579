"""What the session lane has to look at: services whose wanted policy changed, with the commit that changed them.

Rows of `session_work` are orders to look, never to do: looking twice is harmless, and a newer change takes over.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa import enforcement
from aaa.view.models import newest, state, view_change
from core import clock, faults
from core.db import upsert
from intents.index.models import index_change
from intents.index.position import last_seq
from intents.index.position import position as index_position
from reconciler import following, receipts
from reconciler.context import Context
from reconciler.models import session_work
from reconciler.receipts import Step

LANE = "sessions"
CAUSES = "sessions.causes"
P_QUEUED = faults.declare("sessions.after_queued")
_CHUNK = 500
_MOST = 20_000
_ALONE = 50


class Work(msgspec.Struct, frozen=True):
    """A service whose sessions must be looked at, and the commit that changed it. `seq`: what workers must know."""

    service: str
    commit_id: str
    seq: int
    queued_at: datetime
    attempts: int


class Cause(NamedTuple):
    """The commit behind a change of policy, and when it was indexed."""

    commit: str
    at: datetime


Kept = dict[tuple[str, int, int], tuple[dict[str, Cause], Cause | None]]
"""What was indexed lately, read once while the view takes over a large commit piece by piece."""


def queue(context: Context, kept: Kept) -> set[str]:
    """Queue the services whose wanted policy the view changed since our position; returns them."""
    at = following.place(context.db, LANE)
    with context.index_db.read() as conn:
        upto = following.Place(newest(conn), index_position(conn).generation)
        if at == upto:
            return set()
        again = at is None or at.generation != upto.generation or upto.seq < at.seq
        services = _sweep(context) if again or at is None else _changed(conn, at.seq, upto.seq)
        causes = _causes(conn, services, _known(context, upto.generation), kept)
        # The builder moves its position after its records: what it is in the middle of stays in reach.
        built = following.Place(int(state(conn, "index_seq") or 0), upto.generation)
    work = [_row(service, upto.seq, causes[service]) for service in sorted(services)]
    with context.db.write() as conn:
        for start in range(0, len(work), _CHUNK):
            _supersede(conn, work[start : start + _CHUNK])
            upsert(conn, session_work, work[start : start + _CHUNK], key=["service"])
        following.moved(conn, LANE, upto)
        following.moved(conn, CAUSES, built)
    faults.point(P_QUEUED)
    return services


def due(context: Context) -> list[Work]:
    """Everything that is to be looked at now, the oldest first."""
    chosen = sa.select(session_work).where(session_work.c.not_before <= clock.now())
    with context.db.read() as conn:
        rows = conn.execute(chosen.order_by(session_work.c.seq).limit(_MOST)).all()
    return [Work(r.service, r.commit_id, r.seq, r.queued_at, r.attempts) for r in rows]


def unsettled(conn: Connection) -> int:
    """How many services still wait for proof."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(session_work)).scalar() or 0)


def cause(context: Context, service: str) -> str:
    """The newest commit that touched the service or one of its holds; else whatever was indexed last."""
    with context.index_db.read() as conn:
        return _own_cause(conn, service).commit


def _changed(conn: Connection, after: int, upto: int) -> set[str]:
    keys = conn.scalars(
        sa.select(view_change.c.key).where(view_change.c.seq > after, view_change.c.seq <= upto).distinct()
    )
    return {bytes(key)[2:].decode() for key in keys if bytes(key)[:2] == b"s:"}


def _sweep(context: Context) -> set[str]:
    """At the start, or after the view was rebuilt: whoever has a session that is not what it should be."""
    found = enforcement.stale_sessions(context.db, context.index_db)
    return {correction.session.service for correction in found}


def _known(context: Context, generation: str) -> int | None:
    """Up to where commits are known to be in the view already; None at the start."""
    at = following.place(context.db, CAUSES)
    return at.seq if at is not None and at.generation == generation else None


def _causes(conn: Connection, services: set[str], after: int | None, kept: Kept) -> dict[str, Cause]:
    """Of what was indexed since: the service's or its hold's own commit, else the newest (a plan, a pool); where
    nothing was (a counter, the clock), the service's last.
    """
    recent, newest_cause = _recent(conn, last_seq(conn) if after is None else after, kept)
    own = {service: recent[service] for service in services & recent.keys()}
    missing = services - own.keys()
    if newest_cause is None and missing:
        if len(missing) <= _ALONE:
            own |= {service: _own_cause(conn, service) for service in missing}
        newest_cause = _last(conn)
    return {service: own.get(service) or newest_cause or Cause("", clock.now()) for service in services}


def _recent(conn: Connection, after: int, kept: Kept) -> tuple[dict[str, Cause], Cause | None]:
    key = (index_position(conn).generation, after, last_seq(conn))
    if key not in kept:
        found = _read_recent(conn, after)
        kept.clear()
        kept[key] = found
    return kept[key]


def _read_recent(conn: Connection, after: int) -> tuple[dict[str, Cause], Cause | None]:
    own: dict[str, Cause] = {}
    last: Cause | None = None
    columns = (index_change.c.kind, index_change.c.id, index_change.c.commit_id, index_change.c.changed_at)
    rows = conn.execute(sa.select(*columns).where(index_change.c.seq > after).order_by(index_change.c.seq))
    for kind, identifier, commit, at in rows:
        last = Cause(commit, at)
        if kind == "service":
            own[identifier] = last
        elif kind == "hold":
            own[identifier.rpartition(".")[0]] = last
    return own, last


def _own_cause(conn: Connection, service: str) -> Cause:
    own = sa.and_(index_change.c.kind == "service", index_change.c.id == service)
    # '/' follows '.' in ASCII: the range holds exactly the ids `<service>.<reason>`.
    holds = sa.and_(
        index_change.c.kind == "hold", index_change.c.id > f"{service}.", index_change.c.id < f"{service}/"
    )
    newest_of = sa.select(index_change).order_by(index_change.c.seq.desc()).limit(1)
    found = [conn.execute(newest_of.where(which)).first() for which in (own, holds)]
    last = max((row for row in found if row is not None), key=lambda row: row.seq, default=None)
    return _last(conn) if last is None else Cause(last.commit_id, last.changed_at)


def _last(conn: Connection) -> Cause:
    row = conn.execute(sa.select(index_change).order_by(index_change.c.seq.desc()).limit(1)).first()
    return Cause("", clock.now()) if row is None else Cause(row.commit_id, row.changed_at)


def _row(service: str, seq: int, why: Cause) -> dict[str, Any]:
    return {
        "service": service, "commit_id": why.commit, "seq": seq, "queued_at": why.at,
        "not_before": clock.now(), "attempts": 0,
    }  # fmt: skip


def _supersede(conn: Connection, work: Sequence[dict[str, Any]]) -> None:
    """An older commit that waits for the same service never gets its proof: its receipt says why."""
    named = {row["service"]: row["commit_id"] for row in work}
    waiting = conn.execute(sa.select(session_work).where(session_work.c.service.in_(named))).all()
    receipts.record_many(
        conn,
        1,
        [
            Step(
                commit=row.commit_id, target=row.service, step="policy", outcome="superseded",
                asked="every worker and every live session on the new policy",
                answer=f"{named[row.service][:12]} took its place", started_at=row.queued_at,
            )
            for row in waiting
            if row.commit_id != named[row.service]
        ],
    )  # fmt: skip


def close(conn: Connection, settled: Iterable[Work]) -> None:
    """Take settled work away, unless a newer change has queued the service again."""
    rows = [{"of": item.service, "at": item.seq} for item in settled]
    if rows:
        same = (session_work.c.service == sa.bindparam("of"), session_work.c.seq == sa.bindparam("at"))
        conn.execute(sa.delete(session_work).where(*same), rows)


def postpone(conn: Connection, waiting: Iterable[tuple[Work, datetime]]) -> None:
    """Look at it again, not before a moment."""
    rows = [
        {"of": one.service, "at": one.seq, "tries": one.attempts + 1, "then": then} for one, then in waiting
    ]
    if rows:
        same = (session_work.c.service == sa.bindparam("of"), session_work.c.seq == sa.bindparam("at"))
        to = sa.update(session_work).values(attempts=sa.bindparam("tries"), not_before=sa.bindparam("then"))
        conn.execute(to.where(*same), rows)
