"""What lane 1 writes of many sessions at once says of each what was said of it, on both databases."""

from datetime import timedelta

import sqlalchemy as sa

from aaa.accounting.merge import Session
from aaa.accounting.record import START
from aaa.accounting.store import session_of
from aaa.coa import correct
from aaa.coa.decide import Action
from aaa.coa.outcome import Outcome
from aaa.enforcement import UNKNOWN, Correction
from aaa.models import session
from core import clock
from core.db import Database, insert_many
from core.models import event
from reconciler import receipts, session_receipts
from reconciler.models import receipt_attempt, session_work
from reconciler.session_receipts import Looked
from reconciler.session_work import Work
from tests.aaa.test_accounting import record, write

# (service, how, outcome) -> what the session is afterwards: (state, policy hash, marked)
CASES = {
    "S-1": ("coa", Outcome("acked"), ("open", "new", False)),
    "S-2": ("disconnect", Outcome("acked"), ("closed", "p1", False)),
    "S-3": ("disconnect", Outcome("no-session", 503), ("closed", "p1", False)),
    "S-4": ("disconnect", Outcome("nak", 506), ("open", "p1", True)),
    "S-5": ("coa", Outcome("timeout", attempts=3), ("open", UNKNOWN, True)),
    "S-6": ("coa", Outcome("timeout", attempts=0), ("open", "p1", True)),
    "S-7": ("coa", Outcome("superseded", attempts=0), ("open", "p1", False)),
    "S-8": ("disconnect", Outcome("unreachable", attempts=3), ("open", "p1", True)),
}


def sessions(db: Database) -> dict[str, Session]:
    with db.read() as conn:
        return {row.service: session_of(row) for row in conn.execute(sa.select(session))}


def looked(db: Database) -> list[Looked]:
    """Every case as looked at, in one commit, with its row of work."""
    now, found = clock.now(), sessions(db)
    made = []
    for service, (how, outcome, _after) in CASES.items():
        one = Looked(Work(service, "c1", 7, now, 2), [], now, asked=1)
        action = Action(how, why="for a test")  # type: ignore[arg-type]
        one.done.append((Correction(found[service], "new", None, action), outcome))
        made.append(one)
    rows = [
        {"service": s, "commit_id": "c1", "seq": 7, "queued_at": now, "not_before": now, "attempts": 2}
        for s in CASES
    ]
    with db.write() as conn:
        insert_many(conn, session_work, rows)
    return made


def test_each_session_is_what_its_outcome_proves(database: Database) -> None:
    """Acknowledged: changed or closed. Refused or silent: marked. A CoA that nobody answered: unknown."""
    write(database, *(record(START, session_id=s.encode(), service=s) for s in CASES))
    done = [one.done[0] for one in looked(database)]
    with database.write() as conn:
        correct.record(conn, done)
    after = {s: (one.state, one.policy_hash, one.stale) for s, one in sessions(database).items()}
    assert after == {service: case[2] for service, case in CASES.items()}


def test_receipts_work_and_events_follow_the_outcomes(database: Database) -> None:
    """Proven: the work is done and `service.settled` goes out; else it is due again later. Twice: one receipt, two
    attempts.
    """
    write(database, *(record(START, session_id=s.encode(), service=s) for s in CASES))
    closing = looked(database)
    settled = [(one, *one.done[0]) for one in closing]
    for _again in range(2):
        with database.write() as conn:
            session_receipts.write(conn, settled, closing)
    with database.read() as conn:
        found = {r.target: r for r in receipts.of_commit(conn, "c1") if r.step == "policy"}
        tried = conn.scalar(sa.select(sa.func.count()).select_from(receipt_attempt))
        left = {row.service: row for row in conn.execute(sa.select(session_work))}
        told = set(conn.scalars(sa.select(event.c.subject).where(event.c.type == "service.settled")))
    words = {"S-4": "nak(506)", "S-5": "timeout", "S-6": "timeout", "S-8": "timeout"}
    assert {s: r.outcome for s, r in found.items()} == dict.fromkeys(("S-1", "S-2", "S-3"), "acked") | words
    assert {r.attempts for r in found.values()} == {2}
    assert tried == 2 * (len(CASES) + len(found))
    assert told == {"S-1", "S-2", "S-3"}
    assert set(left) == {"S-4", "S-5", "S-6", "S-7", "S-8"}
    assert left["S-4"].attempts == 3
    assert left["S-4"].not_before > clock.now() + timedelta(seconds=2)
