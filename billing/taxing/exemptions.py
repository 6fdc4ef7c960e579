"""Exemptions of an account, with certificate, category and days. Reverse charge is one with the code AE.

They count on the day of the bill run, as rates do: what is taken back is taken back at the rate that it had.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.taxing.errors import ExemptionNotUsable
from billing.taxing.models import tax_exemption
from core import clock, events

TAXED = "S"
CODES = {
    "E": "Exempt from tax", "AE": "Reverse charge", "Z": "Zero rated", "G": "Export", "O": "Outside the scope of VAT",
    TAXED: "",
}  # fmt: skip
"""UNTDID 5305, and what stands on the invoice where nobody gives another reason."""


class Exemption(msgspec.Struct, frozen=True, kw_only=True):
    """`category` empty: every one; `until` exclusive, None: until further notice; code `S`: taxed (again)."""

    account: str
    code: str
    since: date
    until: date | None = None
    category: str = ""
    reason: str = ""
    certificate: str = ""

    def covers(self, category: str, on: date) -> bool:
        """Whether it says something of a category on a day."""
        return (
            self.category in ("", category) and self.since <= on and (self.until is None or on < self.until)
        )

    @property
    def told(self) -> str:
        """What stands on an invoice."""
        told = self.reason or CODES[self.code]
        return f"{told} (certificate {self.certificate})" if self.certificate else told


def grant(conn: Connection, given: Exemption, *, actor: str) -> None:
    """Exempt an account. Raises AccountUnknown, ExemptionNotUsable."""
    if given.code not in CODES:
        raise ExemptionNotUsable(given.account, f"'{given.code}' is none of {', '.join(sorted(CODES))}")
    if given.until is not None and given.until <= given.since:
        raise ExemptionNotUsable(
            given.account, f"it ends on {given.until}, before it begins on {given.since}"
        )
    accounts.lock(conn, given.account)
    values = {
        "account_id": given.account, "category": given.category, "code": given.code, "reason": given.reason,
        "certificate": given.certificate, "valid_from": given.since, "valid_until": given.until, "actor": actor,
        "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(tax_exemption).values(**values))
    told = {"code": given.code, "category": given.category, "from": str(given.since),
            "until": str(given.until) if given.until else None, "certificate": given.certificate}  # fmt: skip
    events.emit(conn, "tax.exemption", given.account, told, actor=actor)


def end(conn: Connection, account: str, since: date, *, actor: str, category: str = "") -> None:
    """Tax an account again from a day on. Raises AccountUnknown."""
    grant(conn, Exemption(account=account, code=TAXED, since=since, category=category), actor=actor)


def of_accounts(
    conn: Connection, account_ids: Sequence[str], known_at: datetime | None = None
) -> dict[str, list[Exemption]]:
    """Exemptions by account, oldest word first; `known_at`: only what was recorded by then."""
    query = sa.select(tax_exemption).where(tax_exemption.c.account_id.in_(account_ids))
    if known_at is not None:
        query = query.where(tax_exemption.c.recorded_at <= known_at)
    found: dict[str, list[Exemption]] = defaultdict(list)
    for row in conn.execute(query.order_by(tax_exemption.c.seq)):
        found[row.account_id].append(
            Exemption(
                account=row.account_id, code=row.code, since=row.valid_from, until=row.valid_until,
                category=row.category, reason=row.reason, certificate=row.certificate,
            )
        )  # fmt: skip
    return found


def in_force(given: Iterable[Exemption], category: str, on: date) -> Exemption | None:
    """The last word that covers a category on a day; None where that is to tax it. Pure."""
    last = next((one for one in reversed(list(given)) if one.covers(category, on)), None)
    return None if last is None or last.code == TAXED else last
