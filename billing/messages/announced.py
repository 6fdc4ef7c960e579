"""Whether a direct debit may be collected: where the policy announces, on the day that was told and not before."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.messages.facts import ANNOUNCE, Facts
from billing.messages.models import message
from billing.models import account

_CHUNK = 500


def too_early(conn: Connection, invoices: Sequence[Any], day: date) -> dict[str, str]:
    """Why some of these invoices (rows with `number`, `account_id`) are not collected on a day, by number."""
    policies = debts.policies(conn)
    if not any(one.announce for one in policies.values()):
        return {}
    found: dict[str, str] = {}
    for start in range(0, len(invoices), _CHUNK):
        chunk = invoices[start : start + _CHUNK]
        named = sa.select(account.c.id, account.c.dunning_policy)
        named = named.where(account.c.id.in_({row["account_id"] for row in chunk}))
        bound = {
            row.id for row in conn.execute(named)
            if policies.get(row.dunning_policy, policies["default"]).announce
        }  # fmt: skip
        told = _told(conn, [row["number"] for row in chunk])
        for row in chunk:
            when = told.get(row["number"])
            if row["account_id"] not in bound or (when is not None and when <= day):
                continue
            said = f"is announced for {when}" if when else "is not announced yet; a dunning run does so"
            found[row["number"]] = f"its debit {said}"
    return found


def _told(conn: Connection, numbers: Sequence[str]) -> dict[str, date]:
    """The day that each invoice's debit was announced for."""
    query = sa.select(message.c.facts).where(message.c.source.in_([f"{ANNOUNCE}:{one}" for one in numbers]))
    told = [msgspec.convert(facts, Facts) for facts in conn.execute(query).scalars()]
    return {one.invoices[0]: one.day for one in told if one.day}
