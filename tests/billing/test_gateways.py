"""Gateways: facts in any order end in one state, a charge happens once whatever dies, retries by what the bank said."""

import itertools
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import ledger, payments, promises
from billing.gateways import asking, autopay, retrying
from billing.gateways.errors import AutopayMissing, GatewaySilent
from billing.gateways.models import attempt, heard
from billing.gateways.state import (
    CHARGE,
    DEBIT,
    DISPUTE,
    FAILED,
    FURTHER,
    LOST,
    OPEN,
    PENDING,
    RANK,
    REFUND,
    SUCCEEDED,
    VERDICTS,
    WON,
    Fact,
    fold,
)
from core import faults
from core.db import Database
from core.models import job
from tests.billing.paying import DUE, Fake, Paying
from tests.support import examples

_charges = st.builds(
    Fact, st.just(CHARGE), st.sampled_from(RANK), st.integers(0, 9), code=st.sampled_from(["", "x"])
)
_refunds = st.builds(
    Fact, st.just(REFUND), st.sampled_from(FURTHER), st.just(0), st.sampled_from(["r1", "r2"]), st.just(900)
)
_disputes = st.builds(
    Fact,
    st.just(DISPUTE),
    st.sampled_from(VERDICTS),
    st.integers(0, 9),
    st.sampled_from(["d1", "d2"]),
    st.just(1000),
)
_debits = st.builds(Fact, st.just(DEBIT), st.sampled_from(RANK), st.integers(0, 9))
_of_cards = st.lists(st.one_of(_charges, _refunds, _disputes), max_size=7)
_of_debits = st.lists(st.one_of(_debits, _refunds, _disputes), max_size=7)
_facts = st.one_of(_of_cards, _of_debits)
_twice = st.one_of(st.tuples(_of_cards, _of_cards), st.tuples(_of_debits, _of_debits))
"""Of one attempt, which is with one gateway."""


@given(_facts, st.randoms())
def test_invariant_25_any_order_and_any_repetition_is_one_state(facts: list[Fact], random: Any) -> None:
    """A state is a join: order and duplicates do not matter, and more facts never take a payment back."""
    again = [*facts, *(fact for fact in facts if random.random() < 0.5)]
    random.shuffle(again)
    assert fold(again) == fold(facts)


@settings(max_examples=400)
@given(_twice)
def test_invariant_26_what_comes_late_never_unpays(told: tuple[list[Fact], list[Fact]]) -> None:
    """Once succeeded, always succeeded (a debit that its bank sent back is a return of its own); refunds only go on."""
    facts, late = told
    before, after = fold(facts), fold([*facts, *late])
    if before.charge == SUCCEEDED or not any(fact.kind == DEBIT for fact in (*facts, *late)):
        assert RANK.index(after.charge) >= RANK.index(before.charge)
    further = {one.ref: FURTHER.index(one.what) for one in after.refunds}
    assert all(further[one.ref] >= FURTHER.index(one.what) for one in before.refunds)


def test_an_invoice_is_charged_on_its_day_once(database: Database) -> None:
    """Not before; planning again makes nothing more; the books have it as the gateway's cash."""
    stage, fake = Paying(database), Fake()
    assert stage.plan(DUE - timedelta(1)) == []
    assert len(stage.plan(DUE)) == 1
    assert len(stage.plan(DUE)) == 1
    queued = stage._rows(sa.select(job).where(job.c.unique_key == f"{asking.CHARGE}:{stage.tries()[0].id}"))
    assert len(queued) == 1
    stage.perform(fake)
    stage.perform(fake)
    (one,) = stage.tries()
    assert (one.state, one.reference, stage.paid(), stage.open()) == (SUCCEEDED, f"pi_{one.id}", [8690], 0)
    assert fake.asked == 1
    with database.read() as conn:
        assert ledger.balance(conn, "cash:fake", stage.account, "AUD").minor == 8690
    assert len(stage.plan(DUE + timedelta(30))) == 1


def test_an_answer_that_is_lost_charges_nobody_twice(database: Database) -> None:
    """The same key again: the gateway knows it."""
    stage, fake = Paying(database), Fake(loses=2)
    stage.plan(DUE)
    for _ in range(2):
        with pytest.raises(GatewaySilent, match="asked again with the same key"):
            stage.perform(fake)
        assert autopay.plan(database, DUE + timedelta(1)) == 0
    stage.perform(fake)
    assert (len(fake.charged), stage.paid()) == (1, [8690])


