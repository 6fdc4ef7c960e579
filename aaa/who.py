"""Who held an address at a moment: from sessions and their history, through carrier-grade NAT by its rule."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.record import prefix_text
from aaa.models import session, session_address, session_history
from core.errors import Terminal
from intents.pool.schema import Pool
from inventory.nat import inside, is_deterministic, is_public_of

_MOST = 50
_SHORTEST = 16
"""IPv6 prefixes shorter than this are nobody's."""

_BY_RULE = "by the pool's rule; that the BNG translates by it is not recorded"

Sure = Literal["certain", "likely", "possible"]


class AddressNotUsable(Terminal):
    """What was asked for is no address, or cannot be answered without a port."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"'{address}' {why}")


class Holder(msgspec.Struct, frozen=True):
    """A session that held the address, from when until when. `until` None: it is still open. `how`: what matched."""

    service: str
    session_ref: str
    nas: str
    login: str
    calling: str
    how: str
    held: str
    since: datetime
    until: datetime | None
    heard: datetime
    sure: Sure
    why: str


class _Asked(msgspec.Struct, frozen=True):
    """One way to look: a column, the values that match, and how that is told."""

    column: str
    values: tuple[str, ...]
    how: str
    port: int | None = None
    doubt: str = ""


def who(
    conn: Connection,
    address: str,
    at: datetime,
    port: int | None = None,
    pools: Mapping[str, Pool] | None = None,
    doubt: str = "",
) -> list[Holder]:
    """Sessions that held `address` at `at`, the surest first; [] for nobody.

    `pools` (id -> Pool) are the network's at that moment: they say what a public address and `port` are inside.
    `doubt` says why they may not be. Raises AddressNotUsable.
    """
    try:
        parsed = ipaddress.ip_address(address)
        parsed = (
            getattr(parsed, "ipv4_mapped", None) or parsed
        )  # as servers with one socket for both write it
    except ValueError as error:
        raise AddressNotUsable(address, "is no IPv4 or IPv6 address") from error
    if port is not None and not 0 < port < 65536:
        raise AddressNotUsable(address, f"cannot have port {port}: 1 to 65535")
    asked = list(_ways(parsed, port, pools or {}, doubt))
    rows = [(row, one) for one in asked for row in _rows(conn, one, at)]
    alone = len({row.session_ref for row, _one in rows}) == 1
    found = [_holder(row, one, at, alone) for row, one in rows]
    return sorted(found, key=lambda one: (["certain", "likely", "possible"].index(one.sure), one.since))


def _ways(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    port: int | None,
    pools: Mapping[str, Pool],
    doubt: str,
) -> Iterator[_Asked]:
    text = str(address)
    if isinstance(address, ipaddress.IPv6Address):
        around = tuple(prefix_text(address.packed, length) for length in range(_SHORTEST, 129))
        yield _Asked("framed_address6", (prefix_text(address.packed, 128)[:-4],), "its IPv6 address")
        yield _Asked("framed_prefix", around, "in its IPv6 prefix")
        yield _Asked("delegated_prefix", around, "in its delegated prefix")
        return
    yield _Asked("framed_address", (text,), "its address")
    if port is not None:
        yield _Asked("public_address", (text,), "its ports, as the NAS told", port)
    behind = {name: pool for name, pool in pools.items() if pool.nat and is_public_of(pool, text)}
    for name, pool in behind.items():
        yield from _behind(text, port, name, pool, doubt)


def _behind(public: str, port: int | None, name: str, pool: Pool, doubt: str) -> Iterator[_Asked]:
    if port is None:
        raise AddressNotUsable(public, f"is shared by many behind pool {name}: say which port with --port")
    if is_deterministic(pool) and (held := inside(pool, public, port)):
        yield _Asked(
            "framed_address", (held,), f"{held} by the NAT rule of pool {name}", doubt=doubt or _BY_RULE
        )


def _rows(conn: Connection, asked: _Asked, at: datetime) -> Iterable[sa.Row[tuple[object, ...]]]:
    for table in (session, session_history):
        for chosen in (_of_sessions(table, asked), _of_their_changes(table, asked, at)):
            within = chosen.where(table.c.started_at <= at)
            within = within.where(sa.or_(table.c.stopped_at.is_(None), table.c.stopped_at >= at))
            yield from conn.execute(within.order_by(table.c.started_at.desc()).limit(_MOST))


def _of_sessions(table: sa.Table, asked: _Asked) -> "sa.Select[tuple[object, ...]]":
    """Sessions that had it from their start to their end: of the others there are rows that say when."""
    column, changed = table.c[asked.column], session_address.c
    never = sa.literal(None)
    chosen = sa.select(
        table,
        column.label("value"),
        table.c.started_at.label("since"),
        never.label("until"),
        never.label("last"),
    )
    chosen = chosen.where(column != sa.literal_column("''"), column.in_(asked.values))
    rows = sa.select(changed.session_ref).where(
        changed.session_ref == table.c.session_ref, changed.what == asked.column
    )
    return _with_port(chosen.where(~rows.exists()), table, asked.port)


def _of_their_changes(table: sa.Table, asked: _Asked, at: datetime) -> "sa.Select[tuple[object, ...]]":
    """Sessions that had it at the moment, or may have, among others."""
    held = session_address
    chosen = sa.select(
        table,
        held.c.value,
        held.c.since.label("since"),
        held.c.until.label("until"),
        held.c.heard.label("last"),
    )
    chosen = chosen.join(held, held.c.session_ref == table.c.session_ref)
    chosen = chosen.where(held.c.value.in_(asked.values), held.c.what == asked.column, held.c.since <= at)
    return _with_port(chosen.where(sa.or_(held.c.until.is_(None), held.c.until > at)), held, asked.port)


def _with_port(
    chosen: "sa.Select[tuple[object, ...]]", table: sa.Table, port: int | None
) -> "sa.Select[tuple[object, ...]]":
    if port is None:
        return chosen
    return chosen.where(table.c.port_first <= port, table.c.port_last >= port)


def _holder(row: sa.Row[tuple[object, ...]], asked: _Asked, at: datetime, alone: bool) -> Holder:
    sure, why = _judged(row, asked, at, alone)
    return Holder(
        service=row.service,
        session_ref=row.session_ref,
        nas=row.nas,
        login=row.login,
        calling=row.calling,
        how=asked.how,
        held=row.value,
        since=row.since,
        until=row.until or row.stopped_at,
        heard=row.updated_at,
        sure=sure,
        why=why,
    )


def _judged(row: sa.Row[tuple[object, ...]], asked: _Asked, at: datetime, alone: bool) -> tuple[Sure, str]:
    if not alone:
        return "possible", "more than one session claims it at that moment"
    if asked.doubt:
        return "likely", asked.doubt
    if row.until is not None and at > row.last:
        return (
            "likely",
            f"the NAS told another one at {row.until:%H:%M:%S} UTC, and did not report in between",
        )
    if (
        row.last is not None
        and row.until is None
        and at > row.last
        and row.value != getattr(row, asked.column)
    ):
        return "likely", f"the NAS told it beside another one, until {row.last:%H:%M:%S} UTC for sure"
    if at <= row.updated_at:
        return "certain", "the NAS reported the session before and after that moment"
    if row.stopped_at is None:
        return "likely", "the session was open, and not heard of since that moment"
    return "likely", "the session was closed without a Stop, and not heard of since that moment"
