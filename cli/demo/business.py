"""What the demo's office does: bills months, takes payments, duns, and waits until the network has followed."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Protocol

import sqlalchemy as sa

from billing import accounts, billrun, dunning, invoices, payments, taxes
from billing.billrun import BillRun
from billing.dunning import DunningRun
from billing.models import billing_override
from billing.payments import Paid
from billing.subscriptions import services_of
from cli.installation import Installation
from core.crypto import DataKey
from core.money import Money
from crm.adoption import adopt_services
from intents.models import change_set
from reconciler.models import receipt

SUSPENDED = timedelta(days=29)
"""After the first of a month: due on the 15th, suspended from the 29th on."""


def first_of_month(day: date, back: int) -> date:
    """The first day of the month `back` months before a day's."""
    month = day.year * 12 + day.month - 1 - back
    return date(month // 12, month % 12 + 1, 1)


class Place(Protocol):
    """Where an office works: the demo's stage or the lab's."""

    key: DataKey

    @property
    def one(self) -> Installation: ...


class Office:
    """Billing and CRM of an installation, with the words of the story."""

    def __init__(self, stage: Place) -> None:
        self.stage = stage
        self.db = stage.one.db

    def adopt(self, since: date) -> int:
        """Customers, accounts and subscriptions for everything that the repository has; how many services."""
        with self.db.write() as conn:
            taxes.set_rate(conn, "gst", "10%", valid_from=date(2020, 1, 1))
        with self.stage.one.reader() as reader:
            return len(
                adopt_services(self.db, reader, since=since, actor="front-desk", key=self.stage.key).services
            )

    def bill(self, on: date) -> BillRun:
        """The bill run of a day."""
        with self.stage.one.reader() as reader:
            return billrun.run_billing(self.db, reader, on)

    def dun(self, on: date, expect: int | None = None) -> DunningRun:
        """The dunning run of a day."""
        with self.stage.one.reader() as reader:
            return dunning.run_dunning(self.db, reader, on, expect=expect)

    def accounts(self) -> dict[str, list[str]]:
        """Account -> its services."""
        with self.db.read() as conn:
            every = list(conn.execute(sa.text("SELECT id FROM account ORDER BY id")).scalars())
            return services_of(conn, every)

    def owed(self, account: str) -> Money:
        """What an account owes altogether."""
        from billing.debts import debts

        with self.db.read() as conn:
            owner = accounts.get(conn, account)
            total = Money.zero(owner.currency)
            for debt in debts(conn, [account])[account]:
                total += debt.balance
        return total

    def pay(self, account: str, on: date) -> Paid | None:
        """Pay everything that an account owes; None when it owes nothing."""
        amount = self.owed(account)
        if not amount.minor:
            return None
        with self.db.write() as conn:
            return payments.pay(conn, account, amount, "transfer", f"demo-{account}-{on}", on=on)

    def pay_all(self, accounts: Iterable[str], on: date) -> int:
        """Pay what these owe; how many payments."""
        return sum(self.pay(account, on) is not None for account in accounts)

    def invoice(self, number: str) -> dict[str, object]:
        """An invoice by its number."""
        with self.db.read() as conn:
            return invoices.get(conn, number)

    def commit_of(self, set_id: str | None) -> str:
        """The commit that a change set became; "" while it is not on trunk."""
        with self.db.read() as conn:
            query = sa.select(change_set.c.commit_id).where(change_set.c.set_id == set_id)
            return conn.execute(query).scalar() or ""

    def state_of(self, set_id: str | None) -> str:
        """The state of a change set."""
        with self.db.read() as conn:
            query = sa.select(change_set.c.state).where(change_set.c.set_id == set_id)
            return conn.execute(query).scalar() or ""

    def overrides(self) -> int:
        """How many overrides are in force: holds of ours that somebody else lifted."""
        with self.db.read() as conn:
            query = sa.select(sa.func.count()).select_from(billing_override)
            return int(conn.execute(query.where(billing_override.c.ended_at.is_(None))).scalar() or 0)

    def settled(self, commit: str, services: Sequence[str]) -> int:
        """How many of the services are proven for a commit: acknowledged, and no session on the old policy."""
        with self.db.read() as conn:
            query = sa.select(receipt.c.target).where(
                receipt.c.commit_id == commit, receipt.c.step == "policy", receipt.c.outcome == "acked"
            )
            return len(set(conn.execute(query).scalars()) & set(services))
