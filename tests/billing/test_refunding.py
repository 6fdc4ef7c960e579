"""Refunds, chargebacks, moves, voids, allocations by hand, in any order: the books agree after each."""

import itertools
from collections import Counter
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from beancount import loader
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import accounts, billables, crediting, debts, invoices, ledger, payments
from billing.billables import Billable
from billing.billrun import run_billing
from billing.books import journal
from billing.dunning import run_dunning
from billing.errors import AmountNotPayable, CurrencyWrong, PaymentKeyReused
from billing.models import allocation, invoice, payment
from billing.refunding import byhand, chargebacks, moving, refunds
from billing.refunding.errors import (
    ChargebackUnknown,
    NotAllocated,
    NotChargeable,
    NotMovable,
    NotRefundable,
    PaymentUnknown,
    RefundUnknown,
    RuleUnknown,
)
from billing.refunding.models import chargeback as chargeback_table
from billing.refunding.models import outflow
from billing.refunding.models import refund as refund_table
from billing.runs import verify
from core.db import Database
from core.errors import Terminal
from core.money import Money
from tests.billing.stage import START, Stage, changes_of
from tests.faults_matrix import KILLED, run_child
from tests.support import examples

POINTS = [refunds.P_REFUND, chargebacks.P_CHARGEBACK, moving.P_MOVED]
FEW = settings(
    max_examples=examples(10),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LATER = date(2026, 1, 5)
REFUSED = (NotRefundable, NotChargeable, NotMovable, NotAllocated, AmountNotPayable)


def owing(database: Database, *amounts: int, stage: Stage | None = None, due: int = 0) -> Stage:
    """An account with an invoice of each amount (without tax), a day apart, due after `due` days."""
    stage = stage or Stage(database, payment_days=due)
    for number, minor in enumerate(amounts):
        day = date(2026, 1, 1 + number)
        one = Billable(account=stage.account, kind="one-off", source=f"{stage.entity}:{stage.account}:{number}",
                       description="Thing", amount=Money(minor, "AUD"), billed_from=day)  # fmt: skip
        with database.write() as conn:
            billables.add(conn, one, actor="test")
        run_billing(database, stage.reader, day)
    return stage


def pay(stage: Stage, minor: int, key: str = "p", method: str = "bank", **given: Any) -> str:
    """Pay; the payment's id."""
    with stage.database.write() as conn:
        money = Money(minor, "AUD")
        return payments.pay(
            conn, stage.account, money, method, f"{stage.account}:{key}", on=LATER, **given
        ).payment


def do(stage: Stage, what: Any, *args: Any, **given: Any) -> Any:
    """One step in a transaction of its own, by anna on the fifth."""
    with stage.database.write() as conn:
        return what(conn, *args, **{"actor": "anna", "on": LATER, **given})


def refund(stage: Stage, one: str, minor: int, key: str = "r", **given: Any) -> str:
    """Ask for a refund."""
    given = {"method": "bank", "reason": "left", "key": f"{stage.account}:{key}", **given}
    return str(do(stage, refunds.refund, one, Money(minor, "AUD"), **given))


def chargeback(stage: Stage, one: str, minor: int, key: str = "c", **given: Any) -> str:
    """The bank takes money back."""
    return str(
        do(stage, chargebacks.chargeback, one, Money(minor, "AUD"), key=f"{stage.account}:{key}", **given)
    )


def open_of(stage: Stage) -> dict[str, int]:
    """What is open, by number."""
    with stage.database.read() as conn:
        return {one.number[-1]: one.balance for one in debts.open_balances(conn, stage.account)}


def credit(stage: Stage) -> int:
    """Unapplied minor units."""
    with stage.database.read() as conn:
        return payments.credit(conn, accounts.get(conn, stage.account)).minor


def book(stage: Stage, name: str, day: date | None = None) -> int:
    """What stands on an account of the books."""
    with stage.database.read() as conn:
        return ledger.balance(conn, name, stage.account, "AUD", day).minor


def require_sound(*stages: Stage) -> None:
    """Invariants 20 to 24 of these accounts, told by other means than billing uses."""
    with stages[0].database.read() as conn:
        assert sum(ledger.trial_balance(conn).values()) == 0
        for stage in stages:
            _require_sound(conn, stage)
        mine = [one.account for one in stages]
        assert sum(ledger.balance(conn, "transfers", one, "AUD").minor for one in mine) == 0


def _require_sound(conn: Any, stage: Stage) -> None:
    paid = conn.execute(sa.select(payment).where(payment.c.account_id == stage.account)).all()
    owed = conn.execute(sa.select(invoice).where(invoice.c.account_id == stage.account, invoice.c.kind == "invoice",
                                                 invoice.c.state == "final")).all()  # fmt: skip
    shares: Counter[tuple[str, str]] = Counter()
    moves = Counter[date]()
    for row in conn.execute(
        sa.select(allocation).where(allocation.c.payment_id.in_([one.id for one in paid]))
    ):
        shares[row.payment_id, row.invoice_id] += row.amount
        moves[row.allocated_on] += row.amount
    assert min(shares.values(), default=0) >= 0
    unapplied, pending, cash = 0, 0, 0
    for one in paid:
        asked = _amounts(conn, refund_table, one.id)
        back = _amounts(conn, chargeback_table, one.id)
        gone = sum(minor for minor, state in asked if state != "failed")
        gone += sum(minor for minor, state in back if state == "open")
        assert gone <= one.amount  # 24
        other = conn.execute(sa.select(sa.func.coalesce(sa.func.sum(outflow.c.amount), 0)).where(
            outflow.c.payment_id == one.id, outflow.c.kind.in_(("moved", "voided")))).scalar_one()  # fmt: skip
        rest = (
            one.amount
            - gone
            - int(other)
            - sum(minor for (mine, _), minor in shares.items() if mine == one.id)
        )
        assert rest >= 0  # 22
        assert one.spent == (rest == 0)
        unapplied += rest
        pending += sum(minor for minor, state in asked if state in ("requested", "sent"))
        cash += one.amount - gone - int(other) if one.kind == "receipt" else 0
    cash += pending
    used: Counter[str] = Counter()
    for (_, which), minor in shares.items():
        used[which] += minor
    assert all(used[one.id] <= one.total for one in owed)  # 22
    assert payments.credit(conn, accounts.get(conn, stage.account)).minor == unapplied  # 23
    assert ledger.balance(conn, ledger.CREDIT, stage.account, "AUD").minor == -unapplied
    assert ledger.balance(conn, "refunds-pending", stage.account, "AUD").minor == -pending
    for day in {one.issued_on for one in owed} | set(moves):  # 21
        expected = sum(one.total for one in owed if one.issued_on <= day)
        expected -= sum(minor for when, minor in moves.items() if when <= day)
        assert ledger.balance(conn, ledger.RECEIVABLE, stage.account, "AUD", day).minor == expected
    found = sum(minor for (name, currency), minor in _of(conn, stage).items() if name.startswith("cash:"))
    moved = ledger.balance(conn, "transfers", stage.account, "AUD").minor
    assert found == cash - moved


def _amounts(conn: Any, table: sa.Table, one: str) -> list[tuple[int, str]]:
    rows = conn.execute(sa.select(table.c.amount, table.c.state).where(table.c.payment_id == one))
    return [(row[0], row[1]) for row in rows]


def _of(conn: Any, stage: Stage) -> dict[tuple[str, str], int]:
    names = {name for name, _ in ledger.trial_balance(conn)}
    return {(name, "AUD"): ledger.balance(conn, name, stage.account, "AUD").minor for name in names}


_STEPS = ("pay", "refund", "sent", "settled", "failed", "chargeback", "won", "unallocate", "allocate", "move", "void",
          "credit", "bill")  # fmt: skip
_steps = st.lists(
    st.tuples(st.sampled_from(_STEPS), st.integers(0, 5), st.integers(1, 12_000)), min_size=3, max_size=14
)


@FEW
@given(_steps)
def test_invariants_20_to_24_after_each_step_of_any_sequence(database: Database, steps):
    """Two accounts of one company; whatever happens, refused or not, leaves sound books."""
    one = owing(database, 5_000, 3_000)
    other = owing(database, 4_000, stage=Stage(database, legal_entity=one.entity, payment_days=0))
    played = _Play(one, other)
    for number, (what, which, minor) in enumerate(steps):
        try:
            getattr(played, what)(number, which, minor)
        except REFUSED:
            played.refused += 1
        require_sound(one, other)
    with database.read() as conn:
        text = "\n".join(journal.beancount(conn)) + "\n"
    assert loader.load_string(text)[1] == []
    with database.read() as conn:
        owned = invoice.c.account_id.in_([one.account, other.account])
        numbers = set(conn.execute(sa.select(invoice.c.number).where(owned)).scalars())
    mine = {one.account, other.account, *played.payments, *numbers}
    assert [str(found) for found in verify.breaches(database) if found.where in mine] == []


class _Play:
    """What may happen, by name."""

    def __init__(self, one: Stage, other: Stage) -> None:
        self.stages = (one, other)
        self.payments: list[str] = []
        self.refunds: list[str] = []
        self.chargebacks: list[str] = []
        self.refused = 0
        self.pay(-1, 0, 6_000)

    def pay(self, number: int, which: int, minor: int) -> None:
        self.payments.append(pay(self.stages[which % 2], minor, str(number)))

    def _one(self, which: int) -> str:
        return str(self.payments[which % len(self.payments)])

    def refund(self, number: int, which: int, minor: int) -> None:
        method = ("bank", "cash")[which % 2]
        self.refunds.append(refund(self.stages[0], self._one(which), minor, str(number), method=method))

    def _next(self, which: int, what: Any, **given: Any) -> None:
        if self.refunds:
            do(self.stages[0], what, self.refunds[which % len(self.refunds)], **given)

    def sent(self, _number: int, which: int, _minor: int) -> None:
        if self.refunds:
            with self.stages[0].database.write() as conn:
                refunds.sent(conn, self.refunds[which % len(self.refunds)], actor="anna")

    def settled(self, _number: int, which: int, _minor: int) -> None:
        self._next(which, refunds.settled)

    def failed(self, _number: int, which: int, _minor: int) -> None:
        self._next(which, refunds.failed, why="AC04")

    def chargeback(self, number: int, which: int, minor: int) -> None:
        self.chargebacks.append(chargeback(self.stages[0], self._one(which), minor, str(number)))

    def won(self, _number: int, which: int, _minor: int) -> None:
        if self.chargebacks:
            do(
                self.stages[0],
                chargebacks.chargeback_reversed,
                self.chargebacks[which % len(self.chargebacks)],
            )

    def _invoice(self, which: int) -> str:
        rows = [*self.stages[0].invoices(), *self.stages[1].invoices()]
        return str(rows[which % len(rows)].id)

    def unallocate(self, _number: int, which: int, minor: int) -> None:
        amount = Money(minor, "AUD") if which % 2 else None
        do(self.stages[0], byhand.unallocate, self._one(which), self._invoice(minor), amount)

    def allocate(self, _number: int, which: int, minor: int) -> None:
        amount = Money(minor, "AUD") if which % 2 else None
        do(
            self.stages[0],
            byhand.allocate,
            self._one(which),
            self._invoice(minor) if which % 3 else None,
            amount,
        )

    def move(self, _number: int, which: int, minor: int) -> None:
        to = self.stages[minor % 2].account
        self.payments.append(do(self.stages[0], moving.move, self._one(which), to, reason="wrong"))

    def void(self, _number: int, which: int, _minor: int) -> None:
        do(self.stages[0], moving.void, self._one(which), reason="typo")

    def credit(self, number: int, which: int, _minor: int) -> None:
        row = self.stages[which % 2].invoices()[0]
        with self.stages[0].database.write() as conn:
            try:
                crediting.credit(
                    conn, row.id, {1: Money(700, "AUD")}, actor="anna", reason="x", key=f"{number}"
                )
            except Terminal:
                return
        invoices.finalise(self.stages[0].database)

    def bill(self, number: int, which: int, minor: int) -> None:
        stage = self.stages[which % 2]
        one = Billable(account=stage.account, kind="one-off", source=f"{stage.account}:more:{number}", tax="",
                       description="More", amount=Money(minor, "AUD"), billed_from=LATER)  # fmt: skip
        with stage.database.write() as conn:
            billables.add(conn, one, actor="test")
        run_billing(stage.database, stage.reader, LATER)


def test_a_refund_takes_only_what_is_unapplied(database: Database):
    """What pays an invoice stays; the sentence says which; taken off by hand it may go."""
    stage = owing(database, 5_000)
    one = pay(stage, 6_000)
    with pytest.raises(
        NotRefundable, match=rf"AUD 5\.00 of it pay INV-{stage.entity}-000001; credit the invoice"
    ):
        refund(stage, one, 1_500)
    assert refund(stage, one, 1_000) == refund(stage, one, 1_000)
    with pytest.raises(PaymentKeyReused):
        refund(stage, one, 900)
    do(stage, byhand.unallocate, one, f"INV-{stage.entity}-000001", Money(500, "AUD"))
    refund(stage, one, 500, "more")
    assert (open_of(stage), credit(stage), book(stage, "refunds-pending")) == ({"1": 500}, 0, -1_500)


def test_what_was_credited_goes_back_the_way_it_came(database: Database):
    """The credit note takes the payment's place on the invoice, so that the captured payment is what is refunded."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    made = stage.invoices()[0]
    with database.write() as conn:
        crediting.credit(conn, made.id, actor="anna", reason="mistake", key=f"{stage.entity}:all")
    invoices.finalise(database)
    refund(stage, one, 5_000)
    assert (open_of(stage), credit(stage)) == ({}, 0)
    require_sound(stage)


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "settled", "failed"])))
def test_invariants_25_and_26_news_of_a_refund_in_any_order_end_alike(database: Database, order):
    """Late, twice or in the wrong order: failed is failed, the credit is back once, the cash is what it was."""
    stage = owing(database)
    one = pay(stage, 2_000)
    asked = refund(stage, one, 1_500)
    for _ in range(2):
        for what in order:
            given = {"why": "AC04"} if what == "failed" else {}
            with database.write() as conn:
                getattr(refunds, what)(conn, asked, actor="gateway", **given)
    assert (credit(stage), book(stage, "cash:bank"), book(stage, "refunds-pending")) == (2_000, 2_000, 0)
    with database.read() as conn:
        assert refunds.get(conn, asked)["state"] == "failed"


def test_a_failed_refund_pays_what_is_open_by_then(database: Database):
    """The credit that comes back does not lie idle beside a debt."""
    stage = Stage(database)
    one = pay(stage, 2_000)
    asked = refund(stage, one, 2_000)
    owing(database, 1_200, stage=stage)
    assert open_of(stage) == {"1": 1_200}
    do(stage, refunds.failed, asked, why="AC04")
    assert (open_of(stage), credit(stage)) == ({}, 800)


def test_cash_is_handed_over_at_once_and_others_wait(database: Database):
    """Cash has left the drawer; a gateway's refund waits to be sent, and is known by the gateway's name then."""
    stage = owing(database)
    one = pay(stage, 2_000, method="cash")
    refund(stage, one, 500, method="cash")
    assert book(stage, "cash:cash") == 1_500
    asked = refund(stage, one, 300, "s", method="stripe")
    with database.write() as conn:
        assert refunds.waiting(conn, "stripe") == [asked]
        refunds.sent(conn, asked, actor="gateway", reference=f"re_{stage.entity}")
        assert refunds.waiting(conn, "stripe") == []
        assert refunds.get(conn, f"re_{stage.entity}")["id"] == asked


def test_a_chargeback_opens_the_newest_allocation_first(database: Database):
    """80.00 paid 50 and 30: 40 back opens all of the second and 10 of the first; unapplied money goes before both."""
    stage = owing(database, 5_000, 3_000)
    one = pay(stage, 8_500)
    chargeback(stage, one, 4_500)
    assert open_of(stage) == {"1": 1_000, "2": 3_000}
    assert (credit(stage), book(stage, "cash:bank")) == (0, 4_000)
    with pytest.raises(NotChargeable, match=r"only AUD 40\.00 are left"):
        chargeback(stage, one, 4_001, "more")


def test_debt_that_is_open_again_is_as_old_as_it_was_and_is_held_again(database: Database):
    """Paid in the last moment, charged back later: the next dunning run enters the stage of the old due date."""
    stage = Stage(database, payment_days=14)
    service = stage.add()
    run_billing(database, stage.reader, START)
    late = date(2026, 2, 20)
    assert run_dunning(database, stage.reader, late).held == (service,)
    one = pay(stage, 8_690)
    assert run_dunning(database, stage.reader, late).held == ()
    made = chargeback(stage, one, 8_690, on=late, reason="AM04")
    run = run_dunning(database, stage.reader, late)
    assert run.held == (service,)
    assert [change.op for change in changes_of(database, run.hold_set)] == ["put"]
    assert len(do(stage, chargebacks.chargeback_reversed, made, on=late)) == 1
    assert do(stage, chargebacks.chargeback_reversed, made, on=late) == ()
    assert open_of(stage) == {}
    require_sound(stage)


def test_other_credit_pays_what_a_chargeback_opened(database: Database):
    """Credit that lies there is used before anybody is dunned."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    pay(stage, 2_000, "other")
    chargeback(stage, one, 5_000)
    assert (open_of(stage), credit(stage)) == ({"1": 3_000}, 0)


def test_a_fee_is_billed_by_the_next_run_and_taken_back_when_it_is_won(database: Database):
    """The bank's own fee is our expense, the customer's fee a line of its own kind."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    made = chargeback(stage, one, 5_000, fee=Money(1_500, "AUD"), tax="", cost=Money(750, "AUD"))
    assert book(stage, "fees:chargebacks") == 750
    run_billing(database, stage.reader, LATER)
    assert open_of(stage) == {"1": 5_000, "2": 1_500}
    assert book(stage, "revenue:chargeback-fees") == -1_500
    do(stage, chargebacks.chargeback_reversed, made)
    run_billing(database, stage.reader, date(2026, 1, 6))
    assert (open_of(stage), book(stage, "revenue:chargeback-fees")) == ({}, 0)


def test_a_chargeback_told_again_is_one(database: Database):
    """By its key; after it was won as well."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    made = chargeback(stage, one, 2_000)
    assert chargeback(stage, one, 2_000) == made
    do(stage, chargebacks.chargeback_reversed, made)
    assert chargeback(stage, one, 2_000) == made
    assert open_of(stage) == {}
    with pytest.raises(PaymentKeyReused):
        chargeback(stage, one, 1_999)


def test_what_a_person_took_off_stays_off_until_a_person_says(database: Database):
    """No later payment or run allocates it; by hand it goes where it is wanted, or back to the rule."""
    stage = owing(database, 5_000, 3_000)
    one = pay(stage, 5_000)
    first, second = (f"INV-{stage.entity}-00000{n}" for n in (1, 2))
    do(stage, byhand.unallocate, one, first)
    pay(stage, 1_000, "small")
    assert (open_of(stage), credit(stage)) == ({"1": 4_000, "2": 3_000}, 5_000)
    do(stage, byhand.allocate, one, second, Money(2_500, "AUD"))
    assert (open_of(stage), credit(stage)) == ({"1": 4_000, "2": 500}, 2_500)
    do(stage, byhand.allocate, one, second)
    assert (open_of(stage), credit(stage)) == ({"1": 2_000}, 0)
    require_sound(stage)


def test_allocating_again_and_again_is_booked_each_time(database: Database):
    """The books have a source for each, though payment and invoice are the same."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    number = f"INV-{stage.entity}-000001"
    for _ in range(3):
        do(stage, byhand.unallocate, one, number)
        do(stage, byhand.allocate, one, number)
    assert len(stage.allocations()) == 7
    require_sound(stage)


def test_allocating_by_hand_frees_a_held_service(database: Database):
    """Invariant 30: the release is in the transaction that pays."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        byhand.set_rule(conn, stage.account, "by-hand", actor="anna")
    one = pay(stage, 8_690)
    late = date(2026, 2, 20)
    assert len(run_dunning(database, stage.reader, late).held) == 1
    assert len(do(stage, byhand.allocate, one, stage.invoices()[0].number, on=late)) == 1


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ("named-first", {"1": 4_000}),
        ("oldest", {"2": 2_000, "3": 2_000}),
        ("named-only", {"1": 5_000, "2": 1_000}),
        ("by-hand", {"1": 5_000, "2": 3_000, "3": 2_000}),
    ],
)
def test_the_account_s_rule_says_what_a_payment_pays(database: Database, rule, left):
    """60.00 that name the third invoice (20.00) and then the second (30.00); without names the oldest is paid first."""
    stage = owing(database, 5_000, 3_000, 2_000)
    with database.write() as conn:
        byhand.set_rule(conn, stage.account, rule, actor="anna")
    rows = {row.number[-1]: row.id for row in stage.invoices()}
    minor = 4_000 if rule == "named-only" else 6_000
    pay(stage, minor, named=[rows["3"], rows["2"]])
    assert open_of(stage) == left
    require_sound(stage)


