"""Orders: what a customer wants, at a price that is pinned when it is placed."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, catalog
from billing.accounts import Account
from billing.errors import AccountTermsFixed
from billing.offers import redeeming
from billing.timeline import Terms
from core import clock, db, events, ids
from crm import customers
from crm.access import Access, Options, read_access
from crm.errors import AccountNotTheirs, NotOrderable, OrderStateWrong, OrderUnknown, PlanUnknown
from crm.models import service_order
from crm.states import TRANSITIONS, State
from intents.plan.kind import BESIDE
from intents.reader import Reader

_COMING = (State.DRAFT, State.PLACED, State.PROVISIONING, State.FAILED)
"""States of an order whose service may still be billed at the price that it pinned."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order. `line` and `service` exist from activation on."""

    id: str
    customer_id: str
    account_id: str
    state: State
    plan: str
    terms: Terms
    access: Access
    options: Options
    line: str | None = None
    service: str | None = None
    set_id: str | None = None
    awaits: str | None = None
    reason: str | None = None


def place_order(
    conn: Connection,
    reader: Reader,
    customer: str,
    plan: str,
    access: Access,
    *,
    actor: str,
    options: Options = Options(),  # noqa: B008  (frozen)
    account: str | None = None,
    location: str | None = None,
    draft: bool = False,
    promotions: Sequence[str] = (),
) -> str:
    """Place an order (or keep it as a draft) and return its id; the plan's price of today, in the account's currency,
    is pinned.

    Without `account` the customer's first one is used, or one is opened in the operator's currency and zone.
    `promotions`: codes; what they promise today is reserved, until the order is cancelled. Raises CustomerUnknown,
    AccountUnknown, AccountNotTheirs, PlanUnknown, PriceMissing, NotOrderable, PromotionRefused.
    """
    owner = _account(conn, reader, customer, account)
    sold = reader.get("plan", plan)
    if sold is None:
        raise PlanUnknown(plan, reader.ids("plan"))
    if sold.type not in ("internet", "voice", "iptv"):
        beside = sold.type in BESIDE
        how = (
            "it goes beside a service that is billed"
            if beside
            else "such a service is built by a pull request"
        )
        raise NotOrderable(f"plan {plan}", f"it is of type {sold.type}: {how}")
    _config(reader)  # without it nobody knows the currency of a price that says none
    terms = catalog.price_on(reader, plan, owner.today, owner.currency).terms
    if sold.type == "voice" and not options.number:
        raise NotOrderable(f"plan {plan}", "a voice service needs its telephone number")
    order_id, moment = ids.new_id("ord"), clock.now()
    values = {
        "id": order_id, "customer_id": customer, "account_id": owner.id, "location_id": location,
        "state": State.DRAFT if draft else State.PLACED, "plan": plan, "terms": msgspec.to_builtins(terms),
        "access": msgspec.to_builtins(access), "options": msgspec.to_builtins(options), "actor": actor,
        "created_at": moment, "changed_at": moment,
    }  # fmt: skip
    conn.execute(sa.insert(service_order).values(**values))
    redeeming.reserve(conn, reader, order_id, owner, plan, promotions, actor=actor, on=owner.today)
    return order_id


def get(conn: Connection, order_id: str) -> Order:
    """An order. Raises OrderUnknown."""
    return _order(conn.execute(_by_id(order_id)).first(), order_id)


def lock(conn: Connection, order_id: str) -> Order:
    """An order, locked until the transaction ends. Raises OrderUnknown."""
    return _order(conn.execute(db.lock_row(conn, _by_id(order_id))).first(), order_id)


def of_customer(conn: Connection, customer: str) -> list[Order]:
    """A customer's orders, oldest first."""
    query = sa.select(service_order).where(service_order.c.customer_id == customer)
    return [_order(row, customer) for row in conn.execute(query.order_by(service_order.c.id))]


def by_set(conn: Connection, set_id: str) -> Order | None:
    """The order that a change set provisions, locked."""
    return _first(conn, service_order.c.set_id == set_id)


def by_service(conn: Connection, service: str) -> Order | None:
    """The order that a service comes from, locked."""
    return _first(conn, service_order.c.service == service)


def move(conn: Connection, order: Order, to: State, *, actor: str, **values: Any) -> None:
    """Take a locked order to another state, telling everybody. Raises OrderStateWrong."""
    if to not in TRANSITIONS[order.state]:
        raise OrderStateWrong(order.id, order.state, to, TRANSITIONS[order.state])
    said = {"state": to, "changed_at": clock.now(), **values}
    conn.execute(sa.update(service_order).where(service_order.c.id == order.id).values(**said))
    told = {
        "order": order.id,
        "customer": order.customer_id,
        "from": order.state,
        "reason": values.get("reason"),
    }
    events.emit(conn, f"order.{to}", order.id, told, actor=actor)


