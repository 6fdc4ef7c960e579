"""Reminders before the due date and announcements of debits: on the right day, once, also when killed; or none."""

import os
import signal
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from billing import payments, policies, promises
from billing.bank import calendar, collecting, due, mandates
from billing.billrun import run_billing
from billing.collecting import hardships
from billing.collecting.calendars import Calendar
from billing.dunning import run_dunning
from billing.errors import PolicyNotUsable
from billing.gateways import autopay
from billing.messages import reminding
from billing.messages.choosing import Debit, choose, earliest
from billing.messages.models import message
from billing.stages import Before, Debt, Policy, Promise, Step
from core import clock
from core.crypto import DataKey
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage

POINTS = ["billing.before_reminders_commit"]
KEY = DataKey(bytes(32))
DUE = date(2026, 1, 15)  # a Thursday
STEPS = (Step("first", 3, channels=("e-mail",)),)
KIND = Policy(STEPS, reminders=(Before(7), Before(2, ("e-mail", "sms"))), announce=Before(14))
WEEKDAYS = Calendar(days_off=("sat", "sun"), holidays=(date(2026, 1, 8),))


def owing(database: Database, policy: Policy = KIND, name: str = "kind", **given) -> Stage:
    """An account that owes 86.90 by the 15th of January."""
    with database.write() as conn:
        policies.store(conn, name, policy)
    stage = Stage(database, dunning_policy=name, **given)
    stage.add()
    run_billing(database, stage.reader, START)
    return stage


def told(stage: Stage) -> list[tuple]:
    """(purpose, channel, day) of its messages, in order."""
    query = sa.select(message).where(message.c.account_id == stage.account)
    with stage.database.read() as conn:
        rows = conn.execute(query.order_by(message.c.made_on, message.c.channel)).all()
    return [(row.purpose, row.channel, row.made_on.day) for row in rows]


def lived(stage: Stage, first: date = START, last: date = DUE + timedelta(days=5)) -> list[tuple]:
    """Run dunning each day, each day twice."""
    day = first
    while day <= last:
        run_dunning(stage.database, stage.reader, day)
        run_dunning(stage.database, stage.reader, day)
        day += timedelta(days=1)
    return told(stage)


def test_each_reminder_comes_once_on_its_day(database: Database):
    """Seven and two days before, by its channels; what it says of the invoice is there."""
    stage = owing(database)
    assert lived(stage) == [("reminder", "e-mail", 8), ("reminder", "e-mail", 13), ("reminder", "sms", 13)]
    with database.read() as conn:
        row = conn.execute(sa.select(message).where(message.c.account_id == stage.account)).first()
    assert row is not None
    facts = row.facts
    assert (facts["amount"], facts["currency"], facts["due"]) == (8690, "AUD", "2026-01-15")
    assert facts["invoices"] == [stage.invoices()[0].number]