def test_a_payment_of_the_wrong_account_is_moved(database: Database):
    """What it paid is open again, it pays the other's debt, and a chargeback finds it there."""
    wrong = owing(database, 5_000)
    right = owing(database, 3_000, stage=Stage(database, legal_entity=wrong.entity, payment_days=0))
    one = pay(wrong, 5_000)
    made = do(wrong, moving.move, one, right.account, reason="wrong account")
    assert (open_of(wrong), open_of(right), credit(right)) == ({"1": 5_000}, {}, 2_000)
    assert do(wrong, moving.move, one, right.account, reason="wrong account") == made
    with pytest.raises(NotMovable, match=f"it went to account {right.account} as {made}; move that one"):
        do(wrong, moving.move, one, wrong.account, reason="no")
    chargeback(wrong, one, 5_000)
    assert (open_of(right), credit(right)) == ({"2": 3_000}, 0)
    require_sound(wrong, right)


def test_a_move_frees_the_right_account_s_service(database: Database):
    """Paid after all: released in the same transaction."""
    right = Stage(database)
    right.add()
    run_billing(database, right.reader, START)
    wrong = Stage(database, legal_entity=right.entity)
    one = pay(wrong, 8_690)
    assert len(run_dunning(database, right.reader, date(2026, 2, 20)).held) == 1
    do(wrong, moving.move, one, right.account, reason="wrong account", on=date(2026, 2, 20))
    assert run_dunning(database, right.reader, date(2026, 2, 20)).released == ()
    with database.read() as conn:
        assert conn.execute(sa.text("SELECT count(*) FROM nonpayment_hold WHERE held")).scalar() == 0


