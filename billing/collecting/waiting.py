"""Holds that dunning asked for and a guard parked: none of them is there before a person lets their change set pass."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.holds import REASON
from billing.models import billing_change_set
from intents.models import change_set
from intents.states import State

_PARKED = change_set.c.state == State.PARKED.value


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A parked change set of dunning. `purpose`: hold or release; `count` and `limit` as its guard says."""

    set_id: str
    purpose: str
    guard: str
    count: int
    limit: int

    def __str__(self) -> str:
        return (
            f"{self.set_id} ({self.guard} {self.count}, limit {self.limit}) waits for a person: "
            f"`trunkline release {self.set_id} --expect {self.count}` lets it pass, "
            f"`trunkline drop {self.set_id}` refuses it"
        )


def waiting(conn: Connection) -> list[Waiting]:
    """Every parked change set of dunning, the oldest first."""
    query = sa.select(change_set.c.set_id, change_set.c.guard, billing_change_set.c.purpose)
    query = query.join(billing_change_set, billing_change_set.c.set_id == change_set.c.set_id)
    query = query.where(_PARKED, change_set.c.reason == REASON).order_by(change_set.c.seq)
    return [
        Waiting(
            set_id=row.set_id, purpose=row.purpose, guard=row.guard["guard"], count=row.guard["count"],
            limit=row.guard["limit"],
        )
        for row in conn.execute(query)
    ]  # fmt: skip


def asked(conn: Connection, held: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Of holds that billing knows (`holds.held`) those that only wait: service -> the parked change set."""
    sets = {str(row["set_id"]) for row in held.values() if row["set_id"]}
    if not sets:
        return {}
    parked = set(
        conn.execute(sa.select(change_set.c.set_id).where(_PARKED, change_set.c.set_id.in_(sets))).scalars()
    )
    return {service: row["set_id"] for service, row in sorted(held.items()) if row["set_id"] in parked}
