"""Billing accounts: how they stand, what is billed to them and since when, how they are dunned."""

from datetime import date
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, Field

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.customers import view as customers
from api.given import Given
from api.here import Here
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity
from billing import accounts, history, promises
from billing import models as tables
from billing.accounts import Account
from billing.runs.plain import OVER
from crm import orders

ROUTER = resource("accounts")
Staff = Annotated[Identity, needs("support", "billing")]
Billing = Annotated[Identity, needs("billing")]
Short = Annotated[str, Field(min_length=1, max_length=64)]
_NOT_THERE: dict[int | str, dict[str, Any]] = {404: {"description": "there is no such customer or account"}}
_FIXED: dict[int | str, dict[str, Any]] = {409: {"description": "something was billed or booked already"}}


def _said(example: Any, **bounds: Any) -> Any:
    """A term that may be left out. What then counts is not the field's default, so that is not told."""

    def untold(told: dict[str, Any]) -> None:
        told.pop("default", None)

    return Field(examples=[example], json_schema_extra=untold, **bounds)


class Stretch(BaseModel):
    """Days from `start` on, `end` exclusive, at one price; `billed` false: a hold that stops billing."""

    start: date
    end: date | None
    plan: str
    version: str
    price: Amount
    every_months: int
    billed: bool


class Item(BaseModel):
    """What is billed. `billed_through`: the first day not billed yet; none before the first bill and after the last."""

    service: str
    role: str
    label: str
    billed_through: date | None
    stretches: list[Stretch]


class Event(BaseModel):
    """A dunning stage that was entered, a promise, a hold that somebody lifted."""

    on: date
    what: str
    by: str


class Terms(BaseModel):
    """An account's terms."""

    id: str
    customer: str
    currency: str
    timezone: str
    anchor: int
    legal_entity: str
    tax_profile: str
    dunning_policy: str
    payment_days: int
    change_day: str
    parent: str | None


class Changes(Given):
    """Terms to set; what is left out stays. `tax_profile`, `dunning_policy` and `payment_days` change at any time, the
    others until something was billed or booked. `parent` null: none.
    """

    currency: Annotated[Short, _said("EUR")] = ""
    timezone: Annotated[Short, _said("Europe/Vienna")] = ""
    anchor: Annotated[int, _said(15, ge=1, le=31)] = 1
    legal_entity: Annotated[Short, _said("main")] = ""
    tax_profile: Annotated[Short, _said("default")] = ""
    dunning_policy: Annotated[Short, _said("default")] = ""
    payment_days: Annotated[int, _said(30, ge=0, le=accounts.MOST_DAYS)] = 14
    change_day: Annotated[Literal["new", "old"], _said("new")] = "new"
    parent: Annotated[Short | None, _said("A-10001")] = None


class Wanted(Changes):
    """A new account of a customer; terms that are left out are as the operator has them."""

    customer: Annotated[Short, Field(examples=["C-10001"])]


class Accounts(Answer):
    """A page of accounts by id."""

    accounts: list[Terms]
    next: str | None = None


class One(Answer):
    """An account."""

    account: Terms
    fixed: Annotated[list[str], Field(description="why some terms cannot change any more")]
    standing: dict[str, Any]
    children: Annotated[list[dict[str, Any]], Field(description="how the accounts below it stand")]
    together: Annotated[dict[str, Amount], Field(description="open, overdue, credit of it and its children")]
    items: list[Item]
    dunning: list[Event]


class Told(Answer):
    """An account's terms."""

    account: Terms


class Promised(Given):
    """Everything that is due is promised by `until`, a local date of the account."""

    until: Annotated[date, Field(examples=[date(2026, 12, 24)])]


class Released(Answer):
    """`set_ids`: the releases of services that were held."""

    account: str
    set_ids: list[str]


@ROUTER.get("", response_model=Accounts)
def list_accounts(here: Here, _who: Staff, limit: Limit = 50, after: After = "") -> Any:
    """List accounts by id."""
    query = sa.select(tables.account.c.id).where(tables.account.c.id > after)
    with here.context.db.read() as conn:
        found = list(conn.execute(query.order_by(tables.account.c.id).limit(limit + 1)).scalars())
        owners = [_terms(accounts.get(conn, one)) for one in found]
    shown, cursor = page(owners, limit, "id")
    return answer("accounts", accounts=shown, next=cursor)


@ROUTER.post("", response_model=Told, status_code=201, responses=_NOT_THERE)
def open_account(here: Here, who: Billing, wanted: Wanted) -> Any:
    """Open an account of a customer, before services are ordered to it."""
    terms = wanted.model_dump(exclude_unset=True, exclude={"customer"})
    with here.context.reader() as reader, here.context.db.write() as conn:
        name = orders.open_account(conn, reader, wanted.customer, actor=who.actor, **terms)
        return answer("account-opened", account=_terms(accounts.get(conn, name)))


@ROUTER.patch("/{account}", response_model=Told, responses=_NOT_THERE | _FIXED)
def change_account(here: Here, who: Billing, account: str, wanted: Changes) -> Any:
    """Set terms of an account; issued documents never change."""
    terms = wanted.model_dump(exclude_unset=True)
    with here.context.reader() as reader, here.context.db.write() as conn:
        _, now = orders.change_account(conn, reader, account, actor=who.actor, **terms)
    return answer("account-changed", account=_terms(now))


@ROUTER.get("/{account}", response_model=One)
def show_account(here: Here, _who: Staff, account: str) -> Any:
    """Show an account: its terms, how it and its children stand, its items over time, its dunning."""
    with here.context.db.read() as conn:
        owner = accounts.get(conn, account)
        items = [_item(one) for one in history.stories(conn, account)]
        case = [Event(on=one.on, what=one.what, by=one.by) for one in history.case(conn, account)]
        family = customers.family(conn, account)
        fixed = accounts.in_the_way(conn, account)
    return answer("account", account=_terms(owner), fixed=fixed, items=items, dunning=case, **family)


@ROUTER.post("/{account}/promises", response_model=Released, status_code=201)
def promise(here: Here, who: Staff, account: str, wanted: Promised) -> Any:
    """Note a promise to pay; services that were held for what it covers are released."""
    with here.context.db.write() as conn:
        found = promises.make(conn, account, wanted.until, actor=who.actor)
    return answer("promise", account=account, set_ids=list(found))


def _terms(owner: Account) -> Terms:
    return Terms(
        id=owner.id, customer=owner.customer_ref, currency=owner.currency, timezone=owner.timezone,
        anchor=owner.anchor, legal_entity=owner.legal_entity, tax_profile=owner.tax_profile,
        dunning_policy=owner.dunning_policy, payment_days=owner.payment_days,
        change_day=owner.change_day, parent=owner.parent,
    )  # fmt: skip


def _item(story: history.Story) -> Item:
    one = story.item
    through = None if one.charged_through == OVER else one.charged_through
    stretches = [
        Stretch(
            start=part.start, end=part.end, plan=part.terms.plan, version=part.terms.version,
            price=amount(part.terms.price), every_months=part.terms.months, billed=not part.blocked,
        )
        for part in story.stretches
    ]  # fmt: skip
    return Item(
        service=one.service, role=one.role, label=one.label, billed_through=through, stretches=stretches
    )