def test_the_default_policy_reminds_nobody_before(database: Database):
    """As it was: whoever wants reminders says so."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    assert lived(stage) == []


def test_a_late_run_sends_the_nearest_only_and_none_from_the_due_date_on(database: Database):
    """Nobody gets two reminders at once, nor one that comes after the day."""
    late, later = owing(database), owing(database)
    assert lived(late, DUE - timedelta(days=1)) == [("reminder", "e-mail", 14), ("reminder", "sms", 14)]
    with database.write() as conn:
        conn.execute(sa.delete(message).where(message.c.account_id == later.account))
    assert lived(later, DUE) == []


def test_who_has_paid_is_not_reminded_and_who_paid_a_part_of_the_rest(database: Database):
    """The amount is what is open, to the cent."""
    paid, part = owing(database), owing(database)
    for stage, minor in ((paid, 8690), (part, 5000)):
        with database.write() as conn:
            payments.pay(
                conn, stage.account, Money(minor, "AUD"), "bank", f"r{stage.account}", actor="anna", on=START
            )
    assert lived(paid) == []
    assert told(part) == [("reminder", "e-mail", 8), ("reminder", "e-mail", 13), ("reminder", "sms", 13)]
    with database.read() as conn:
        facts = conn.execute(sa.select(message.c.facts).where(message.c.account_id == part.account)).scalar()
    assert facts is not None
    assert facts["amount"] == 3690


def test_what_is_less_than_the_minimum_is_not_asked_for(database: Database):
    """As dunning leaves it alone."""
    policy = Policy(STEPS, minimum={"AUD": "100.00"}, reminders=(Before(7),))
    assert lived(owing(database, policy, "big")) == []


def test_nobody_is_reminded_while_a_promise_or_an_exemption_is_in_force(database: Database):
    """The promise ends before the due date: the second reminder comes. The exemption does not: none."""
    promised, exempt = owing(database), owing(database)
    with database.write() as conn:
        promises.make(conn, promised.account, date(2026, 1, 10), actor="anna", on=date(2026, 1, 5))
        hardships.grant(conn, exempt.account, DUE, reason="flood", actor="anna", on=date(2026, 1, 5))
    assert lived(promised, date(2026, 1, 5))[0] == ("reminder", "e-mail", 11)
    assert lived(exempt, date(2026, 1, 5)) == []


def test_autopay_is_announced_and_not_reminded(database: Database):
    """Two weeks before the debit, which comes three days before the due date: at once, with what is charged."""
    stage = owing(database)
    with database.write() as conn:
        method = autopay.Method(gateway="stripe", customer="c", method="m", label="visa 4242", days_before=3)
        autopay.switch_on(conn, stage.account, method, actor="anna")
    assert lived(stage) == [("announce", "e-mail", 1)]
    with database.read() as conn:
        facts = conn.execute(sa.select(message.c.facts).where(message.c.account_id == stage.account)).scalar()
    assert facts is not None
    assert (facts["day"], facts["by"], facts["amount"]) == ("2026-01-12", "visa 4242", 8690)


def test_without_announce_nobody_who_is_collected_from_hears_anything(database: Database):
    """Least of all a reminder to pay."""
    stage = owing(database, Policy(STEPS, reminders=(Before(7),)), "silent")
    with database.write() as conn:
        method = autopay.Method(gateway="stripe", customer="c", method="m", label="visa 4242")
        autopay.switch_on(conn, stage.account, method, actor="anna")
    assert lived(stage) == []


def test_a_direct_debit_is_announced_with_mandate_and_creditor(database: Database):
    """SEPA: amount, the TARGET day, the mandate, the creditor's identifier; an IBAN masked."""
    stage = owing(database, Policy(STEPS, announce=Before(5)), "sepa", currency="EUR", payment_days=16)
    with database.write() as conn:
        iban = "DE89370400440532013000"
        mandates.set_creditor(
            conn, stage.entity, name="Op", creditor_id="DE98ZZZ09999999999", iban=_iban(stage.number)
        )
        mandates.sign(
            conn, stage.account, f"M-{stage.number}", iban=iban, holder="Ada", signed_on=START,
            key=KEY, actor="anna",
        )  # fmt: skip
    assert lived(stage, last=date(2026, 1, 25)) == [
        ("announce", "e-mail", 14)
    ]  # due Saturday 17th: Monday 19th
    with database.read() as conn:
        facts = conn.execute(sa.select(message.c.facts).where(message.c.account_id == stage.account)).scalar()
    assert facts is not None
    assert facts["day"] == "2026-01-19"
    assert f"M-{stage.number}" in facts["by"]
    with database.write() as conn:
        early = collecting.collect(
            conn, stage.entity, date(2026, 1, 17), KEY, actor="anna", today=date(2026, 1, 14)
        )
    assert early is not None
    assert (early.collect_on, early.count) == (date(2026, 1, 19), 1)
    assert "DE98ZZZ09999999999" in facts["by"]
    assert iban not in facts["by"]


def test_a_direct_debit_that_is_told_late_is_collected_later(database: Database):
    """The mandate came when the invoice was overdue: five days are five days, and the collector says why it waits."""
    stage = owing(database, Policy(STEPS, announce=Before(5)), "sepa", currency="EUR")
    with database.write() as conn:
        mandates.set_creditor(
            conn, stage.entity, name="Op", creditor_id="DE98ZZZ09999999999", iban=_iban(stage.number)
        )
        mandates.sign(
            conn, stage.account, f"M-{stage.number}", iban="DE89370400440532013000", holder="Ada", signed_on=START,
            key=KEY, actor="anna",
        )  # fmt: skip
        chosen, left = due.due(conn, stage.entity, DUE, DUE)
    number = stage.invoices()[0].number
    assert (chosen, left) == ([], [f"{number}: its debit is not announced yet; a dunning run does so"])
    assert lived(stage, date(2026, 1, 19), date(2026, 1, 21)) == [("announce", "e-mail", 19)]
    with database.write() as conn:
        chosen, left = due.due(conn, stage.entity, DUE, date(2026, 1, 23))
        assert (chosen, left) == ([], [f"{number}: its debit is announced for 2026-01-26"])
        chosen, left = due.due(conn, stage.entity, DUE, date(2026, 1, 26))
    assert ([one["number"] for one in chosen], left) == ([number], [])


