"""Orders: place one, provision it, follow it until the network confirmed."""

from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import Field
from sqlalchemy.engine import Connection

from api.answers import Answer, answer
from api.customers import view
from api.errors import NotUsable
from api.given import Given
from api.here import Here
from api.resource import resource
from api.security import needs
from api.tokens import Identity
from billing.offers import redeeming
from crm import activation, customers, orders
from crm.access import Access, Options

ROUTER = resource("orders")
Staff = Annotated[Identity, needs("support")]
_ACCESS = [
    {"type": "gpon", "olt": "olt1", "pon": "0/1/0", "serial": "HWTC1A2B3C4D"},
    {"type": "radio", "ap": "ap1", "sector": "north", "mac": "02:00:5e:00:53:01"},
    {"type": "existing", "line": "L-10001"},
]


Code = Annotated[str, Field(min_length=1, max_length=64)]


class Wanted(Given):
    """What is ordered; the plan's price of today is pinned. `access`: gpon, radio, handoff or existing."""

    customer: str
    plan: str
    access: Annotated[dict[str, Any], Field(examples=_ACCESS)]
    options: Annotated[dict[str, Any], Field(examples=[{"method": "pppoe", "ipv4": "cgnat"}])] = {}
    account: str | None = None
    location: str | None = None
    draft: bool = False
    promotions: Annotated[list[Code], Field(max_length=10, examples=[["SPRING-26"]])] = []


class One(Answer):
    """An order."""

    order: dict[str, Any]


class Orders(Answer):
    """A customer's orders, oldest first."""

    orders: list[dict[str, Any]]


class Provisioning(Answer):
    """The change set that writes line and service."""

    order: str
    set_id: str


class Why(Given):
    """Why it is cancelled."""

    reason: Annotated[str, Field(max_length=200)] = ""


@ROUTER.post("", response_model=One, status_code=201)
def place(here: Here, who: Staff, wanted: Wanted) -> Any:
    """Place an order."""
    access, options = _read(wanted.access, Access), _read(wanted.options, Options)
    with here.context.reader() as reader, here.context.db.write() as conn:
        name = orders.place_order(
            conn, reader, wanted.customer, wanted.plan, access, actor=who.actor, options=options,
            account=wanted.account, location=wanted.location, draft=wanted.draft, promotions=wanted.promotions,
        )  # fmt: skip
        return answer("order", order=_shown(conn, name))


@ROUTER.get("", response_model=Orders)
def list_orders(here: Here, _who: Staff, customer: Annotated[str, Query(description="Whose.")]) -> Any:
    """List a customer's orders."""
    with here.context.db.read() as conn:
        customers.get(conn, here.context.key, customer)
        return answer("orders", orders=[view.order(one) for one in orders.of_customer(conn, customer)])


@ROUTER.get("/{order}", response_model=One)
def show_order(here: Here, _who: Staff, order: str) -> Any:
    """Show an order: placed, provisioning, active, failed, cancelled."""
    with here.context.db.read() as conn:
        return answer("order", order=_shown(conn, order))


@ROUTER.post("/{order}/activate", response_model=Provisioning, status_code=202)
def activate(here: Here, who: Staff, order: str) -> Any:
    """Provision a placed order; it becomes active when the network confirmed."""
    context = here.context
    with context.reader() as reader:
        set_id = activation.activate(context.db, reader, order, actor=who.actor, key=context.key)
    return answer("order-provisioning", order=order, set_id=set_id)


@ROUTER.post("/{order}/place", response_model=One)
def place_again(here: Here, who: Staff, order: str) -> Any:
    """Place a draft, or a failed order once its cause is mended."""
    with here.context.db.write() as conn:
        orders.place_again(conn, order, actor=who.actor)
        return answer("order", order=_shown(conn, order))


@ROUTER.post("/{order}/cancel", response_model=One)
def cancel(here: Here, who: Staff, order: str, why: Why) -> Any:
    """Cancel an order that is not being provisioned yet."""
    with here.context.db.write() as conn:
        orders.cancel(conn, order, actor=who.actor, reason=why.reason)
        return answer("order", order=_shown(conn, order))


def _shown(conn: Connection, name: str) -> dict[str, Any]:
    """An order with what it was promised."""
    promised = [
        {"offer": row["offer"], "code": row["code"], "state": row["state"]}
        for row in redeeming.of(conn, name)
    ]
    return view.order(orders.get(conn, name)) | {"promotions": promised}


def _read(given: dict[str, Any], shape: Any) -> Any:
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        raise NotUsable("the order", str(error)) from error
