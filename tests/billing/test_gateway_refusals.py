"""What a gateway refuses, and what it did though it had refused: no charge and no refund gets out of sight."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from billing import ledger, payments, promises
from billing.gateways import autopay, givebacks, polling, recording
from billing.gateways.errors import GatewayRefused, GatewaySilent, KeyRefused
from billing.gateways.protocol import Answer, Order, Told
from billing.gateways.state import CHARGE, DEBIT, FAILED, PENDING, REFUND, SUCCEEDED, Fact
from billing.refunding import byhand, refunds
from core.db import Database
from core.jobs import Job
from core.models import event
from core.money import Money
from tests.billing.paying import DUE, Fake, Paying

REFUSALS = [KeyRefused("fake", "AuthenticationError"), GatewayRefused("fake", "No such customer")]


@pytest.mark.parametrize("why", REFUSALS, ids=["key", "order"])
def test_what_was_refused_and_then_paid_in_cash_is_not_charged(database: Database, why: Exception) -> None:
    """Refused: nobody was charged, so it is as if nobody had asked."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    fake.refuses = why
    with pytest.raises(type(why)):
        stage.perform(fake)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("86.90"), "cash", f"k{stage.number}")
    fake.refuses = None
    stage.perform(fake)
    assert (fake.charged, stage.paid(), stage.tries()[0].state) == ({}, [8690], autopay.DROPPED)


@pytest.mark.parametrize("why", REFUSALS, ids=["key", "order"])
def test_what_was_asked_before_and_is_refused_now_is_not_forgotten(
    database: Database, why: Exception
) -> None:
    """Its first answer was lost: the charge may be there, and it is."""
    stage, fake = Paying(database), Fake(loses=1)
    stage.plan(DUE)
    with pytest.raises(GatewaySilent):
        stage.perform(fake)
    fake.refuses = why
    if isinstance(why, KeyRefused):
        with pytest.raises(KeyRefused):
            stage.perform(fake)
        fake.refuses = None
    stage.perform(fake)
    assert (len(fake.charged), stage.paid(), stage.tries()[0].state) == (1, [8690], SUCCEEDED)


def test_what_was_asked_long_ago_and_paid_in_cash_meanwhile_is_found_out_and_not_asked_again(
    database: Database,
) -> None:
    """Its answer was lost before the gateway had heard of it."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    fake.refuses = GatewaySilent("fake", "timeout")
    with pytest.raises(GatewaySilent):
        stage.perform(fake)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("86.90"), "cash", f"k{stage.number}")
    fake.refuses = None
    with pytest.raises(GatewaySilent, match="on its way"):
        stage.perform(fake)
    stage.later = timedelta(hours=2)
    stage.perform(fake)
    assert (fake.charged, stage.tries()[0].state) == ({}, autopay.DROPPED)


def test_another_method_takes_the_place_of_one_that_was_refused(database: Database) -> None:
    """The old one is not asked any more; the new one is, the same day."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    fake.refuses = REFUSALS[1]
    with pytest.raises(GatewayRefused):
        stage.perform(fake)
    terms = autopay.Method(gateway="fake", customer="cus_1", method="pm_2", label="visa 1111")
    with database.write() as conn:
        autopay.switch_on(conn, stage.account, terms, actor="ada")
    fake.refuses = None
    stage.perform(fake)
    assert (fake.charged, stage.tries()[0].state) == ({}, autopay.DROPPED)
    assert [one.method for one in stage.plan(DUE)] == ["pm_1", "pm_2"]
    stage.perform(fake)
    assert ([order.method for order in fake.charged.values()], stage.open()) == (["pm_2"], 0)


