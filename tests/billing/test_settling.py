"""The mark of settled invoices is right after everything that moves a balance, and asks as of any day agree with it."""

from datetime import date, timedelta

import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing import debts, payments, settling
from billing.books import reports
from billing.models import allocation, invoice
from billing.refunding import byhand, chargebacks
from billing.writeoffs import writing
from core.db import Database
from core.errors import Terminal
from core.money import Money
from tests.billing.test_refunding import owing
from tests.support import examples

FIRST = date(2026, 1, 6)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["pay", "back", "again", "off", "on", "write"]), st.integers(0, 2), st.integers(1, 9)
    ),
    min_size=1, max_size=7,
)  # fmt: skip


@settings(
    max_examples=examples(7), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_steps)
@example([("pay", 0, 2), ("pay", 0, 3), ("back", 1, 3), ("again", 1, 1), ("pay", 0, 9)])
@example([("pay", 0, 9), ("off", 0, 1), ("on", 0, 1), ("write", 2, 1), ("pay", 0, 4)])
def test_the_mark_and_the_aged_list_are_what_a_slow_look_says(
    database: Database, steps: list[tuple[str, int, int]]
) -> None:
    """After each step of any sequence, a day apart, for every day until then."""
    stage = owing(database, 1_000, 2_000, 3_000)
    made: list[str] = []
    for number, (what, which, part) in enumerate(steps):
        day = FIRST + timedelta(days=number)
        _step(stage, what, which, part, day, number, made)
        with database.read() as conn:
            mine = set(
                conn.execute(
                    sa.select(invoice.c.number).where(invoice.c.account_id == stage.account)
                ).scalars()
            )
            assert [one for one in settling.wrong(conn) if one[0] in mine] == []
            for on in (FIRST - timedelta(days=1) + timedelta(days=back) for back in range(number + 2)):
                aged = [one for one in reports.aged_receivables(conn, on) if one.account == stage.account]
                assert sum(one.together.minor for one in aged) == _slow(conn, stage, on)
            open_ = sum(one.balance for one in debts.open_balances(conn, stage.account))
            assert open_ == _slow(conn, stage, day)


def _step(stage, what, which, part, day, number, made) -> None:
    key, minor = f"k{stage.number}:{number}", 700 * part
    try:
        if what == "pay":
            with stage.database.write() as conn:
                paid = payments.pay(conn, stage.account, Money(minor, "AUD"), "bank", key, on=day)
            made.append(paid.payment)
            return
        with stage.database.write() as conn:
            numbers = list(
                conn.execute(
                    sa.select(invoice.c.number)
                    .where(invoice.c.account_id == stage.account)
                    .order_by(invoice.c.id)
                ).scalars()
            )
            invoice_number = numbers[which % len(numbers)]
            if what == "write":
                writing.write(conn, invoice_number, actor="ada", reason="bad-debt", on=day)
            elif made and what == "back":
                chargebacks.chargeback(
                    conn, made[which % len(made)], Money(minor // 2, "AUD"), key=key, actor="bank", on=day
                )
            elif made and what == "again":
                chargebacks.chargeback_reversed(conn, f"k{stage.number}:{number - 1}", actor="bank", on=day)
            elif made and what == "off":
                byhand.unallocate(conn, made[which % len(made)], invoice_number, actor="ada", on=day)
            elif made:
                byhand.allocate(conn, made[which % len(made)], actor="ada", on=day)
    except Terminal:
        return


def _slow(conn, stage, on: date) -> int:
    """Invoice by invoice, move by move."""
    from billing.writeoffs.models import write_off

    total = 0
    query = sa.select(invoice.c.id, invoice.c.total).where(
        invoice.c.account_id == stage.account, invoice.c.state == "final", invoice.c.kind == "invoice",
        invoice.c.issued_on <= on,
    )  # fmt: skip
    for identifier, amount in conn.execute(query).all():
        total += amount
        for table, day in ((allocation, allocation.c.allocated_on), (write_off, write_off.c.written_on)):
            moves = sa.select(table.c.amount).where(table.c.invoice_id == identifier, day <= on)
            total -= sum(conn.execute(moves).scalars())
    return total
