"""Asking a tax engine: a run that lacks an answer queues the question; a job asks, outside of any transaction."""

from collections.abc import Callable
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.taxing import engines
from billing.taxing.engines import Question
from billing.taxing.errors import EngineNotUsable
from billing.taxing.models import tax_answer, tax_engine
from core import clock, db, events, faults, jobs
from core.db import Database
from core.jobs import Job

KIND = "billing.tax-question"
PARK, RATES = "park", "rates"
TOKEN = "token"  # noqa: S105 (its name)
"""The one setting of an engine that is a secret."""
Place = Callable[[Database, str], dict[str, str]]
"""(database, account) -> country, postcode and city of its invoices, as far as known."""
Opened = Callable[[str, str], str]
"""(a sealed text, whose profile) -> its clear text."""
P_ANSWERED = faults.declare("billing.tax_answered")


def use(
    conn: Connection, profile: str, engine: str, settings: dict[str, Any], *, fallback: str = PARK, actor: str
) -> None:
    """Let an engine say a profile's rates; an empty name: none any more. Raises EngineNotUsable."""
    if fallback not in (PARK, RATES):
        raise EngineNotUsable(engine, f"'{fallback}' is no fallback; choose park or rates")
    row = {
        "profile": profile, "engine": engine, "settings": settings, "fallback": fallback, "actor": actor,
        "recorded_at": clock.now(),
    }  # fmt: skip
    db.upsert(conn, tax_engine, [row], ["profile"])
    events.emit(conn, "tax.engine", profile, {"engine": engine, "fallback": fallback}, actor=actor)


def place_of(profile: str) -> str:
    """Where a profile's secret is sealed for."""
    return f"tax-engine/{profile}"


def queue(conn: Connection, owner: Account, category: str, on: date) -> None:
    """Have the engine asked, once."""
    payload = {"account": owner.id, "category": category, "on": str(on)}
    jobs.enqueue(conn, KIND, payload, unique=f"{KIND}:{owner.id}:{category}:{on}")


def ask(database: Database, account: str, category: str, on: date, place: Place, opened: Opened) -> bool:
    """Ask and keep the answer; whether there is one. What was answered before is not asked again.

    Raises EngineSilent, EngineNotUsable.
    """
    with database.read() as conn:
        owner = accounts.get(conn, account)
        row = conn.execute(sa.select(tax_engine).where(tax_engine.c.profile == owner.tax_profile)).first()
        if row is None or not row.engine:
            return False
        if _answered(conn, account, category, on):
            return True
    settings = dict(row.settings)
    if settings.get(TOKEN):
        settings[TOKEN] = opened(settings[TOKEN], owner.tax_profile)
    question = Question(
        account=account, profile=owner.tax_profile, category=category, on=on, currency=owner.currency,
        **place(database, account),
    )  # fmt: skip
    answer = engines.make(row.engine, settings).rate(question)
    with database.write() as conn:
        accounts.lock(conn, account)
        if not _answered(conn, account, category, on):
            values = {
                "account_id": account, "category": category, "billed_on": on, "millionths": answer.millionths,
                "engine": row.engine, "reference": answer.reference, "recorded_at": clock.now(),
            }  # fmt: skip
            conn.execute(sa.insert(tax_answer).values(**values))
        faults.point(P_ANSWERED)
    return True


def register(place: Place, opened: Opened) -> None:
    """Let this process ask."""

    @jobs.handles(KIND)
    def perform(database: Database, job: Job) -> None:
        said = job.payload
        ask(database, said["account"], said["category"], date.fromisoformat(said["on"]), place, opened)


def _answered(conn: Connection, account: str, category: str, on: date) -> bool:
    query = sa.select(tax_answer.c.engine).where(
        tax_answer.c.account_id == account, tax_answer.c.category == category, tax_answer.c.billed_on == on
    )
    return conn.execute(query).first() is not None
