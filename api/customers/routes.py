"""Customers: who they are, where they live, their accounts and orders."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.answers import Answer, answer
from api.customers import view
from api.given import Given
from api.here import Here
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity
from core import events
from crm import customers

ROUTER = resource("customers")
Staff = Annotated[Identity, needs("support", "billing")]


class Named(BaseModel):
    """A customer in a list."""

    id: str
    name: str
    email: str
    phone: str


class Customers(Answer):
    """A page of customers."""

    customers: list[Named]
    next: str | None = None


class One(Answer):
    """A customer with places, accounts and orders."""

    customer: dict[str, Any]


class Wanted(Given):
    """A new customer; names and addresses stay in SQL, sealed."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(max_length=200)] = ""
    phone: Annotated[str, Field(max_length=40)] = ""
    address: Annotated[str, Field(max_length=400)] = ""


class Added(Answer):
    """The new customer's id."""

    customer: str


@ROUTER.get("", response_model=Customers)
def list_customers(here: Here, _who: Staff, limit: Limit = 50, after: After = "") -> Any:
    """List customers by id."""
    with here.context.db.read() as conn:
        found = customers.everyone(conn, here.context.key, limit + 1, after)
    shown, cursor = page(found, limit, "id")
    named = [Named(id=one.id, name=one.name, email=one.email, phone=one.phone) for one in shown]
    return answer("customers", customers=named, next=cursor)


@ROUTER.post("", response_model=Added, status_code=201)
def add_customer(here: Here, who: Staff, wanted: Wanted) -> Any:
    """Add a customer."""
    with here.context.db.write() as conn:
        key = here.context.key
        name = customers.add(conn, key, wanted.name, email=wanted.email, phone=wanted.phone)
        if wanted.address:
            customers.add_location(conn, key, name, wanted.address)
        events.emit(conn, "customer.added", name, {}, actor=who.actor)
    return answer("customer-added", customer=name)


@ROUTER.get("/{customer}", response_model=One)
def show_customer(here: Here, _who: Staff, customer: str) -> Any:
    """Show a customer."""
    with here.context.db.read() as conn:
        return answer("customer", customer=view.customer(here, conn, customer))
