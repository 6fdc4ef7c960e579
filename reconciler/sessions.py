"""Lane 1: a changed policy reaches every RADIUS worker, then every live session that is not what it should be.

Level-triggered: what is queued is a service to look at, never an order; looking twice is harmless. "Free" means that
the workers acknowledged and no session is left on the old policy.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa import enforcement
from aaa.accounting.merge import Session
from aaa.coa.client import Outcome, Pace
from aaa.radius.nases import nas_of
from aaa.view.models import view_change
from aaa.view.seal import Seal
from core import clock, events, faults
from core.db import upsert
from core.errors import TrunklineError
from drivers import registry
from drivers.contract import LiveSession
from intents.index.models import index_change
from intents.index.position import position as index_position
from inventory.resolve import resolve_device
from reconciler import following, receipts
from reconciler.context import Context
from reconciler.models import session_work
from reconciler.targets import target_of

LANE = "sessions"
_CHUNK = 500
_AT_ONCE = 32
P_QUEUED = faults.declare("sessions.after_queued")
P_CORRECTED = faults.declare("sessions.after_corrected")


class Work(msgspec.Struct, frozen=True):
    """A service whose sessions must be looked at, and the commit that changed it."""

    service: str
    commit_id: str
    seq: int
    queued_at: datetime
    attempts: int


class SessionLane:
    """Follows the view and corrects sessions; one at a time, corrections in threads and paced per NAS."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._seal = Seal.of(context.settings.home)
        self._pace = Pace()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sessions")

    def run_once(self) -> int:
        """Queue what the view changed, look at what is due; returns how many services were looked at."""
        queue(self.context)
        work = _due(self.context)
        if work:
            self._settle(work)
        return len(work) + self._stale_marks()

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True)

    def _settle(self, work: Sequence[Work]) -> None:
        started = clock.now()
        behind = enforcement.acknowledged(self.context.index_db, max(item.seq for item in work))
        found = enforcement.stale_sessions(
            self.context.db, self.context.index_db, [item.service for item in work]
        )
        outcomes = self._correct(found)
        faults.point(P_CORRECTED)
        by_service: dict[str, list[tuple[enforcement.Correction, Outcome]]] = {}
        for correction, outcome in zip(found, outcomes, strict=True):
            by_service.setdefault(correction.session.service, []).append((correction, outcome))
        with self.context.db.write() as conn:
            for item in work:
                _close(conn, item, by_service.get(item.service, []), behind, started)

    def _stale_marks(self) -> int:
        """Sessions that showed up with a policy that is no longer wanted (a redial that raced a change)."""
        found = enforcement.stale_sessions(self.context.db, self.context.index_db, marked=True)
        self._correct(found)
        return len(found)

    def _correct(self, found: Sequence[enforcement.Correction]) -> list[Outcome]:
        return list(self._pool.map(self._one, found))

    def _one(self, correction: enforcement.Correction) -> Outcome:
        nas = nas_of(self.context.index_db, self._seal, correction.session.source)
        return enforcement.correct(
            self.context.db, correction, nas, end_session=self.end_session, pace=self._pace
        )

    def end_session(self, session: Session) -> bool:
        """End a session through its device's driver: for NASes that take no Disconnect-Request."""
        return end_session(self.context, session)


def end_session(context: Context, session: Session) -> bool:
    """Log in to the session's NAS and see to it that it is gone; False when the NAS is out of reach or refuses."""
    with context.reader() as reader:
        model = resolve_device(reader, session.nas)
        target = target_of(model, reader.get("config", "trunkline"), context.secrets, context.keys)
    live = LiveSession(
        session_id=session.acct_session_id.decode("latin-1"), login=session.login,
        interface=session.nas_port_id, address=session.framed_address, calling_station=session.calling,
    )  # fmt: skip
    try:
        with registry.opened(target) as driver:
            driver.end_session(live)  # False: the device has no such session, which is as good
    except TrunklineError:
        return False
    return True


def queue(context: Context) -> int:
    """Queue the services whose wanted policy the view changed since our position; returns how many."""
    at = following.place(context.db, LANE)
    with context.index_db.read() as conn:
        newest = conn.execute(sa.select(sa.func.max(view_change.c.seq))).scalar() or 0
        upto = following.Place(newest, index_position(conn).generation)
        if at == upto:
            return 0
        again = at is None or at.generation != upto.generation or newest < at.seq
        seqs = _sweep(context, newest) if again or at is None else _changed(conn, at.seq, newest)
        work = [_row(service, seq, *_cause(conn, service)) for service, seq in sorted(seqs.items())]
    with context.db.write() as conn:
        for start in range(0, len(work), _CHUNK):
            upsert(conn, session_work, work[start : start + _CHUNK], key=["service"])
        following.moved(conn, LANE, upto)
    faults.point(P_QUEUED)
    return len(work)


