"""Whom invoices are addressed to where billing was never told: the customer, at the first of their places."""

from sqlalchemy.engine import Connection

from billing import accounts
from billing.papers.making import Fallback
from billing.papers.parties import Party
from core.crypto import DataKey
from crm import customers
from crm.errors import CustomerUnknown


def buyer(key: DataKey | None) -> Fallback:
    """For `billing.papers.making`: (connection, account) -> the customer."""

    def found(conn: Connection, account: str) -> Party:
        reference = accounts.get(conn, account).customer_ref
        try:
            customer = customers.get(conn, key, reference)
        except CustomerUnknown:
            return Party(name=reference)
        places = customers.locations(conn, key, reference)
        address = tuple(line.strip() for line in places[0]["address"].split("\n")) if places else ()
        return Party(name=customer.name, address=address, email=customer.email, phone=customer.phone)

    return found
