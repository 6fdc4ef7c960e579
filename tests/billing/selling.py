"""A stage with add-ons, rentals, fees, offers and contracts in its catalogue."""

from datetime import date
from typing import Any

from billing import accounts, subscriptions
from billing.billrun import run_billing
from billing.models import subscription
from billing.offers import addons, giving, whole
from intents.config.schema import Config, Operator
from intents.offer.schema import Offer
from intents.plan.schema import Contract, Plan
from intents.reader import MemoryReader
from tests.billing.stage import PLANS, START, Stage, price

OPERATOR = Operator(name="Shop", asn=64500, timezone="Australia/Perth", currency="AUD")
FEB, MAR, APR = date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)


def bound(name: str, **contract: Any) -> Plan:
    """A plan at 60.00 with a contract."""
    return Plan(type="internet", name=name, prices=(price("a", "60.00"),), contract=Contract(**contract))


CATALOGUE = {
    "static": Plan(type="addon", name="Static address", prices=(price("a", "5.00", setup="3.00"),)),
    "mailbox": Plan(type="addon", name="Mailbox", prices=(price("a", "31.00", every="quarter"),)),
    "router": Plan(type="rental", name="Router", prices=(price("a", "6.20"),)),
    "visit": Plan(type="fee", name="Visit", prices=(price("a", "90.00", every="once"),)),
    "after": Plan(type="internet", name="Pay after", prices=(price("a", "31.00", bill="arrears"),)),
    "metered": Plan(type="voice", name="Metered", prices=(price("a", "10.00", minimum="31.00"),)),
    "fixed": bound("Two years", months=24, fee="200.00"),
    "each": bound("A year", months=12, each_month="10.00"),
    "steep": bound("All of it", months=24, share=100),
    "share": bound("A year again", months=12, share=12.5, renew=6),
}
OFFERS: dict[str, dict[str, Any]] = {
    "half": {"type": "promotion", "percent": 50, "months": 3},
    "tenner": {"type": "promotion", "amount": "10.00", "cap": "25.00"},
    "gift": {"type": "promotion", "amount": "500.00", "months": 2},
    "for-slow": {"type": "promotion", "percent": 33.3333, "plans": ("slow",)},
    "cheap-router": {"type": "promotion", "percent": 100, "plans": ("router",), "months": 1},
    "spring": {"type": "promotion", "percent": 10, "from_": MAR, "until": APR},
    "duo": {"type": "bundle", "plans": ("fibre", "slow"), "amount": "12.80"},
    "share-duo": {"type": "bundle", "plans": ("fibre", "static"), "percent": 20},
}


class Shop(Stage):
    """A stage that sells everything; `bill` runs and answers the standing charges by (start, kind, amount)."""

    @property
    def reader(self) -> MemoryReader:
        """The catalogue and the services."""
        found = [("plan", name, plan) for name, plan in {**PLANS, **CATALOGUE, **self.more}.items()]
        given = [("offer", name, Offer(**said)) for name, said in OFFERS.items()]
        config = ("config", "trunkline", Config(schema=1, operator=OPERATOR))
        active = [("service", name, one) for name, one in self.services.items()]
        return MemoryReader.of([config, *found, *given, *active])

    @property
    def more(self) -> dict[str, Plan]:
        """Further plans, or other versions of them."""
        found: dict[str, Plan] = self.__dict__.setdefault("_more", {})
        return found

    def sell(self, service: str, plan: str, on: date = START, label: str = "") -> None:
        """An add-on or rental."""
        with self.database.write() as conn:
            addons.add(conn, self.reader, service, plan, actor="test", on=on, label=label)

    def end(self, service: str, label: str, on: date) -> None:
        """Remove an add-on or rental."""
        with self.database.write() as conn:
            addons.remove(conn, service, label, actor="test", on=on)

    def promote(self, service: str, offer: str, on: date = START) -> None:
        """Give a promotion."""
        with self.database.write() as conn:
            giving.promote(conn, self.reader, service, offer, actor="test", on=on)

    def bundle(self, offer: str, *services: str, on: date = START) -> None:
        """Give a bundle."""
        with self.database.write() as conn:
            giving.bundle(conn, self.reader, offer, services, actor="test", on=on)

    def happen(self, what: str, service: str, on: date, plan: str = "") -> None:
        """block, unblock, cease, or a change to a plan."""
        with self.database.write() as conn:
            if plan:
                subscriptions.change_terms(conn, service, self.terms(plan, on), on, "test")
            else:
                getattr(subscriptions, what)(conn, service, on, "test")

    def bill(self, *days: date) -> list[tuple[str, str, int]]:
        """Run for each day; what stands then: (first day, kind, amount)."""
        for day in days:
            run = run_billing(self.database, self.reader, day)
            assert self.account not in run.parked, run.parked
        return sorted((f"{one.part_start:%m-%d}", one.kind, one.amount) for one in self.standing())

    def ought(self, day: date) -> list[tuple[str, str, int]]:
        """The same, computed from nothing but the timelines."""
        with self.database.read() as conn:
            items = subscriptions.items(conn, subscription.c.account_id == self.account)
            anchor = accounts.get(conn, self.account).anchor
        found = whole.whole(items, anchor, lambda _: day)
        slices = [one for part in found.values() for one in part]
        return sorted((f"{one.part.start:%m-%d}", one.kind, one.amount.minor) for one in slices)


__all__ = ["APR", "FEB", "MAR", "START", "Shop"]
