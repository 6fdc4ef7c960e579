"""Customers and their locations. Ids are opaque; names and addresses never leave SQL."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from core import clock, ids
from core.crypto import DataKey
from crm import personal
from crm.errors import CustomerUnknown, NameMissing
from crm.models import customer, location


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as staff see one."""

    id: str
    created_at: datetime
    name: str
    email: str = ""
    phone: str = ""


def add(
    conn: Connection, key: DataKey | None, name: str, *, email: str = "", phone: str = "", id: str = ""
) -> str:
    """Add a customer and return its id (`C-10001`); `id` keeps one that services in Git already name.

    Raises NameMissing.
    """
    if not name.strip():
        raise NameMissing
    customer_id = id or _free_id(conn)
    facts = {"name": name, "email": email, "phone": phone}
    text = personal.store(key, f"customer/{customer_id}", facts)
    conn.execute(sa.insert(customer).values(id=customer_id, personal=text, created_at=clock.now()))
    return customer_id


def get(conn: Connection, key: DataKey | None, customer_id: str) -> Customer:
    """A customer. Raises CustomerUnknown."""
    row = conn.execute(sa.select(customer).where(customer.c.id == customer_id)).first()
    if row is None:
        raise CustomerUnknown(customer_id)
    return _customer(key, row)


def everyone(conn: Connection, key: DataKey | None, limit: int = 1000, after: str = "") -> list[Customer]:
    """Customers by id, `limit` of them after `after`."""
    query = sa.select(customer).where(customer.c.id > after).order_by(customer.c.id).limit(limit)
    return [_customer(key, row) for row in conn.execute(query)]


def exists(conn: Connection, customer_id: str) -> bool:
    """Whether there is such a customer."""
    return conn.execute(sa.select(customer.c.id).where(customer.c.id == customer_id)).first() is not None


def add_location(
    conn: Connection,
    key: DataKey | None,
    customer_id: str,
    address: str,
    *,
    latitude: float | None = None,
    longitude: float | None = None,
) -> str:
    """Add a place where a customer has services. Raises CustomerUnknown."""
    get(conn, key, customer_id)
    location_id = ids.new_id("loc")
    text = personal.store(key, f"location/{location_id}", {"address": address})
    values = {"id": location_id, "customer_id": customer_id, "personal": text}
    conn.execute(sa.insert(location).values(**values, latitude=latitude, longitude=longitude))
    return location_id


def locations(conn: Connection, key: DataKey | None, customer_id: str) -> list[dict[str, Any]]:
    """A customer's places: `{id, address, latitude, longitude}`."""
    query = sa.select(location).where(location.c.customer_id == customer_id).order_by(location.c.id)
    return [
        {
            "id": row.id,
            "address": personal.read(key, f"location/{row.id}", row.personal).get("address", "(sealed)"),
            "latitude": row.latitude,
            "longitude": row.longitude,
        }
        for row in conn.execute(query)
    ]


def _free_id(conn: Connection) -> str:
    while True:
        customer_id = f"C-{10_000 + numbers.take(conn, 'customer')}"
        if not exists(conn, customer_id):
            return customer_id


def _customer(key: DataKey | None, row: Any) -> Customer:
    facts = personal.read(key, f"customer/{row.id}", row.personal)
    return Customer(id=row.id, created_at=row.created_at, **facts)
