"""Taking over services that are in Git already: a customer, an account and a subscription for each.

For an operator who moves in with a network, and for engineers who added services by pull request.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts, catalog, holds, subscriptions
from billing.errors import PriceMissing
from billing.timeline import Contract, Terms
from billing.wallet import prepaid
from core import events
from core.crypto import DataKey
from core.db import Database
from core.errors import Terminal
from crm import customers
from crm.orders import open_account
from intents.reader import Reader

_CHUNK = 200


class Adopted(msgspec.Struct, frozen=True):
    """Services that are billed now, and those that cannot be, with the reason."""

    services: tuple[str, ...]
    refused: dict[str, str]


def adopt_services(
    database: Database, reader: Reader, *, since: date, actor: str, key: DataKey | None = None
) -> Adopted:
    """Bill every active service of the repository that nobody bills yet, from `since` (or its own later start).

    Doing it again adds nothing. A service whose plan has no price is named and left out. It is billed to the first of
    the customer's accounts in whose currency the plan has one; who has no account gets one with the operator's terms.
    """
    taken: list[str] = []
    refused: dict[str, str] = {}
    for chunk in _chunks(reader):
        with database.write() as conn:
            for name, service in chunk:
                try:
                    if _adopt(conn, reader, key, name, service, since, actor):
                        taken.append(name)
                except Terminal as error:
                    refused[name] = str(error)
    return Adopted(tuple(taken), refused)


def _chunks(reader: Reader) -> Iterator[list[tuple[str, Any]]]:
    chunk: list[tuple[str, Any]] = []
    for name, service in reader.all("service"):
        if service.state == "active":
            chunk.append((name, service))
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _adopt(
    conn: Connection, reader: Reader, key: DataKey | None, name: str, service: Any, since: date, actor: str
) -> bool:
    if subscriptions.is_billed(conn, name):
        return False
    start = max(since, service.start or since)
    found, terms = _priced(conn, reader, service.customer, service.plan, start)
    if not customers.exists(conn, service.customer):
        customers.add(conn, key, service.customer, id=service.customer)
    account = found or open_account(conn, reader, service.customer)
    bare = msgspec.structs.replace(terms, setup=None, contract=_contract(terms.contract, service.start))
    if prepaid.order(conn, reader, name, account, bare):
        prepaid.start(conn, name, start, actor)
    else:
        subscriptions.activate(conn, account, name, bare, start, actor)
    if reader.get("hold", f"{name}.{holds.REASON}") is not None:
        holds.know(conn, name, account, start, actor)
    events.emit(conn, "service.adopted", name, {"service": name, "account": account}, actor=actor)
    return True


def _priced(
    conn: Connection, reader: Reader, customer: str, plan: str, start: date
) -> tuple[str | None, Terms]:
    """The account that fits the plan's prices, and the price; None: none is there yet. Raises PriceMissing."""
    theirs = accounts.of_customer(conn, customer)
    for one in theirs:
        with suppress(PriceMissing):
            return one.id, catalog.price_on(reader, plan, start, one.currency).terms
    currency = theirs[0].currency if theirs else catalog.operator_currency(reader)
    return None, catalog.price_on(reader, plan, start, currency).terms


def _contract(contract: Contract | None, began: date | None) -> Contract | None:
    """Taking over binds nobody anew: a term counts from the service's own start, and without one there is none."""
    if contract is None or began is None:
        return None
    return msgspec.structs.replace(contract, since=began)