def _iban(number: int) -> str:
    """A German IBAN of its own."""
    rest = f"37040044{number:010}"
    return f"DE{98 - int(rest + '131400') % 97:02}{rest}"


def test_each_account_by_its_own_day(database: Database):
    """At 20:00 UTC on the 7th it is the 8th in Perth, and still the 7th in Lisbon."""
    perth, lisbon = owing(database), owing(database, timezone="Europe/Lisbon")
    with clock.frozen(datetime(2026, 1, 7, 20, tzinfo=UTC)):
        reminding.remind(database, dry=True)
        assert (told(perth), told(lisbon)) == ([], [])
        reminding.remind(database)
    assert (told(perth), told(lisbon)) == ([("reminder", "e-mail", 8)], [])


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_it_is_written_and_lived_again(database: Database, point: str):
    """Nothing is there; the day again writes it once."""
    stage = owing(database)
    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        run_dunning(database, stage.reader, date(2026, 1, 8))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert told(stage) == []
    run_dunning(database, stage.reader, date(2026, 1, 8))
    run_dunning(database, stage.reader, date(2026, 1, 8))
    assert told(stage) == [("reminder", "e-mail", 8)]


def test_a_day_off_moves_a_reminder_to_the_business_day_before():
    """Seven days before is Thursday the 8th, a holiday: Wednesday. Two days before a Monday is Saturday: Friday."""
    assert earliest(WEEKDAYS, DUE, 7) == date(2026, 1, 7)
    assert earliest(WEEKDAYS, date(2026, 1, 19), 2) == date(2026, 1, 16)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(STEPS, reminders=(Before(0),)), "a reminder comes 1 to 60 days before, not 0"),
        (Policy(STEPS, reminders=(Before(3), Before(3, ("sms",)))), "two of its reminders come on one day"),
        (Policy(STEPS, reminders=(Before(3, ("call",)),)), "is told by letter, e-mail, sms, not by call"),
        (Policy(STEPS, announce=Before(3, ())), "announce of 3 days is told by .* not by none"),
    ],
)
def test_a_reminder_that_makes_no_sense_is_one_sentence(policy: Policy, words: str):
    """Before anything is stored."""
    with pytest.raises(PolicyNotUsable, match=words):
        policies.require_usable("odd", policy)


days = st.dates(date(2026, 1, 1), date(2026, 6, 30))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True), days, st.integers(200, 10_000), days,
    st.sampled_from([Calendar(), WEEKDAYS]), st.lists(st.tuples(days, st.integers(0, 20)), max_size=2),
)  # fmt: skip
def test_invariant_33_a_reminder_is_a_function_of_due_date_balance_promises_and_today(
    when, due, minor, since, rules, paused
):
    """Never on or after the due date, never while held up, each key once, and the nearest follows the farther."""
    policy = Policy(STEPS, calendar=rules, reminders=tuple(Before(n) for n in when))
    debt = Debt(due, "INV-1", Money(minor, "AUD"))
    held = [Promise(day, day + timedelta(days=n)) for day, n in paused]
    keys = []
    for offset in range(70):
        today = since + timedelta(days=offset)
        one = choose(policy, debt, held, None, today)
        assert one == choose(policy, debt, list(reversed(held)), None, today)
        if one is None:
            reached = [n for n in when if earliest(rules, due, n) <= today < due]
            assert not reached or any(p.made_on <= today <= p.until for p in held)
        else:
            assert today < due
            assert (due - today).days >= 1
            keys.append(int(one.key.rsplit(":", 1)[1]))
    assert keys == sorted(keys, reverse=True)


@given(days, st.integers(0, 10), st.integers(1, 30), st.booleans())
def test_a_debit_is_announced_from_its_days_before(due_on, before, ahead, bank):
    """A card until the day of its charge; a direct debit always so long ahead, on a day of TARGET."""
    debit = Debit(before, "x", bank)
    day = debit.day(due_on)
    policy = Policy(STEPS, reminders=(Before(5),), announce=Before(ahead))
    debt = Debt(due_on, "INV-1", Money(100, "EUR"))
    told_on = {}
    for offset in range(-60, 20):
        today = due_on + timedelta(days=offset)
        if (one := choose(policy, debt, [], debit, today)) is not None:
            told_on[today] = one.day
    assert min(told_on) == day - timedelta(days=ahead)
    assert told_on[min(told_on)] == day
    if bank:
        for today, when in told_on.items():
            assert when is not None
            assert (when - today).days >= ahead
            assert calendar.is_open(when)
    else:
        assert max(told_on) == day
        assert set(told_on.values()) == {day}
