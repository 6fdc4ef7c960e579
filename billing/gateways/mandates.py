"""Stored methods that end at a gateway, come back or are replaced there: autopay goes with them.

A gateway's words may come in any order: the last one by its own clock counts, and one that was replaced stays so.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.gateways.models import autopay, ended, stored
from billing.gateways.protocol import Told
from core import db, events


def changed(conn: Connection, gateway: str, told: Told, *, actor: str) -> None:
    """Record what was said of a method, and switch what is paid by it. Again: nothing.

    Events: `autopay.off` with the reason, for whoever asks the customer for another; `autopay.moved` to one that takes
    its place; `autopay.on` for one that is there again.
    """
    before = _known(conn, gateway, told.mandate)
    instead = told.instead if told.instead != told.mandate else ""
    row = {
        "gateway": gateway, "method": told.mandate, "at": told.at, "is_ended": not told.instead, "why": told.kind,
        "instead": instead,
    }  # fmt: skip
    if before is not None:
        newer = row if told.at >= before["at"] else before
        row = {**newer, "instead": instead or before["instead"]}
    db.upsert(conn, stored, [row], ["gateway", "method"])
    _follow(conn, gateway, told.mandate, actor)


def is_ended(conn: Connection, gateway: str, method: str) -> str:
    """Why a method cannot be used; empty for one that can, as far as we heard."""
    row = _known(conn, gateway, method)
    return str(row["why"]) if row is not None and (row["is_ended"] or row["instead"]) else ""


def _follow(conn: Connection, gateway: str, method: str, actor: str) -> None:
    row = _known(conn, gateway, method)
    if row is None:
        return
    if row["instead"]:
        for account in _accounts(conn, autopay, gateway, method):
            _move(conn, account, row, actor)
        for account in _accounts(conn, ended, gateway, method):
            _bring_back(conn, account, row["instead"], row, actor)
        _follow(conn, gateway, row["instead"], actor)
    elif row["is_ended"]:
        for account in _accounts(conn, autopay, gateway, method):
            _end(conn, account, row, actor)
    else:
        for account in _accounts(conn, ended, gateway, method):
            _bring_back(conn, account, method, row, actor)


def _move(conn: Connection, account: str, row: dict[str, Any], actor: str) -> None:
    values = {"method": row["instead"]}
    conn.execute(sa.update(autopay).where(autopay.c.account_id == account).values(**values))
    _tell(conn, "autopay.moved", account, row, actor)


def _end(conn: Connection, account: str, row: dict[str, Any], actor: str) -> None:
    mine = conn.execute(sa.select(autopay).where(autopay.c.account_id == account)).mappings().one()
    db.upsert(conn, ended, [dict(mine)], ["account_id"])
    conn.execute(sa.delete(autopay).where(autopay.c.account_id == account))
    _tell(conn, "autopay.off", account, row, actor)


def _bring_back(conn: Connection, account: str, method: str, row: dict[str, Any], actor: str) -> None:
    """Nobody has chosen another way to pay since: that would have forgotten the old one."""
    mine = conn.execute(sa.select(ended).where(ended.c.account_id == account)).mappings().one()
    conn.execute(sa.delete(ended).where(ended.c.account_id == account))
    db.upsert(conn, autopay, [{**mine, "method": method}], ["account_id"])
    _tell(conn, "autopay.moved" if row["instead"] else "autopay.on", account, row, actor)


def _tell(conn: Connection, kind: str, account: str, row: dict[str, Any], actor: str) -> None:
    events.emit(conn, kind, account, {"gateway": row["gateway"], "why": row["why"]}, actor=actor)


def _accounts(conn: Connection, table: sa.Table, gateway: str, method: str) -> list[str]:
    """Who pays by it, or did; each is locked, and looked at again."""
    mine = sa.and_(table.c.gateway == gateway, table.c.method == method)
    query = sa.select(table.c.account_id).where(mine).order_by(table.c.account_id)
    found = list(conn.execute(query).scalars())
    for account in found:
        accounts.lock(conn, account)
    return list(conn.execute(query).scalars()) if found else []


def _known(conn: Connection, gateway: str, method: str) -> dict[str, Any] | None:
    query = sa.select(stored).where(stored.c.gateway == gateway, stored.c.method == method)
    row = conn.execute(db.lock_row(conn, query)).mappings().first()
    return None if row is None else dict(row)