def test_an_answer_that_is_lost_for_days_is_found_by_our_key(database: Database) -> None:
    """The gateway has forgotten the idempotency key: it is not charged again; who never heard of it is charged."""
    stage, fake = Paying(database), Fake(loses=1)
    stage.plan(DUE)
    with pytest.raises(GatewaySilent):
        stage.perform(fake)
    asked = fake.asked
    with database.write() as conn:
        conn.execute(sa.delete(job).where(job.c.unique_key == f"{asking.CHARGE}:{stage.tries()[0].id}"))
    stage.plan(DUE + timedelta(2))
    assert stage._rows(sa.select(job).where(job.c.unique_key == f"{asking.CHARGE}:{stage.tries()[0].id}"))
    stage.perform(fake)  # two days later
    assert (fake.asked, stage.paid()) == (asked, [8690])
    other, never = Paying(database), Fake()
    other.plan(DUE)
    with database.write() as conn:
        mine = attempt.c.account_id == other.account
        conn.execute(sa.update(attempt).where(mine).values(asked_at=other.now() - timedelta(days=2)))
    other.perform(never)
    assert (never.asked, other.paid()) == (1, [8690])


POINTS = [autopay.P_ASKED, autopay.P_CHARGED]


@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_where_ever_the_charge_is_one(
    database: Database, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Before the gateway heard of it, or after it and before we wrote it down."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{point}:1:raise")
    monkeypatch.setattr(faults, "_passages", {})
    with pytest.raises(faults.FaultInjected):
        stage.perform(fake)
    monkeypatch.delenv("TRUNKLINE_FAULT")
    assert stage.paid() == []
    stage.perform(fake)
    assert (len(fake.charged), stage.paid()) == (1, [8690])