def test_what_waits_is_not_charged_after_autopay_was_switched_off(database: Database) -> None:
    """They said no before anybody had asked."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    with database.write() as conn:
        autopay.switch_off(conn, stage.account, actor="ada")
    stage.perform(fake)
    assert (fake.charged, stage.tries()[0].code) == ({}, "autopay is off")


class _Refunding(Paying):
    """Its invoice was paid, and AUD 10.00 of that are to go back."""

    def __init__(self, database: Database, fake: Fake) -> None:
        super().__init__(database)
        self.fake = fake
        self.plan(DUE)
        self.perform(fake)
        (self.row,) = self.tries()
        with database.write() as conn:
            byhand.unallocate(conn, self.row.payment_id, self.row.invoice_id, actor="sue")
            given: Any = {"method": "fake", "actor": "sue", "reason": "left", "key": f"r{self.number}"}
            self.refund = refunds.refund(conn, self.row.payment_id, Money(1_000, "AUD"), **given)

    def give_back(self) -> None:
        """Perform the refund's job."""
        work = Job(1, givebacks.REFUND, {"refund": self.refund}, 1)
        givebacks.perform(self.database, work, lambda _name: self.fake)

    def fate(self) -> str:
        """What the books say of it."""
        with self.database.read() as conn:
            return str(refunds.get(conn, self.refund)["state"])

    def held(self) -> int:
        """What the books say that the gateway holds of the account's money."""
        with self.database.read() as conn:
            return ledger.balance(conn, "cash:fake", self.account, "AUD").minor

    def say(self, fact: Fact) -> None:
        """The gateway says something of the charge."""
        with self.database.write() as conn:
            recording.answered(conn, self.row.id, Answer("", (fact,)))


def test_a_refund_waits_for_a_key_that_is_refused(database: Database) -> None:
    """The money went back, its answer was lost, and then the key was revoked: that is no word on the refund."""
    stage = _Refunding(database, Fake())
    stage.fake.loses = 1
    with pytest.raises(GatewaySilent):
        stage.give_back()
    stage.fake.refuses = REFUSALS[0]
    with pytest.raises(KeyRefused, match="key"):
        stage.give_back()
    assert stage.fate() == "requested"
    stage.fake.refuses = None
    stage.give_back()
    assert (stage.fate(), stage.held()) == ("settled", 7690)


def test_a_refund_that_was_done_before_it_was_refused_is_found(database: Database) -> None:
    """Whatever the reason of the refusal: first it is looked for."""
    stage = _Refunding(database, Fake())
    stage.fake.loses = 1
    with pytest.raises(GatewaySilent):
        stage.give_back()
    stage.fake.refuses = REFUSALS[1]
    stage.give_back()
    assert (stage.fate(), stage.held()) == ("settled", 7690)


@pytest.mark.parametrize("then", [None, FAILED])
def test_a_refund_that_the_gateway_did_though_it_had_refused_is_taken_off(
    database: Database, then: str | None
) -> None:
    """In our books it failed and was credit again; the gateway says it left. When it comes back, so does the credit."""
    stage = _Refunding(database, Fake())
    stage.fake.refuses = REFUSALS[1]
    stage.give_back()
    assert (stage.fate(), stage.held()) == ("failed", 8690)
    left = Fact(REFUND, SUCCEEDED, 0, f"re_{stage.number}", 1_000, "", stage.refund)
    stage.say(left)
    stage.say(left)
    assert stage.held() == 7690
    if then is not None:
        stage.say(Fact(REFUND, then, 0, f"re_{stage.number}", 1_000, "bounced", stage.refund))
        assert stage.held() == 8690
    with database.read() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM refund WHERE state = 'failed'")).scalar() == 1


def test_a_hard_decline_is_not_the_end_for_another_method(database: Database) -> None:
    """The customer was asked, and gave one: it has tries of its own, the first at once."""
    stage, fake = Paying(database), Fake({1: Fact(CHARGE, FAILED, code="stolen_card")})
    stage.plan(DUE)
    stage.perform(fake)
    assert len(stage.plan(DUE + timedelta(9))) == 1
    terms = autopay.Method(gateway="fake", customer="cus_1", method="pm_2", label="visa 1111")
    with database.write() as conn:
        autopay.switch_on(conn, stage.account, terms, actor="ada")
    assert len(stage.plan(DUE + timedelta(9))) == 2
    stage.perform(fake)
    assert (stage.open(), [one.state for one in stage.tries()]) == (0, [FAILED, SUCCEEDED])


def test_pauses_are_counted_from_the_day_on_which_a_debit_was_known_to_fail(database: Database) -> None:
    """It takes days until a bank says so."""
    stage, fake = Paying(database), Fake({1: Fact(DEBIT, PENDING, 1)})
    stage.plan(DUE)
    stage.perform(fake)
    stage.later = timedelta(days=4)
    stage.hear(1, Fact(DEBIT, FAILED, 9, code="refer_to_payer"))
    stage.later = timedelta(0)
    assert len(stage.plan(DUE + timedelta(5))) == 1
    assert len(stage.plan(DUE + timedelta(6))) == 2


