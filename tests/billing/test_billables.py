"""Billables: things that are billed once, explained on the invoice, and waiting again when a draft is voided."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import billables, invoices
from billing.billables import Billable
from billing.billrun import run_billing
from billing.errors import BillableUnlike, KindUnknown
from billing.explain import explain
from billing.ledger import trial_balance
from billing.models import invoice, invoice_line
from billing.tax import SCALE, Rate, Taxable, nets, tax_lines
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage


def add(stage: Stage, source: str = "late:1", minor: int = 1000, **given: Any) -> str:
    """Add a late fee."""
    values: dict[str, Any] = {"kind": "late-fee", "tax": "gst", "billed_from": START, **given}
    one = Billable(account=stage.account, source=f"{stage.entity}:{source}", description="Late fee",
                   amount=Money(minor, "AUD"), why={"how": "flat"}, **values)  # fmt: skip
    with stage.database.write() as conn:
        return billables.add(conn, one, actor="test")


def lines(stage: Stage) -> list[tuple[str, int, int]]:
    """Kind, amount and net of every line of the account's invoices that are not void."""
    query = sa.select(invoice_line.c.kind, invoice_line.c.amount, invoice_line.c.net).join(
        invoice, invoice.c.id == invoice_line.c.invoice_id
    )
    query = query.where(invoice.c.account_id == stage.account, invoice.c.state != "void").order_by(
        invoice_line.c.kind, invoice_line.c.amount
    )
    with stage.database.read() as conn:
        return [tuple(row) for row in conn.execute(query)]


def test_invariant_36_the_same_thing_is_billed_once(database: Database):
    """Added twice, billed twice: one line; another amount under its name is refused."""
    stage = Stage(database)
    assert add(stage) == add(stage)
    for _ in range(2):
        run_billing(database, stage.reader, START)
        add(stage)
    assert lines(stage) == [("late-fee", 1000, 1000)]
    with pytest.raises(BillableUnlike, match="correct it by a revision"):
        add(stage, minor=999)
    with pytest.raises(KindUnknown, match="'gift'"):
        add(stage, "other", kind="gift")


def test_a_revision_bills_the_difference_and_explains_itself(database: Database):
    """A correction is a line of its own, with its own reason; the books agree."""
    stage = Stage(database)
    add(stage)
    run_billing(database, stage.reader, START)
    add(stage, minor=-400, revision=1)
    run = run_billing(database, stage.reader, date(2026, 1, 2))
    assert lines(stage) == [("late-fee", -400, -400), ("late-fee", 1000, 1000)]
    with database.read() as conn:
        (number,) = run.final
        assert explain(conn, number)["lines"][0]["why"] == "how: flat"
        assert sum(trial_balance(conn).values()) == 0
        assert [one.amount.minor for one in billables.of_source(conn, f"{stage.entity}:late:1", "AUD")] == [
            1000,
            -400,
        ]


def test_it_waits_for_its_day_and_again_after_a_void(database: Database):
    """Not billed before `billed_from`; a voided draft gives it back."""
    stage = Stage(database)
    add(stage, billed_from=date(2026, 1, 10))
    run_billing(database, stage.reader, date(2026, 1, 9))
    assert lines(stage) == []
    run_billing(database, stage.reader, date(2026, 1, 10), finalise=False)
    with database.write() as conn:
        (draft,) = conn.execute(
            sa.select(invoice.c.id).where(invoice.c.account_id == stage.account)
        ).scalars()
        invoices.void(conn, draft)
    assert lines(stage) == []
    run_billing(database, stage.reader, date(2026, 1, 11))
    assert lines(stage) == [("late-fee", 1000, 1000)]


rates = st.builds(Rate, st.sampled_from(["gst", ""]), st.integers(0, SCALE), st.booleans())


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(Taxable, st.integers(-(10**6), 10**6).map(lambda m: Money(m, "AUD")), rates), max_size=20
    )
)
def test_the_nets_of_lines_are_the_bases_of_their_rates(taxable):
    """Per rate the nets add up to the subtotal's base; without tax inside, a net is the listed amount."""
    found = nets(taxable)
    for tax in tax_lines(taxable):
        mine = [net.minor for net, line in zip(found, taxable, strict=True) if line.rate == tax.rate]
        assert sum(mine) == tax.base.minor
    for net, line in zip(found, taxable, strict=True):
        assert line.rate.inclusive or net == line.amount