def _changed(conn: Connection, after: int, upto: int) -> dict[str, int]:
    """Service -> sequence, of the services whose wanted policy changed."""
    rows = conn.execute(
        sa.select(view_change.c.key, sa.func.max(view_change.c.seq))
        .where(view_change.c.seq > after, view_change.c.seq <= upto)
        .group_by(view_change.c.key)
    )
    return {bytes(key)[2:].decode(): int(seq) for key, seq in rows if bytes(key)[:2] == b"s:"}


def _sweep(context: Context, upto: int) -> dict[str, int]:
    """At the start, or after the view was rebuilt: whoever has a session that is not what it should be."""
    found = enforcement.stale_sessions(context.db, context.index_db)
    return {correction.session.service: upto for correction in found}


def _row(service: str, seq: int, commit: str, changed_at: datetime) -> dict[str, Any]:
    return {
        "service": service, "commit_id": commit, "seq": seq, "queued_at": changed_at,
        "not_before": clock.now(), "attempts": 0,
    }  # fmt: skip


def _cause(conn: Connection, service: str) -> tuple[str, datetime]:
    """The newest commit that touched the service or one of its holds; else whatever was indexed last."""
    own = sa.and_(index_change.c.kind == "service", index_change.c.id == service)
    # '/' follows '.' in ASCII: the range holds exactly the ids `<service>.<reason>`.
    holds = sa.and_(
        index_change.c.kind == "hold", index_change.c.id > f"{service}.", index_change.c.id < f"{service}/"
    )
    found = [
        conn.execute(
            sa.select(index_change).where(which).order_by(index_change.c.seq.desc()).limit(1)
        ).first()
        for which in (own, holds)
    ]
    last = max((row for row in found if row is not None), key=lambda row: row.seq, default=None)
    if last is None:
        last = conn.execute(sa.select(index_change).order_by(index_change.c.seq.desc()).limit(1)).first()
    return (last.commit_id, last.changed_at) if last is not None else ("", clock.now())


def _due(context: Context) -> list[Work]:
    with context.db.read() as conn:
        rows = conn.execute(
            sa.select(session_work)
            .where(session_work.c.not_before <= clock.now())
            .order_by(session_work.c.seq)
            .limit(_CHUNK)
        ).all()
    return [Work(r.service, r.commit_id, r.seq, r.queued_at, r.attempts) for r in rows]


def _close(
    conn: Connection, item: Work, done: Iterable[tuple[enforcement.Correction, Outcome]],
    behind: list[str], started: datetime,
) -> None:  # fmt: skip
    outcomes = list(done)
    for correction, outcome in outcomes:
        receipts.record(
            conn, commit=item.commit_id, lane=1, target=item.service,
            step=f"session {correction.session.session_ref}", outcome=_word(outcome),
            asked=f"{correction.action.how} at {correction.session.nas}: {correction.action.why}",
            answer=f"{outcome.meaning} after {outcome.milliseconds} ms, {outcome.attempts} sent",
            started_at=started,
        )  # fmt: skip
    open_ = [outcome for _, outcome in outcomes if not outcome.done]
    settled = not open_ and not behind
    receipts.record(
        conn, commit=item.commit_id, lane=1, target=item.service, step="policy",
        outcome="acked" if settled else (_word(open_[0]) if open_ else "timeout"),
        asked="every worker and every live session on the new policy",
        answer=_told(len(outcomes), open_, behind), started_at=item.queued_at,
    )  # fmt: skip
    where = (session_work.c.service == item.service, session_work.c.seq == item.seq)
    if settled:
        conn.execute(sa.delete(session_work).where(*where))
        events.emit(
            conn, "service.settled", item.service, {"sessions": len(outcomes)},
            actor="reconciler", revision=item.commit_id,
        )  # fmt: skip
        return
    wait = timedelta(seconds=min(60, 2**item.attempts))
    conn.execute(
        sa.update(session_work)
        .where(*where)
        .values(attempts=item.attempts + 1, not_before=clock.now() + wait)
    )


def _word(outcome: Outcome) -> str:
    return f"nak({outcome.code})" if outcome.result == "nak" else str(outcome.result)


def _told(sessions: int, open_: list[Outcome], behind: list[str]) -> str:
    told = f"{sessions} live session{'' if sessions == 1 else 's'} corrected"
    parts = [f"{len(open_)} of {sessions} not corrected" if open_ else told]
    if behind:
        parts.append(f"not acknowledged by {', '.join(behind)}")
    return "; ".join(parts)


def unsettled(conn: Connection) -> int:
    """How many services still wait for proof."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(session_work)).scalar() or 0)
