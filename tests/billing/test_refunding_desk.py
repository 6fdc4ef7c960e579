"""At the desk: receipts with numbers, the cash drawer, the list of payments, and the commands as they are typed."""

from datetime import date
from pathlib import Path

import pytest

from billing import accounts
from billing.refunding import chargebacks, drawer, listing, moving, receipts
from billing.refunding.errors import NotMovable
from billing.runs import verify
from core.db import Database
from core.money import Money
from tests.billing.stage import Stage
from tests.billing.test_command import ask, home  # noqa: F401 (the fixture)
from tests.billing.test_refunding import LATER, chargeback, do, owing, pay, refund
from tests.billing.threads import together
from tests.support import trunkline


def receipt(stage: Stage, one: str) -> receipts.Receipt:
    """Print it."""
    with stage.database.write() as conn:
        return receipts.receipt(conn, one, actor="anna")


def test_receipts_are_numbered_without_a_gap_and_a_copy_says_so(database: Database):
    """Printed by several at once, printed again: 1..n in the legal entity's own series, one number a payment."""
    stage = owing(database, 5_000)
    paid = [pay(stage, 1_500, str(n), method="cash") for n in range(5)]
    together(5, lambda: [receipt(stage, one) for one in paid])
    found = [receipt(stage, one) for one in paid]
    numbers = sorted(one.number for one in found)
    assert numbers == [f"RC-{stage.entity}-00000{n}" for n in range(1, 6)]
    assert all(one.again for one in found)
    assert [str(breach) for breach in verify.breaches(database) if stage.entity in breach.where] == []


def test_a_receipt_says_what_was_paid_and_that_it_is_void(database: Database):
    """Account, method, who took it, invoices, credit, total; of a voided payment it says so in capitals."""
    stage = owing(database, 1_000)
    one = pay(stage, 1_500, method="cash", actor="tom")
    text = receipt(stage, one).text()
    for said in (
        f"INV-{stage.entity}-000001",
        "AUD 10.00",
        "kept as credit",
        "AUD 5.00",
        "tom",
        stage.account,
    ):
        assert said in text
    assert "VOID" not in text
    assert "COPY" not in text
    do(stage, moving.void, one, reason="typo")
    text = receipt(stage, one).text()
    assert "VOID" in text
    assert "COPY" in text
    other = Stage(database, legal_entity=stage.entity)
    moved = do(stage, moving.move, pay(stage, 100, "m"), other.account, reason="x")
    with pytest.raises(NotMovable, match="nobody paid it in"):
        receipt(stage, moved)


def test_the_drawer_is_what_was_taken_less_voids_and_pay_outs(database: Database):
    """By person and day; other days, methods and persons are not in it."""
    stage = Stage(database)
    who = f"{stage.entity}-tom"
    one = pay(stage, 10_000, "1", method="cash", actor=who)
    wrong = pay(stage, 3_000, "2", method="cash", actor=who)
    pay(stage, 777, "3", method="bank", actor=who)
    refund(stage, one, 1_200, method="cash", actor=who)
    do(stage, moving.void, wrong, reason="typo", actor=who)
    with database.read() as conn:
        (found,) = drawer.drawers(conn, LATER, who)
        assert drawer.drawers(conn, date(2026, 1, 6), who) == []
    minor = [found.taken.minor, found.voided.minor, found.paid_out.minor, found.expected.minor]
    assert (minor, found.receipts) == ([13_000, 3_000, 1_200, 8_800], 2)


def test_the_list_says_how_each_payment_stands(database: Database):
    """Applied, partly, held by a person, refunded, charged back, moved, voided; with what happened."""
    stage = owing(database, 5_000)
    names = ["applied", "part", "refunded", "charged", "moved", "voided"]
    paid = {name: pay(stage, 3_000, name) for name in names}
    other = Stage(database, legal_entity=stage.entity)
    refund(stage, paid["refunded"], 3_000)
    chargeback(stage, paid["charged"], 3_000, reason="MD06")
    do(stage, moving.move, paid["moved"], other.account, reason="x")
    do(stage, moving.void, paid["voided"], reason="typo")
    with database.read() as conn:
        found = {one.id: one for one in listing.payments_of(conn, stage.account)}
        states = {name: found[one].state for name, one in paid.items()}
        assert found[paid["part"]].received_on == LATER  # its own day, not that of the typing
        assert accounts.get(conn, other.account).id == other.account
    assert states == {"applied": "applied", "part": "partly-applied", "refunded": "refunded",
                      "charged": "charged-back", "moved": "moved", "voided": "voided"}  # fmt: skip
    assert "AUD 30.00 MD06: open" in found[paid["charged"]].events[0]
    assert found[paid["part"]].pays == {f"INV-{stage.entity}-000001": "AUD 20.00"}
    with database.read() as conn:
        key = f"{stage.account}:c"
        assert chargebacks.get(conn, key)["amount"] == Money(3_000, "AUD").minor


def test_the_commands_as_they_are_typed(home: Path):  # noqa: F811
    """Pay, refund dry and in earnest, charge back, take off, put on, list, receipt, drawer; a mistake is a sentence."""
    ask(home, "customer", "adopt", "--from", "2026-01-01")
    ask(home, "billing", "run", "--on", "2026-01-01")
    one = ask(home, "billing", "invoices")["invoices"][0]
    account, number = one["account"], one["number"]
    paid = ask(home, "billing", "pay", account, "100.00", "--key", "d-1", "--as", "tom")["payment"]
    again = ("billing", "refund", paid, "5.00", "--reason", "overpaid", "--key", "d-r", "--method", "cash")
    assert ask(home, *again, "--dry")["dry"] is True
    assert ask(home, *again, "--as", "tom")["state"] == "settled"
    ask(home, "billing", "unallocate", paid, number, "10.00")
    assert ask(home, "billing", "payments", account)["payments"][0]["state"] == "partly-applied (held)"
    ask(home, "billing", "allocate", paid, number)
    made = ask(home, "billing", "chargeback", paid, "20.00", "--key", "d-c", "--reason", "AM04")["chargeback"]
    won = ask(home, "billing", "chargeback", paid, "20.00", "--key", "d-c", "--won")
    assert (won["chargeback"], won["won"]) == (made, True)
    listed = ask(home, "billing", "payments", account)["payments"][0]
    assert (listed["unapplied"], listed["pays"]) == ("AUD 16.00", {number: "AUD 79.00"})
    assert ask(home, "billing", "receipt", paid)["receipt"]["number"] == "RC-000001"
    (found,) = ask(home, "billing", "drawer", "--who", "tom")["drawers"]
    assert found["expected"] == "AUD 95.00"
    ask(home, "billing", "allocate", account, "--rule", "oldest")
    other = ask(home, "billing", "invoices")["invoices"][1]["account"]
    moved = ask(home, "billing", "move-payment", paid, other, "--reason", "wrong")["payment"]
    assert moved != paid
    typo = ask(home, "billing", "pay", account, "1.00", "--key", "d-2")["payment"]
    ask(home, "billing", "void-payment", typo, "--reason", "typo")
    done = trunkline("--home", home, "billing", "refund", "pay_x", "1", "--reason", "x", "--key", "k")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "there is no payment 'pay_x'" in done.stderr