def test_an_event_of_another_gateway_is_not_taken_for_ours(database: Database) -> None:
    """Two of them may call their charges alike, and know our key."""
    stage = Paying(database)
    (one,) = stage.plan(DUE)
    for number, told in enumerate((
        Told(id="1", kind="x", attempt=one.id, fact=Fact(CHARGE, SUCCEEDED, 1)),
        Told(id="2", kind="x", reference=f"pi_{one.id}", fact=Fact(CHARGE, SUCCEEDED, 1)),
    )):  # fmt: skip
        with database.write() as conn:
            assert recording.hear(conn, f"other{stage.number}", told), number
    stage.perform(Fake({1: Fact(CHARGE, PENDING)}))
    stage.plan(DUE)
    assert (stage.paid(), stage.tries()[0].state) == ([], PENDING)


def test_an_event_that_comes_twice_at_once_is_heard_once(database: Database) -> None:
    """No delivery ends in an error, so the gateway does not send it again and again."""
    stage = Paying(database)
    stage.plan(DUE)
    fact = Fact(CHARGE, SUCCEEDED, 1)
    with ThreadPoolExecutor(8) as pool:
        news = list(pool.map(lambda _n: stage.hear(1, fact), range(16)))
    assert (sum(news), stage.paid()) == (1, [8690])


class _Overtaken(Fake):
    """The event comes while it is asked what became of the charge."""

    stage: Paying

    def find(self, order: Order) -> Answer | None:
        """Nothing yet: and then it is told."""
        self.stage.hear(1, Fact(CHARGE, SUCCEEDED, 9), f"pi_{order.key}")
        return None


def test_an_event_that_overtakes_the_question_is_not_overwritten(database: Database) -> None:
    """The charge came in though nobody wanted it any more: its money is credit, not forgotten."""
    stage, fake = Paying(database), _Overtaken(loses=1)
    fake.stage = stage
    stage.plan(DUE)
    with pytest.raises(GatewaySilent):
        stage.perform(fake)
    with database.write() as conn:
        payments.pay(conn, stage.account, stage.money("86.90"), "cash", f"k{stage.number}")
    stage.later = timedelta(hours=2)
    stage.perform(fake)
    assert (stage.tries()[0].state, stage.paid()) == (SUCCEEDED, [8690, 8690])


def test_a_refund_that_is_not_shown_to_us_has_not_failed(database: Database) -> None:
    """The key of another account was set up by mistake: what it does not know of is on its way all the same."""
    stage = _Refunding(database, Fake())
    with database.write() as conn:
        refunds.sent(conn, stage.refund, actor="gateway", reference=f"re_{stage.number}")
    with pytest.raises(GatewayRefused, match="No such refund"):
        stage.give_back()
    assert (stage.fate(), stage.held()) == ("sent", 8690)


def test_who_promises_after_it_was_planned_is_not_charged(database: Database) -> None:
    """The key was refused for days, and they said when they would pay by themselves."""
    stage, fake = Paying(database), Fake()
    stage.plan(DUE)
    with database.write() as conn:
        promises.make(conn, stage.account, DUE + timedelta(9), actor="sue", on=DUE)
    stage.perform(fake)
    assert (fake.charged, stage.tries()[0].code) == ({}, "promised")
    assert len(stage.plan(DUE + timedelta(10))) == 2


def test_an_event_that_cannot_be_taken_in_keeps_no_other_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is told of it once, and the rest is heard; the next time goes on from there."""
    stage, fake = Paying(database), Fake()
    (one,) = stage.plan(DUE)
    good = Told(id=f"good{stage.number}", kind="x", attempt=one.id, fact=Fact(CHARGE, SUCCEEDED, 1))
    bad = Told(id=f"bad{stage.number}", kind="x", attempt=one.id, fact=Fact(CHARGE, SUCCEEDED, 1))
    monkeypatch.setattr(fake, "events", lambda _since, _until: iter([bad, good]))
    real = recording.hear

    def hear(conn: Any, gateway: str, told: Told) -> bool:
        if told == bad:
            raise GatewayRefused("fake", "nonsense")
        return real(conn, gateway, told)

    monkeypatch.setattr(recording, "hear", hear)
    for new in (1, 0):
        work = Job(1, polling.POLL, {"gateway": "fake"}, 1)
        assert polling.perform(database, work, lambda _name: fake) == new
    assert stage.paid() == [8690]
    told = stage._rows(sa.select(event).where(event.c.unique_key == f"unheard:fake:bad{stage.number}"))
    assert [row.data["why"] for row in told] == [str(GatewayRefused("fake", "nonsense"))]
