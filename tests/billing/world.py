"""Random worlds to bill: accounts with services, stories, usage, payments; told without their names."""

import re
from datetime import date
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from billing import billables, canonical, payments, subscriptions, taxes
from billing.billables import Billable
from billing.models import account, subscription, subscription_item
from billing.timeline import Contract, Terms
from core.db import Database
from core.money import Money
from intents.reader import MemoryReader
from tests.billing.stage import START, Stage, reader_of

MONTHS = (START, date(2026, 2, 1), date(2026, 3, 3), date(2026, 4, 1))
PLANS = {
    "fibre": Terms("fibre", "2025a", Money(7_900, "AUD"), 1, "gst"),
    "slow": Terms("slow", "2025a", Money(4_905, "AUD"), 1, "gst"),
    "free": Terms("free", "2025a", Money(0, "AUD"), 1, "gst"),
    "untaxed": Terms("untaxed", "2025a", Money(1_001, "AUD"), 1, ""),
    "quarterly": Terms("quarterly", "2025a", Money(23_333, "AUD"), 3, "odd"),
    "bound": Terms(
        "bound",
        "2025a",
        Money(5_999, "AUD"),
        1,
        "gst",
        contract=Contract(12, each=Money(100, "AUD"), renew=6),
    ),
    "rented": Terms("rented", "2025a", Money(621, "AUD"), 1, "gst", kind="rental"),
    "later": Terms("later", "2025a", Money(3_107, "AUD"), 1, "gst", arrears=True),
    "with-setup": Terms("with-setup", "2025a", Money(3_333, "AUD"), 1, "odd", Money(9_900, "AUD")),
}
_days = st.dates(date(2026, 1, 1), date(2026, 4, 10))
_story = st.lists(
    st.tuples(st.integers(0, 3), _days, st.sampled_from([*PLANS, "block", "unblock", "cease"])), max_size=2
)
_usage = st.lists(st.tuples(st.integers(-300, 9_000), _days), max_size=2)
_service = st.tuples(st.sampled_from(sorted(PLANS)), st.dates(date(2025, 12, 1), date(2026, 2, 20)), _story)
_account = st.fixed_dictionaries(
    {
        "anchor": st.sampled_from([1, 1, 1, 15, 31]),
        "profile": st.sampled_from(["plain", "plain", "inclusive", "exempt", "none"]),
        "services": st.lists(_service, min_size=1, max_size=3),
        "usage": _usage,
        "paid": st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30_000)), max_size=2),
    }
)
worlds = st.lists(_account, min_size=1, max_size=4)
Told = list[dict[str, Any]]


class World:
    """The accounts of one telling, in a legal entity of its own. `go(n)` lets happen what is told for month n."""

    def __init__(self, database: Database, told: Told) -> None:
        self.database, self._told = database, told
        first = Stage(database)
        self.entity = first.entity
        with database.write() as conn:
            for profile, inclusive in (("plain", False), ("inclusive", True)):
                for category, rate in (("gst", "10%"), ("odd", "8.875%")):
                    taxes.set_rate(
                        conn, category, rate, profile=f"{profile}-{self.entity}", valid_from=date(2000, 1, 1),
                        inclusive=inclusive,
                    )  # fmt: skip
        self.stages = [self._stage(one) for one in told]
        self._open()

    @property
    def reader(self) -> MemoryReader:
        """The catalogue."""
        return reader_of()

    def _stage(self, one: dict[str, Any]) -> Stage:
        profile = one["profile"] if one["profile"] == "exempt" else f"{one['profile']}-{self.entity}"
        return Stage(self.database, anchor=one["anchor"], legal_entity=self.entity, tax_profile=profile)

    def _open(self) -> None:
        for stage, one in zip(self.stages, self._told, strict=True):
            with self.database.write() as conn:
                for n, (plan, since, _) in enumerate(one["services"]):
                    service = f"S-{stage.number}-{n}"
                    subscriptions.activate(conn, stage.account, service, PLANS[plan], since, "test")
                for n, (amount, day) in enumerate(one["usage"]):
                    billables.add(conn, _usage_of(stage, n, amount, day), actor="test")

    def go(self, month: int) -> None:
        """What happens, and is paid, before the run of a month."""
        for stage, one in zip(self.stages, self._told, strict=True):
            for n, (_, since, story) in enumerate(one["services"]):
                for at, day, what in story:
                    if at == month:
                        self._happen(f"S-{stage.number}-{n}", max(day, since), what)
            for n, (at, amount) in enumerate(one["paid"]):
                if at == month:
                    with self.database.write() as conn:
                        key = f"{stage.account}:{n}"
                        payments.pay(conn, stage.account, Money(amount, "AUD"), "cash", key, on=MONTHS[month])

    def _happen(self, service: str, day: date, what: str) -> None:
        with self.database.write() as conn:
            if what in PLANS:
                subscriptions.change_terms(conn, service, PLANS[what], day, "test")
            else:
                getattr(subscriptions, what)(conn, service, day, "test")

    def forget(self) -> None:
        """Let the next run ask every timeline: nothing is known to renew."""
        mine = sa.select(subscription.c.id).join(account).where(account.c.legal_entity == self.entity)
        chosen = subscription_item.c.subscription_id.in_(mine)
        with self.database.write() as conn:
            conn.execute(sa.update(subscription_item).where(chosen).values(renews=None))

    def export(self) -> list[str]:
        """Its canonical form with places in the telling instead of names."""
        found: list[str] = []
        with self.database.read() as conn:
            for n, stage in enumerate(self.stages):
                text = canonical.export(conn, stage.account)
                text = text.replace(stage.account, f"ACCOUNT-{n}").replace(self.entity, "ENTITY")
                found += re.sub(rf"\bS-{stage.number}-", f"S-{n}-", text).splitlines()
        return sorted(found)


def _usage_of(stage: Stage, n: int, amount: int, day: date) -> Billable:
    return Billable(
        account=stage.account, kind="usage", source=f"{stage.account}:{n}", description="Usage",
        amount=Money(amount, "AUD"), billed_from=day, tax="gst", service=None,
    )  # fmt: skip
