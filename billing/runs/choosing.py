"""Which drafts get their numbers, and the day that they are issued on. Pure but for the conditions in SQL.

A legal entity's `grace` (trunkline.yaml) is for how many days a bill run's drafts wait for a person to look at them.
When it is over the next run makes them final, issued on the day that it ended: whether the run came then or later.
"""

from datetime import date, timedelta

import msgspec
import sqlalchemy as sa

from billing.models import invoice
from intents.config.schema import Config
from intents.reader import Reader


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """All drafts, or fewer. `on`: the local date for which grace counts (`grace`: days by legal entity).

    `issued`: a person finalises on this day; then grace does not matter. `account`, `run`: only theirs.
    """

    on: date | None = None
    grace: dict[str, int] = {}
    issued: date | None = None
    account: str | None = None
    run: str | None = None

    def drafts(self, legal_entity: str, kind: str) -> "list[sa.ColumnElement[bool]]":
        """The conditions for the drafts of a series. What a person drafted was decided: no grace for it."""
        found: list[sa.ColumnElement[bool]] = [
            invoice.c.state == "draft", invoice.c.legal_entity == legal_entity, invoice.c.kind == kind,
        ]  # fmt: skip
        days = self.grace.get(legal_entity, 0)
        if self.issued is None and self.on is not None and days:
            over = invoice.c.billed_on <= self.on - timedelta(days=days)
            found.append(sa.or_(over, invoice.c.run_id.like("credit:%")))
        if self.account is not None:
            found.append(invoice.c.account_id == self.account)
        if self.run is not None:
            found.append(invoice.c.run_id == self.run)
        return found

    def issue(self, legal_entity: str, billed_on: date, run_id: str) -> date:
        """The day that a draft is issued on, if its series is not there already."""
        if self.issued is not None:
            return max(billed_on, self.issued)
        if run_id.startswith("credit:"):
            return billed_on
        return billed_on + timedelta(days=self.grace.get(legal_entity, 0))


ALL = Choice()
"""Every draft, at once."""


def graces(reader: Reader) -> dict[str, int]:
    """Days of grace by legal entity, where there are any."""
    config = reader.get("config", "trunkline")
    if not isinstance(config, Config):
        return {}
    return {name: entity.grace for name, entity in config.entities.items() if entity.grace}


def of_run(reader: Reader, on: date) -> Choice:
    """What a run for a date makes final."""
    return Choice(on=on, grace=graces(reader))
