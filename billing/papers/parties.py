"""Who sends and who gets an invoice, as of the moment when it became final."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.papers.models import billing_contact, seller_version
from core import clock, events
from core.crypto import DataKey, is_sealed, open_, seal
from intents.config.schema import Config, Entity, TaxNote
from intents.reader import Reader

_NAME = "contact"
MAIN = "main"


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Name and address. `country`: ISO 3166-1 alpha-2; `vat`: with its country's prefix."""

    name: str
    address: tuple[str, ...] = ()
    postcode: str = ""
    city: str = ""
    country: str = ""
    vat: str = ""
    registration: str = ""
    email: str = ""
    phone: str = ""


class Seller(Party, frozen=True, kw_only=True):
    """A legal entity."""

    website: str = ""
    iban: str = ""
    bic: str = ""
    bank: str = ""
    language: str = "en"
    color: str = "#0b6a66"
    footer: tuple[str, ...] = ()
    tax: dict[str, TaxNote] = {}


def sellers(config: Config | None) -> dict[str, Seller]:
    """The legal entities of trunkline.yaml; the operator's name stands for `main` where that is not there."""
    if config is None:
        return {}
    found = {name: _seller(entity) for name, entity in config.entities.items()}
    return {MAIN: Seller(name=config.operator.name)} | found


def note_sellers(conn: Connection, reader: Reader) -> None:
    """Keep what the repository says of the legal entities, where it is new."""
    known = {row.legal_entity: row.content for row in conn.execute(_newest())}
    for name, seller in sellers(reader.get("config", "trunkline")).items():
        content = msgspec.to_builtins(seller)
        if known.get(name) != content:
            values = {"legal_entity": name, "content": content, "recorded_at": clock.now()}
            conn.execute(sa.insert(seller_version).values(**values))


def seller_at(conn: Connection, reader: Reader, entity: str, moment: datetime) -> Seller:
    """The legal entity as it was then; as it is now where nothing was noted. One without a name bears its id."""
    query = sa.select(seller_version.c.content, seller_version.c.recorded_at)
    rows = conn.execute(
        query.where(seller_version.c.legal_entity == entity).order_by(seller_version.c.seq)
    ).all()
    content = _as_of(((row.recorded_at, row.content) for row in rows), moment)
    if content is not None:
        return msgspec.convert(content, Seller)
    return sellers(reader.get("config", "trunkline")).get(entity, Seller(name=entity))


def set_contact(conn: Connection, key: DataKey | None, account: str, party: Party, *, actor: str) -> None:
    """Address an account's invoices from now on. Raises AccountUnknown."""
    accounts.lock(conn, account)
    text = msgspec.json.encode(party).decode()
    sealed = text if key is None else seal(key, text, f"account/{account}", _NAME)
    values = {"account_id": account, "personal": sealed, "actor": actor, "recorded_at": clock.now()}
    conn.execute(sa.insert(billing_contact).values(**values))
    events.emit(conn, "billing.contact-changed", account, {}, actor=actor)


def contact_at(conn: Connection, key: DataKey | None, account: str, moment: datetime) -> Party | None:
    """To whom they were addressed then; None where nobody had said by then."""
    query = sa.select(billing_contact.c.personal, billing_contact.c.recorded_at)
    query = query.where(billing_contact.c.account_id == account).order_by(billing_contact.c.seq)
    said = [row.personal for row in conn.execute(query) if row.recorded_at <= moment]
    text = said[-1] if said else None
    if text is None:
        return None
    if is_sealed(text):
        text = open_(key, text, f"account/{account}", _NAME) if key else '{"name": "(sealed)"}'
    return msgspec.json.decode(text, type=Party)


def _as_of(versions: Iterable[tuple[datetime, Any]], moment: datetime) -> Any:
    found = None
    for since, content in versions:
        if found is None or since <= moment:
            found = content
    return found


def _newest() -> "sa.Select[Any]":
    last = sa.select(sa.func.max(seller_version.c.seq)).group_by(seller_version.c.legal_entity)
    return sa.select(seller_version).where(seller_version.c.seq.in_(last))


def _seller(entity: Entity) -> Seller:
    given = {name: value for name in Seller.__struct_fields__ if (value := getattr(entity, name)) is not None}
    return Seller(**given)
