"""Activation: reserve, write line and service, wait for the proof, then billing starts.

Reservation, order and change set are one transaction. The order becomes active when its change set has landed and,
where we configure the access device, when the device confirmed; a set that cannot land fails the order and gives
everything back.
"""

from collections.abc import Callable
from datetime import timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from billing.wallet import prepaid
from core import events, faults
from core.crypto import DataKey
from core.db import Database
from crm import documents, orders, resources
from crm.access import Existing
from crm.models import service_order
from crm.orders import Order
from crm.states import State
from intents import queue
from intents.kinds import path_of
from intents.reader import Reader
from inventory import allocation

ACTOR = "crm"
P_QUEUED = faults.declare("crm.before_activation_commit")


def activate(
    database: Database, reader: Reader, order_id: str, *, actor: str, key: DataKey | None = None
) -> str:
    """Provision a placed order in one transaction; returns the change set. `key` seals the login's password.

    Raises OrderUnknown, OrderStateWrong, NotOrderable, NothingLeft, DataKeyNeeded.
    """
    with database.write() as conn:
        order = orders.lock(conn, order_id)
        set_id = _provision(conn, reader, order, actor, key)
        faults.point(P_QUEUED)
    return set_id


def landed(conn: Connection, set_id: str) -> None:
    """The change set of an order is on trunk: without a device to wait for, the service is active."""
    order = orders.by_set(conn, set_id)
    if order is not None and order.state is State.PROVISIONING and order.awaits == "landing":
        _activate(conn, order)


def confirm_activation(conn: Connection, service: str) -> None:
    """The access device has the service, proven: it is active. A service of no order is none of our business."""
    order = orders.by_service(conn, service)
    if order is not None and order.state is State.PROVISIONING:
        _activate(conn, order)


def refused(conn: Connection, set_id: str, why: str) -> None:
    """The change set cannot land: the order fails, what was reserved is free at once (nobody ever used it)."""
    order = orders.by_set(conn, set_id)
    if order is None or order.state is not State.PROVISIONING:
        return
    for owner in (order.service, order.line):
        if owner is not None:
            allocation.release(conn, owner, timedelta(0))
    orders.move(conn, order, State.FAILED, actor=ACTOR, reason=why)


def waits(conn: Connection, set_id: str, why: str) -> None:
    """The change set is parked: say so on the order."""
    statement = sa.update(service_order).where(service_order.c.set_id == set_id)
    conn.execute(statement.values(reason=why))


def _provision(conn: Connection, reader: Reader, order: Order, actor: str, key: DataKey | None) -> str:
    place = resources.place_of(reader, order.access)
    line = order.access.line if isinstance(order.access, Existing) else _free_id(conn, reader, "line", "L")
    service = _free_id(conn, reader, "service", "S")
    kind = reader.get("plan", order.plan).type
    reserved = resources.reserve_for(conn, reader, place, line, service, order.options, kind)
    changes = _changes(
        documents.line_file(order, reserved, line),
        documents.service_file(reader, key, order, place, reserved, line, service),
        line,
        service,
    )
    prepaid.order(conn, reader, service, order.account_id, order.terms)
    set_id = queue.submit(conn, actor=ACTOR, reason="activation", changes=changes, correlation=order.id)
    new_line = None if isinstance(order.access, Existing) else line
    awaits = "device" if place.managed else "landing"
    orders.move(
        conn,
        order,
        State.PROVISIONING,
        actor=actor,
        line=new_line,
        service=service,
        set_id=set_id,
        awaits=awaits,
    )
    return set_id


def _changes(line_file: bytes | None, service_file: bytes, line: str, service: str) -> list[queue.Change]:
    files = [("line", line, line_file), ("service", service, service_file)]
    return [
        queue.Change(path=path_of(kind, name), content=content, precondition="absent")
        for kind, name, content in files
        if content is not None
    ]


def _activate(conn: Connection, order: Order) -> None:
    """Active: billing is told, with the price that was ordered."""
    orders.move(conn, order, State.ACTIVE, actor=ACTOR, reason=None)
    said = {
        "service": order.service, "customer": order.customer_id, "account": order.account_id,
        "plan": order.plan, "price_version": order.terms.version, "terms": msgspec.to_builtins(order.terms),
    }  # fmt: skip
    events.emit(
        conn, "service.activated", str(order.service), said, actor=ACTOR, correlation=order.id,
        unique=f"service.activated:{order.service}",
    )  # fmt: skip


def _free_id(conn: Connection, reader: Reader, kind: str, letter: str) -> str:
    """The next opaque id that no file has."""
    taken: Callable[[str], bool] = lambda name: reader.exists(kind, name)  # noqa: E731
    while taken(name := f"{letter}-{10_000 + numbers.take(conn, kind)}"):
        pass
    return name
