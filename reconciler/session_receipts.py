"""Receipts of lane 1: one for each session that was corrected, one for the service when all is proven."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.engine import Connection

from aaa.coa.channel import Ask
from aaa.coa.outcome import Outcome
from aaa.enforcement import Correction
from core import clock, events
from reconciler import receipts, session_work
from reconciler.receipts import Step
from reconciler.session_work import Work

_LONGEST = 60


class Looked(msgspec.Struct, eq=False):
    """A service whose sessions are being corrected: `asked` of them, `done` so far. `behind`: workers that did not
    acknowledge in time. `marked`: accounting found it, no change asks for it now.
    """

    work: Work
    behind: list[str]
    started: datetime
    asked: int = 0
    asks: list[Ask] = []
    done: list[tuple[Correction, Outcome]] = []
    marked: bool = False

    @property
    def open(self) -> list[Outcome]:
        """The outcomes that prove nothing."""
        return [outcome for _correction, outcome in self.done if not outcome.done]

    @property
    def settled(self) -> bool:
        """Whether every worker knows, and no session is left on the old policy."""
        return not self.open and not self.behind

    @property
    def superseded(self) -> bool:
        """Whether a newer change took the place of what was asked."""
        return any(outcome.result == "superseded" for outcome in self.open)


def write(
    conn: Connection, settled: Sequence[tuple[Looked, Correction, Outcome]], closing: Sequence[Looked]
) -> None:
    """Record outcomes, and close or postpone the work of services whose sessions have all been asked."""
    steps = [
        _of_session(looked, correction, outcome)
        for looked, correction, outcome in settled
        if looked.work.commit_id
    ]
    own = [looked for looked in closing if not looked.marked]
    receipts.record_many(conn, 1, [*steps, *(_of_service(looked) for looked in own if not looked.superseded)])
    session_work.close(conn, [looked.work for looked in own if looked.settled])
    now = clock.now()
    session_work.postpone(
        conn,
        [
            (looked.work, now + timedelta(seconds=min(_LONGEST, 2**looked.work.attempts)))
            for looked in own
            if not looked.settled
        ],
    )
    proven = [
        (looked.work.service, {"sessions": looked.asked}, looked.work.commit_id)
        for looked in own
        if looked.settled
    ]
    events.emit_many(conn, "service.settled", proven, actor="reconciler")


def _of_session(looked: Looked, correction: Correction, outcome: Outcome) -> Step:
    return Step(
        commit=looked.work.commit_id, target=looked.work.service,
        step=f"session {correction.session.session_ref}", outcome=outcome.word,
        asked=f"{correction.action.how} at {correction.session.nas}: {correction.action.why}",
        answer=f"{outcome.meaning} after {outcome.milliseconds} ms, {outcome.attempts} sent",
        started_at=looked.started,
    )  # fmt: skip


def _of_service(looked: Looked) -> Step:
    outcome = "acked" if looked.settled else looked.open[0].word if looked.open else "timeout"
    return Step(
        commit=looked.work.commit_id, target=looked.work.service, step="policy", outcome=outcome,
        asked="every worker and every live session on the new policy",
        answer=_told(looked), started_at=looked.work.queued_at,
    )  # fmt: skip


def _told(looked: Looked) -> str:
    told = f"{looked.asked} live session{'' if looked.asked == 1 else 's'} corrected"
    parts = [f"{len(looked.open)} of {looked.asked} not corrected" if looked.open else told]
    if looked.behind:
        parts.append(f"not acknowledged by {', '.join(looked.behind)}")
    return "; ".join(parts)
