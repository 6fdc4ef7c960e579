"""A day's work: each step in its order, nothing twice, missed days caught up with, one failure stops no other."""

from datetime import date

import pytest
import sqlalchemy as sa

from billing import payments
from billing.gateways import autopay
from billing.gateways.models import attempt
from billing.models import invoice
from core.db import Database
from core.errors import Terminal
from crm import day
from tests.billing.stage import START, Stage


def _perform(stage: Stage, on: date) -> dict[str, day.Done]:
    return {one.step: one for one in day.perform(day.Work(stage.database, stage.reader, None, on, "ada"))}


@pytest.fixture
def stage(database: Database) -> Stage:
    """One service, billed by autopay on its due date."""
    made = Stage(database)
    made.add()
    with database.write() as conn:
        terms = autopay.Method(gateway="stripe", customer="cus_1", method="pm_1", label="visa 4242")
        autopay.switch_on(conn, made.account, terms, actor="ada")
    return made


def test_a_day_is_done_in_order_and_once(stage: Stage) -> None:
    """Billed, charged when due, held when late; again on the same day adds nothing."""
    first = _perform(stage, START)
    assert list(first) == list(day.STEPS)
    assert first["billed"].told.startswith("1 new bills, 1 documents final, 0 parked")
    assert all(not one.problems for one in first.values())
    again = _perform(stage, START)
    assert again["billed"].told.startswith("0 new bills, 0 documents final")
    later = _perform(stage, date(2026, 1, 30))
    assert later["charged"].told == "1 charges queued"
    assert later["dunned"].told == "1 holds and 0 releases asked for"
    assert _perform(stage, date(2026, 1, 30))["charged"].told == "0 charges queued"
    with stage.database.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(attempt)).scalar() == 1


def test_days_that_were_missed_are_caught_up_with(stage: Stage) -> None:
    """Three months in one day's work are billed as three; what was paid meanwhile frees."""
    _perform(stage, date(2026, 3, 2))
    with stage.database.read() as conn:
        (total,) = conn.execute(sa.select(sa.func.sum(invoice.c.total))).scalars()
    assert total == 3 * 8690
    _perform(stage, date(2026, 4, 20))
    with stage.database.write() as conn:
        payments.pay(
            conn, stage.account, stage.money("1000.00"), "cash", f"k{stage.number}", on=date(2026, 4, 21)
        )
    assert _perform(stage, date(2026, 4, 22))["dunned"].told == "0 holds and 0 releases asked for"


def test_a_step_that_fails_keeps_no_other_from_its_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reason is a problem of its own."""

    def broken(_work: day.Work) -> tuple[str, tuple[str, ...]]:
        raise Terminal("no rates of that day")

    monkeypatch.setitem(day.STEPS, "rated", broken)
    done = _perform(stage, START)
    assert (done["rated"].told, done["rated"].problems) == ("failed", ("no rates of that day",))
    assert done["billed"].told.startswith("1 new bills")
    assert list(done) == list(day.STEPS)
