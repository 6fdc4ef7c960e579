"""Direct debit mandates, and what banks know our legal entities by. IBANs of customers are sealed and shown masked."""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.bank import checks
from billing.bank.errors import CreditorNotUsable, DataKeyNeeded, IbanWrong, MandateNotUsable
from billing.bank.importing import IBAN, print_of
from billing.bank.models import creditor, mandate
from billing.bank.pain import is_identifier, plain
from core import clock, db, events
from core.crypto import DataKey, open_, seal

ACTIVE, LAST, ENDED, BLOCKED = "active", "last", "ended", "blocked"


def set_creditor(
    conn: Connection,
    legal_entity: str,
    *,
    name: str,
    creditor_id: str,
    iban: str,
    bic: str = "",
    lead_days: int = 2,
) -> None:
    """Say what banks know a legal entity by. Raises CreditorNotUsable, IbanWrong."""
    own, ours = checks.compact(iban), checks.compact(creditor_id)
    if not checks.is_iban(own):
        raise IbanWrong(own)
    if not checks.is_creditor_id(ours):
        raise CreditorNotUsable(
            legal_entity, f"'{ours}' is no creditor identifier: its check digits are wrong"
        )
    if bic and not checks.is_bic(checks.compact(bic)):
        raise CreditorNotUsable(legal_entity, f"'{bic}' is no BIC")
    if lead_days < 1 or not plain(name, 70):
        raise CreditorNotUsable(
            legal_entity, "it needs a name, and a bank needs the file one day before at least"
        )
    row = {"legal_entity": legal_entity, "name": plain(name, 70), "creditor_id": ours, "iban": own,
           "bic": checks.compact(bic) or None, "lead_days": lead_days}  # fmt: skip
    db.upsert(conn, creditor, [row], ["legal_entity"])


def sign(
    conn: Connection,
    account: str,
    reference: str,
    *,
    iban: str,
    holder: str,
    signed_on: date,
    key: DataKey | None,
    actor: str,
    bic: str = "",
    one_off: bool = False,
) -> str:
    """Take a mandate of an account and return how its IBAN is shown; the same again changes nothing.

    Raises AccountUnknown, IbanWrong, MandateNotUsable, DataKeyNeeded.
    """
    if key is None:
        raise DataKeyNeeded
    owner, compact = accounts.lock(conn, account), checks.compact(iban)
    if not checks.is_iban(compact):
        raise IbanWrong(compact)
    _require_usable(owner, reference, holder, bic, signed_on)
    row = conn.execute(sa.select(mandate).where(mandate.c.id == reference)).first()
    if row is not None:
        if (row.account_id, row.iban_print, row.signed_on) != (account, print_of(key, compact), signed_on):
            raise MandateNotUsable(
                reference, "there is one with this reference already, and it says something else"
            )
        return str(row.iban_shown)
    values = {
        "id": reference, "account_id": account, "signed_on": signed_on, "holder": plain(holder, 70),
        "iban_sealed": seal(key, compact, place(reference), IBAN), "iban_shown": checks.masked(compact),
        "iban_print": print_of(key, compact), "bic": checks.compact(bic) or None, "one_off": one_off,
        "state": ACTIVE, "why": "", "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(mandate).values(**values))
    events.emit(conn, "mandate.signed", account, {"mandate": reference}, actor=actor)
    return checks.masked(compact)


def end(conn: Connection, reference: str, *, actor: str, after_next: bool = False) -> None:
    """End a mandate: at once, or after one more direct debit (FNAL). Raises MandateNotUsable."""
    row = conn.execute(sa.select(mandate).where(mandate.c.id == reference)).first()
    if row is None:
        raise MandateNotUsable(reference, "there is none with this reference")
    accounts.lock(conn, row.account_id)
    state = LAST if after_next else ENDED
    chosen = sa.and_(mandate.c.id == reference, mandate.c.state != BLOCKED)
    conn.execute(sa.update(mandate).where(chosen).values(state=state, why=f"by {actor}"))
    events.emit(conn, "mandate.ended", row.account_id, {"mandate": reference, "state": state}, actor=actor)


def of_account(conn: Connection, account: str) -> list[dict[str, Any]]:
    """An account's mandates as rows, the newest last. Raises AccountUnknown."""
    accounts.get(conn, account)
    query = (
        sa.select(mandate).where(mandate.c.account_id == account).order_by(mandate.c.signed_on, mandate.c.id)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def iban_of(key: DataKey, row: Any) -> str:
    """A mandate's IBAN in clear: for the file to the bank only."""
    return open_(key, row["iban_sealed"], place(row["id"]), IBAN)


def place(reference: str) -> str:
    """Where a mandate's IBAN is sealed."""
    return f"bank_mandate/{reference}"


def _require_usable(owner: accounts.Account, reference: str, holder: str, bic: str, signed_on: date) -> None:
    if not is_identifier(reference):
        raise MandateNotUsable(
            reference, "a reference has up to 35 of letters, digits and +?/-:(). without blanks"
        )
    if not plain(holder, 70):
        raise MandateNotUsable(reference, "who holds the bank account?")
    if bic and not checks.is_bic(checks.compact(bic)):
        raise MandateNotUsable(reference, f"'{bic}' is no BIC")
    if signed_on > owner.today:
        raise MandateNotUsable(reference, f"{signed_on} is still to come; a mandate is signed first")
    if owner.currency != "EUR":
        raise MandateNotUsable(
            reference, f"account {owner.id} is kept in {owner.currency}; SEPA collects euros"
        )