def test_what_was_paid_otherwise_is_not_charged(database: Database) -> None:
    """In cash, after it was planned; a part of it: the next day's plan charges the rest."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("50.00"), "cash", f"k{stage.number}")
    stage.perform(fake)
    assert (fake.charged, stage.tries()[0].state) == ({}, autopay.DROPPED)
    stage.plan(DUE + timedelta(1))
    stage.perform(fake)
    assert [order.amount for order in fake.charged.values()] == [3690]


def test_a_charge_on_its_way_is_asked_for_though_its_invoice_was_paid_otherwise(database: Database) -> None:
    """Its money comes all the same, as credit; nobody else is looked at."""
    stage, fake = Paying(database), Fake({1: Fact(CHARGE, PENDING)})
    stage.plan(DUE)
    stage.perform(fake)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("86.90"), "cash", f"k{stage.number}")
        conn.execute(sa.delete(job))
    assert len(stage.plan(DUE + timedelta(1))) == 1
    assert len(stage._rows(sa.select(job).where(job.c.kind == asking.CHARGE))) == 1
    fake.says[1] = Fact(CHARGE, SUCCEEDED)
    stage.perform(fake)
    with database.read() as conn:
        assert ledger.balance(conn, "customer-credit", stage.account, "AUD").minor == -8690


def test_a_promise_to_pay_keeps_autopay_away(database: Database) -> None:
    """They pay by themselves, by a day that they promised."""
    stage = Paying(database)
    with database.write() as conn:
        promises.make(conn, stage.account, DUE + timedelta(9), actor="sue", on=DUE)
    assert stage.plan(DUE + timedelta(1)) == []
    assert len(stage.plan(DUE + timedelta(10))) == 1


def test_a_soft_decline_is_tried_again_and_a_hard_one_never(database: Database) -> None:
    """By the schedule; dunning does not know of it."""
    soft, hard = Paying(database), Paying(database)
    fake = Fake({1: Fact(CHARGE, FAILED, code="card_declined"), 2: Fact(CHARGE, FAILED, code="stolen_card")})
    soft.plan(DUE)
    soft.perform(fake)
    hard.perform(fake)
    assert soft.plan(DUE + timedelta(1))[-1].number == 1
    assert soft.plan(DUE + timedelta(2))[-1].number == 2
    assert [one.code for one in hard.plan(DUE + timedelta(20))] == ["stolen_card"]
    soft.perform(fake)
    assert soft.open() == 0


@pytest.mark.parametrize(
    ("code", "tries", "last", "day"),
    [
        ("card_declined", 1, date(2026, 1, 15), date(2026, 1, 17)),
        ("card_declined", 2, date(2026, 1, 17), date(2026, 1, 20)),
        ("insufficient_funds", 1, date(2026, 1, 24), date(2026, 2, 1)),
        ("insufficient_funds", 1, date(2026, 1, 16), date(2026, 1, 18)),
        ("card_declined", 5, date(2026, 1, 30), None),
        ("card_declined", 4, date(2026, 2, 10), None),
        ("stolen_card", 1, date(2026, 1, 15), None),
    ],
)
def test_when_to_try_again(code: str, tries: int, last: date, day: date | None) -> None:
    """Pauses grow; a pay day that is near is waited for; there is an end."""
    assert retrying.next_day(code, date(2026, 1, 15), last, tries) == day


_SOME = [
    Fact(CHARGE, SUCCEEDED, 5), Fact(CHARGE, FAILED, 9, code="late"), Fact(REFUND, SUCCEEDED, 0, "re_1", 1000),
    Fact(DISPUTE, OPEN, 7, "d1", 2000), Fact(DISPUTE, WON, 8, "d1", 2000),
]  # fmt: skip


@settings(
    max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(range(len(_SOME))), min_size=5, max_size=9).filter(
        lambda found: set(found) == set(range(5))
    )
)
def test_invariant_25_webhooks_in_any_order_end_in_one_book(database: Database, order: list[int]) -> None:
    """Duplicates are heard once; the money, the invoice and the ledger are the same whatever came first."""
    stage = Paying(database)
    stage.plan(DUE)
    news = [stage.hear(number, _SOME[number]) for number in order]
    assert sum(news) == 5
    (one,) = stage.tries()
    with database.read() as conn:
        gone = 8690 - ledger.balance(conn, "cash:fake", stage.account, "AUD").minor
        owed = ledger.balance(conn, "receivable", stage.account, "AUD").minor
    assert (one.state, one.refunded, gone, owed, stage.open()) == (SUCCEEDED, 1000, 1000, 1000, 1000)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_invariant_26_a_lost_dispute_stays_lost(database: Database, order: tuple[int, ...]) -> None:
    """And what was paid is open again, whichever event is late."""
    stage = Paying(database)
    stage.plan(DUE)
    said = [
        Fact(CHARGE, SUCCEEDED, 1),
        Fact(DISPUTE, OPEN, 2, f"d{stage.number}", 8690),
        Fact(DISPUTE, LOST, 3, f"d{stage.number}", 8690),
    ]
    for number in order:
        stage.hear(number, said[number])
    assert (stage.open(), stage.tries()[0].state) == (8690, SUCCEEDED)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize(("last", "open_"), [(WON, 0), (LOST, 8690)])
def test_invariant_25_the_later_verdict_on_a_dispute_counts(
    database: Database, order: tuple[int, ...], last: str, open_: int
) -> None:
    """A bank that changes its mind: won after lost, and lost after won, whichever event comes first."""
    stage = Paying(database)
    stage.plan(DUE)
    first = LOST if last == WON else WON
    said = [
        Fact(CHARGE, SUCCEEDED, 1),
        Fact(DISPUTE, first, 2, f"d{stage.number}", 8690),
        Fact(DISPUTE, last, 3, f"d{stage.number}", 8690),
    ]
    for number in order:
        stage.hear(number, said[number])
    assert stage.open() == open_


def test_an_event_that_is_faster_than_our_own_answer_waits(database: Database) -> None:
    """Named by the gateway's reference only, which we do not know yet."""
    stage, fake = Paying(database), Fake({1: Fact(CHARGE, PENDING)})
    (one,) = stage.plan(DUE)
    assert stage.hear(1, Fact(CHARGE, SUCCEEDED, 9), f"pi_{one.id}", named=False)
    assert stage.paid() == []
    stage.perform(fake)
    assert stage.paid() == [8690]
    (row,) = stage._rows(sa.select(heard).where(heard.c.reference == f"pi_{one.id}"))
    assert row.state == "applied"


def test_an_event_and_our_answer_that_missed_each_other_are_brought_together(database: Database) -> None:
    """Both came at the same moment, and neither saw the other: the next day's plan does."""
    stage = Paying(database)
    (one,) = stage.plan(DUE)
    stage.hear(1, Fact(CHARGE, SUCCEEDED, 9), f"pi_{one.id}", named=False)
    with database.write() as conn:
        conn.execute(sa.update(attempt).where(attempt.c.id == one.id).values(reference=f"pi_{one.id}"))
    assert stage.paid() == []
    stage.plan(DUE)
    assert stage.paid() == [8690]


def test_what_says_nothing_to_us_is_kept_and_ignored(database: Database) -> None:
    """An unknown kind of event is no mistake."""
    stage = Paying(database)
    stage.plan(DUE)
    assert stage.hear(1, None)
    assert not stage.hear(1, None)


def test_switching_off_ends_it(database: Database) -> None:
    """Twice is told."""
    stage = Paying(database)
    with database.write() as conn:
        autopay.switch_off(conn, stage.account, actor="ada")
    assert stage.plan(DUE) == []
    with database.write() as conn, pytest.raises(AutopayMissing):
        autopay.switch_off(conn, stage.account, actor="ada")
