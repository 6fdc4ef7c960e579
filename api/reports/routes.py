"""Reports of the books as of the end of any day: trial balance, receivables by age, tax."""

from datetime import date
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.customers.view import today
from api.errors import NotUsable
from api.given import Day
from api.here import Here
from api.resource import resource
from api.security import needs
from api.tokens import Identity
from billing.books import reports, tax_due
from billing.tax import rate_text
from core.money import Money

ROUTER = resource("reports")
Billing = Annotated[Identity, needs("billing")]
AsOf = Annotated[Day | None, Query(description="By the end of this day; default: today.")]


class Balance(BaseModel):
    """What stands on an account of the books; debit is positive."""

    ledger: str
    amount: Amount


class TrialBalance(Answer):
    """Every account of the books; each currency adds up to nothing."""

    as_of: date
    balances: list[Balance]


class Receivables(Answer):
    """By currency: what is owed together, and by days past the due date."""

    as_of: date
    receivables: list[dict[str, Amount]]


class Tax(BaseModel):
    """Tax of documents issued in the period, credit notes taken off."""

    legal_entity: str
    category: str
    rate: str
    base: Amount
    tax: Amount
    documents: int


class Relief(BaseModel):
    """Tax that came back with bad debts, below zero; above it where more was recovered."""

    legal_entity: str
    category: str
    tax: Amount
    write_offs: int


class Taxes(Answer):
    """By legal entity, category and rate; `until` is exclusive."""

    since: date
    until: date
    taxes: list[Tax]
    relief: list[Relief]


@ROUTER.get("/trial-balance", response_model=TrialBalance)
def trial_balance(here: Here, _who: Billing, as_of: AsOf = None, legal_entity: str | None = None) -> Any:
    """Read what stands on every account of the books."""
    day = as_of or _today(here)
    with here.context.db.read() as conn:
        found = reports.trial_balance(conn, day, legal_entity)
    balances = [Balance(ledger=one.ledger, amount=amount(one.amount)) for one in found]
    return answer("trial-balance", as_of=day, balances=balances)


@ROUTER.get("/receivables", response_model=Receivables)
def receivables(here: Here, _who: Billing, as_of: AsOf = None) -> Any:
    """Read what is owed, by how late it is."""
    day = as_of or _today(here)
    with here.context.db.read() as conn:
        found = reports.aged_totals(conn, day)
    told = [
        {name: amount(Money(minor, one.account)) for name, minor in one.ages.items()}
        | {"together": amount(one.together)}
        for one in found
    ]
    return answer("receivables", as_of=day, receivables=told)


@ROUTER.get("/tax", response_model=Taxes)
def tax(here: Here, _who: Billing, since: Day, until: Day) -> Any:
    """Read the tax of a period, from `since` on and before `until`."""
    if until <= since:
        raise NotUsable(f"until {until}", f"it is not after since, {since}")
    with here.context.db.read() as conn:
        found = reports.tax(conn, since, until)
        given = tax_due.relief(conn, since, until)
    taxes = [
        Tax(
            legal_entity=one.legal_entity, category=one.category, rate=rate_text(one.millionths),
            base=amount(one.base), tax=amount(one.tax), documents=one.documents,
        )
        for one in found
    ]  # fmt: skip
    relief = [
        Relief(
            legal_entity=one.legal_entity,
            category=one.category,
            tax=amount(one.tax),
            write_offs=one.write_offs,
        )
        for one in given
    ]
    return answer("tax", since=since, until=until, taxes=taxes, relief=relief)


def _today(here: Here) -> date:
    with here.context.reader() as reader:
        found: date = today(reader)
    return found