def cancel(conn: Connection, order_id: str, *, actor: str, reason: str = "") -> None:
    """Cancel an order that is not being provisioned yet. Raises OrderUnknown, OrderStateWrong."""
    move(conn, lock(conn, order_id), State.CANCELLED, actor=actor, reason=reason or None)
    redeeming.release(conn, order_id)


def place_again(conn: Connection, order_id: str, *, actor: str) -> None:
    """Place a draft, or a failed order once its cause is mended."""
    cleared = {"line": None, "service": None, "set_id": None, "awaits": None, "reason": None}
    move(conn, lock(conn, order_id), State.PLACED, actor=actor, **cleared)


def _account(conn: Connection, reader: Reader, customer: str, account: str | None) -> Account:
    customers.get(conn, None, customer)
    if account is not None:
        chosen = accounts.lock(conn, account)
        if chosen.customer_ref != customer:
            raise AccountNotTheirs(account, customer)
        return chosen
    theirs = accounts.of_customer(conn, customer)
    return accounts.lock(conn, theirs[0].id if theirs else open_account(conn, reader, customer))


def open_account(
    conn: Connection, reader: Reader, customer: str, *, actor: str | None = None, **terms: Any
) -> str:
    """Open a billing account; currency and zone that `terms` (names of `Account`) do not say are the operator's, and
    under a parent currency and legal entity are the parent's.

    An account that a person opens (`actor`) is told as event `account.opened`. Raises NotOrderable, CustomerUnknown,
    AccountNotUsable, TimeZoneUnknown.
    """
    operator = _config(reader).operator
    asked = {"currency": operator.currency, "timezone": operator.timezone}
    for above in accounts.by_ids(conn, [terms["parent"]] if terms.get("parent") else []):
        asked |= {"currency": above.currency, "legal_entity": above.legal_entity}
    if actor is None:
        return accounts.open_account(conn, customer, **asked | terms)
    customers.get(conn, None, customer)
    accounts.require_known(conn, f"of {customer}", _entities(reader), terms)
    opened = accounts.open_account(conn, customer, **asked | terms)
    told = msgspec.to_builtins(accounts.get(conn, opened))
    events.emit(conn, "account.opened", opened, told, actor=actor)
    return opened


def change_account(
    conn: Connection, reader: Reader, account: str, *, actor: str, **terms: Any
) -> tuple[Account, Account]:
    """Set terms of an account; returns it as it was and as it is. An order pins its price in the account's currency, so
    one that still comes keeps that. Raises as `billing.accounts.change` does.
    """
    above = terms.get("parent")
    accounts.by_ids(conn, [account, *([above] if above else [])])  # in one order: nobody waits in a circle
    before = accounts.get(conn, account)
    if terms.get("currency", before.currency) != before.currency:
        pending = sa.and_(service_order.c.account_id == account, service_order.c.state.in_(_COMING))
        if waits := conn.execute(sa.select(service_order.c.id).where(pending)).scalars().first():
            raise AccountTermsFixed(
                account, before.customer_ref, ["currency"], [f"order {waits} has a price in it"]
            )
    return before, accounts.change(conn, account, actor=actor, entities=_entities(reader), **terms)


def _entities(reader: Reader) -> list[str]:
    """The legal entities of trunkline.yaml."""
    return list(_config(reader).entities)


def _config(reader: Reader) -> Any:
    config = reader.get("config", "trunkline")
    if config is None:
        raise NotOrderable("a service", "trunkline.yaml, which names the currency, is not readable")
    return config


def _by_id(order_id: str) -> "sa.Select[Any]":
    return sa.select(service_order).where(service_order.c.id == order_id)


def _first(conn: Connection, condition: "sa.ColumnElement[bool]") -> Order | None:
    row = conn.execute(db.lock_row(conn, sa.select(service_order).where(condition))).first()
    return None if row is None else _order(row, row.id)


def _order(row: Any, order_id: str) -> Order:
    if row is None:
        raise OrderUnknown(order_id)
    return Order(
        id=row.id, customer_id=row.customer_id, account_id=row.account_id, state=State(row.state),
        plan=row.plan, terms=msgspec.convert(row.terms, Terms), access=read_access(row.access),
        options=msgspec.convert(row.options, Options), line=row.line, service=row.service,
        set_id=row.set_id, awaits=row.awaits, reason=row.reason,
    )  # fmt: skip
