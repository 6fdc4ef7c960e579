"""What is special about the tax of a chunk's odd accounts, read once: exemptions, surcharges, engines' answers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.bill import Line
from billing.charges import Charge
from billing.runs.known import Known
from billing.tax import Rate
from billing.taxing import asking, exemptions, surcharges
from billing.taxing.errors import AnswerMissing
from billing.taxing.exemptions import Exemption
from billing.taxing.models import tax_answer, tax_engine
from billing.taxing.surcharges import Surcharge


class Special(msgspec.Struct, frozen=True):
    """Of some accounts on a day. `engines`: tax profile -> (engine, fallback); `had`: surcharge lines of charges that
    are taken back.
    """

    known: Known
    exempt: Mapping[str, Sequence[Exemption]]
    added: Mapping[str, Sequence[Surcharge]]
    engines: Mapping[str, tuple[str, str]]
    answers: Mapping[tuple[str, str], int]
    had: Mapping[str, Sequence[Any]]

    def rate(self, conn: Connection, owner: Account, category: str) -> Rate:
        """The rate for an account: its exemption, else its engine's word, else the table.

        Raises TaxRateMissing, AnswerMissing.
        """
        on = self.known.on
        if exemptions.in_force(self.exempt.get(owner.id, ()), category, on) is not None:
            return Rate(category, 0)
        engine, fallback = self.engines.get(owner.tax_profile, ("", ""))
        if not engine or not category:
            return self.known.rate(conn, owner.tax_profile, category)
        answer = self.answers.get((owner.id, category))
        if answer is not None:
            return Rate(category, answer)
        if fallback == asking.RATES:
            return self.known.rate(conn, owner.tax_profile, category)
        raise AnswerMissing(engine, category, on)

    def with_surcharges(
        self, conn: Connection, owner: Account, lines: Sequence[Line], posted: Sequence[Charge],
        before: Mapping[str, int],
    ) -> Iterator[Line]:  # fmt: skip
        """Each line, and after it what is added to it; what is taken back takes the surcharges that it had. `before`:
        what billables that correct something correct, in minor units.
        """
        found = self.added.get(owner.tax_profile, ())
        reversing = {one.id: one.reverses for one in posted if one.reverses is not None}
        rates = {one.tax: self.rate(conn, owner, one.tax) for one in found}
        for line in lines:
            yield line
            if line.charge is not None and line.charge in reversing:
                had = self.had.get(reversing[line.charge], ())
                yield from surcharges.taken_back(had, line.charge, owner.currency)
            else:
                yield from surcharges.lines(line, found, rates, before.get(line.billable or "", 0))


def of(conn: Connection, known: Known, account_ids: Sequence[str], back: Sequence[str]) -> Special:
    """What is special about these accounts on the run's day; `back`: charges that are taken back."""
    on: date = known.on
    query = sa.select(tax_engine).where(tax_engine.c.engine != "")
    engines = {row.profile: (row.engine, row.fallback) for row in conn.execute(query)}
    answers = {}
    if engines:
        asked = sa.select(tax_answer).where(
            tax_answer.c.account_id.in_(account_ids), tax_answer.c.billed_on == on
        )
        answers = {(row.account_id, row.category): row.millionths for row in conn.execute(asked)}
    return Special(
        known, exemptions.of_accounts(conn, account_ids), surcharges.on_day(conn, on), engines, answers,
        surcharges.of_charges(conn, back),
    )  # fmt: skip
