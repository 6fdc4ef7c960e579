"""What a line of a statement does: a payment, a confirmed or returned direct debit, a refund that left or came back.

Everything goes by keys of the line, so that the same line does it once.
"""

import re
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments
from billing.bank import collections, looking, matching
from billing.bank.models import creditor
from billing.bank.models import entry as entry_table
from billing.bank.statement import Line
from billing.refunding import chargebacks, moving, refunds
from billing.refunding.errors import NotChargeable, RefundUnknown
from billing.refunding.models import chargeback as chargeback_table
from core.money import Money

PENDING, MATCHED, UNMATCHED, ASSIGNED, NOT_OURS = "pending", "matched", "unmatched", "assigned", "not-ours"
METHOD = "bank-transfer"
_REFUND = re.compile(r"RFD[_\-./ ]?([0-9A-Z]{26})")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a line. `effect`: the id of what was made or changed."""

    state: str
    told: str
    rule: str = ""
    confidence: int = 0
    account: str | None = None
    effect: str | None = None


def apply(conn: Connection, line: Line, own: str, key: str, iban_print: str | None, actor: str) -> Outcome:
    """Do what a line says. `own`: our IBAN; `key` tells the line from all others."""
    if line.amount == 0:
        return Outcome(NOT_OURS, "nothing moved")
    done = collections.by_line(conn, line, key, actor) or _refunded(conn, line, actor)
    if done is not None:
        return Outcome(MATCHED, done.told, done.rule, 100, done.account, done.effect)
    if line.amount < 0:
        return _went(conn, line, key, iban_print, actor)
    if line.reason:
        return Outcome(
            UNMATCHED, f"a transfer of ours came back ({line.reason}), and no refund of ours is like it"
        )
    return _came(conn, line, own, key, iban_print, actor)


def _came(conn: Connection, line: Line, own: str, key: str, iban_print: str | None, actor: str) -> Outcome:
    texts = [*line.references, line.end_to_end, line.text]
    found = looking.hits(conn, texts, iban_print, line.amount, line.currency)
    decision = matching.decide(line.amount, line.currency, found)
    if decision.account is None:
        hints = f"; look at {', '.join(decision.hints)}" if decision.hints else ""
        return Outcome(UNMATCHED, decision.told + hints, decision.rule, decision.confidence)
    if why := _wrong_company(conn, own, decision.account):
        return Outcome(UNMATCHED, why, decision.rule, decision.confidence)
    paid = payments.pay(
        conn, decision.account, Money(line.amount, line.currency), METHOD, f"bank:{key}", actor=actor,
        on=line.booked_on, named=decision.invoices,
    )  # fmt: skip
    told = f"payment {paid.payment} of account {decision.account}"
    return Outcome(MATCHED, told, decision.rule, decision.confidence, decision.account, paid.payment)


def _wrong_company(conn: Connection, own: str, account: str) -> str:
    """Money that came to a company of ours which is not the account's."""
    whose = conn.execute(sa.select(creditor.c.legal_entity).where(creditor.c.iban == own)).scalar()
    owner = accounts.get(conn, account)
    if whose is None or whose == owner.legal_entity:
        return ""
    return f"it is for account {account} of {owner.legal_entity}, and came to {whose}'s bank account"


def _went(conn: Connection, line: Line, key: str, iban_print: str | None, actor: str) -> Outcome:
    """Money that went: the reversal of a payment in, a return that nobody knows, or nothing of ours."""
    if line.reversal or line.reason:
        earlier = _reversed(conn, line, iban_print)
        if earlier is None:
            return Outcome(
                UNMATCHED, f"money went back ({line.reason or 'reversal'}), and no payment of ours is like it"
            )
        amount = Money(-line.amount, line.currency)
        try:
            made = chargebacks.chargeback(
                conn, str(earlier["effect"]), amount, key=f"bank:{key}", actor=actor, on=line.booked_on,
                reason=line.reason or "reversal",
            )  # fmt: skip
        except NotChargeable as error:
            return Outcome(UNMATCHED, str(error), account=earlier["account_id"])
        told = f"chargeback {made} of payment {earlier['effect']}"
        return Outcome(MATCHED, told, "reversal", 100, earlier["account_id"], made)
    return Outcome(NOT_OURS, "money went out, and it is no refund or return")


def _reversed(conn: Connection, line: Line, iban_print: str | None) -> Any:
    """The newest line with a payment of this amount and the same reference, or from the same IBAN."""
    same = [entry_table.c.end_to_end == line.end_to_end] if line.end_to_end else []
    same += [entry_table.c.iban_print == iban_print] if iban_print else []
    if not same:
        return None
    query = sa.select(entry_table).where(
        entry_table.c.amount == -line.amount, entry_table.c.currency == line.currency, sa.or_(*same),
        entry_table.c.effect.like("pay_%"),
    )  # fmt: skip
    for row in conn.execute(
        query.order_by(entry_table.c.booked_on.desc(), entry_table.c.id.desc())
    ).mappings():
        where = moving.where_it_is(conn, str(row["effect"]))
        back = sa.select(chargeback_table.c.id).where(
            chargeback_table.c.payment_id == where, chargeback_table.c.state == chargebacks.OPEN,
            chargeback_table.c.amount == -line.amount,
        )  # fmt: skip
        if conn.execute(back).first() is None:
            return row
    return None


def _refunded(conn: Connection, line: Line, actor: str) -> "collections.Done | None":
    """A refund that left the bank, or came back."""
    named = _REFUND.search(f"{line.end_to_end} {line.text}".upper())
    for name in [f"rfd_{named[1]}"] if named else [line.end_to_end]:
        try:
            row = refunds.get(conn, name)
        except RefundUnknown:
            continue
        if row["amount"] != abs(line.amount) or row["currency"] != line.currency:
            continue
        if line.amount < 0:
            refunds.settled(conn, row["id"], actor=actor, on=line.booked_on)
            return collections.Done(f"refund {row['id']} has left", "refund", row["account_id"], row["id"])
        refunds.failed(conn, row["id"], actor=actor, why=line.reason or "it came back", on=line.booked_on)
        return collections.Done(f"refund {row['id']} came back", "refund", row["account_id"], row["id"])
    return None