def test_money_of_another_company_is_not_moved(database: Database):
    """It lies in that company's bank."""
    wrong, right = Stage(database), Stage(database)
    one = pay(wrong, 1_000)
    with pytest.raises(NotMovable, match="another currency or legal entity; refund it instead"):
        do(wrong, moving.move, one, right.account, reason="x")


def test_a_mis_keyed_payment_is_voided(database: Database):
    """What it paid is open again and the cash is gone; again nothing happens; a gateway's payment is not voided."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000, method="cash")
    for _ in range(2):
        do(stage, moving.void, one, reason="typo")
    assert (open_of(stage), book(stage, "cash:cash"), credit(stage)) == ({"1": 5_000}, 0, 0)
    with pytest.raises(NotRefundable, match=r"only AUD 0\.00 are left"):
        refund(stage, one, 1)
    with pytest.raises(NotMovable, match=r"nobody keyed it in \(it came by stripe\)"):
        do(stage, moving.void, pay(stage, 100, "s", method="stripe"), reason="typo")
    asked = pay(stage, 6_000, "b")
    refund(stage, asked, 500)
    with pytest.raises(NotMovable, match="is on its way"):
        do(stage, moving.void, asked, reason="typo")


def test_a_mistake_is_one_sentence(database: Database):
    """What is wrong and what to do; nothing is kept."""
    stage = owing(database, 5_000)
    one = pay(stage, 5_000)
    number = f"INV-{stage.entity}-000001"
    with pytest.raises(PaymentUnknown, match="'trunkline billing payments ACCOUNT'"):
        refund(stage, "pay_x", 1)
    with pytest.raises(CurrencyWrong):
        do(stage, chargebacks.chargeback, one, Money(1, "EUR"), key="x")
    with pytest.raises(AmountNotPayable):
        chargeback(stage, one, 0)
    with pytest.raises(NotAllocated, match=r"it pays AUD 50\.00 of it, not AUD 50\.01"):
        do(stage, byhand.unallocate, one, number, Money(5_001, "AUD"))
    with pytest.raises(NotAllocated, match="nothing of the invoice is open"):
        do(stage, byhand.allocate, one, number)
    other = owing(database, 100)
    with pytest.raises(NotAllocated, match="move the payment first"):
        do(stage, byhand.allocate, one, other.invoices()[0].number)
    with pytest.raises(RefundUnknown), database.write() as conn:
        refunds.sent(conn, "rfd_x", actor="a")
    with pytest.raises(ChargebackUnknown):
        do(stage, chargebacks.chargeback_reversed, "cbk_x")
    with pytest.raises(RuleUnknown, match="choose one of named-first, oldest"), database.write() as conn:
        byhand.set_rule(conn, stage.account, "best", actor="a")
    assert len(stage.allocations()) == 1


def test_the_proof_sees_what_is_wrong_with_payments(database: Database):
    """`verify` tells of more refunded than captured, and of a mark that hides credit."""
    stage = owing(database)
    one, other = pay(stage, 1_000), pay(stage, 1_000, "other")
    refund(stage, one, 1_000)
    with database.write() as conn:
        conn.execute(sa.update(outflow).where(outflow.c.payment_id == one).values(amount=1_001))
        conn.execute(sa.update(payment).where(payment.c.id == other).values(spent=True))
    found = {(one.invariant, one.where) for one in verify.breaches(database)}
    assert {(24, one), (22, one), (23, other)} <= found


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_the_commit_and_done_again_it_is_done_once(database: Database, point: str):
    """A refund, a chargeback, a move: all or nothing, and the same words again do it once."""
    stage = owing(database, 2_000)
    other = Stage(database, legal_entity=stage.entity)
    one, wrong = pay(stage, 5_000), pay(stage, 700, "wrong")
    arguments = [database.url.render_as_string(hide_password=False), one, wrong, other.account]
    assert run_child("tests.billing.doomed_refunds", arguments, point).returncode == KILLED
    for _ in range(2):
        assert run_child("tests.billing.doomed_refunds", arguments, "none").returncode == 0
    assert (open_of(stage), credit(stage), credit(other)) == ({"1": 1_000}, 0, 700)
    require_sound(stage, other)
