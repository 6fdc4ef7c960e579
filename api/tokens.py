"""Tokens: who calls, and as what. Only the SHA-256 of a token's 256 random bits is kept; it is shown once."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.errors import NotThere, NotUsable, TokenRefused
from api.models import api_token
from core import clock, events
from core.ids import new_id

Role = Literal["viewer", "support", "billing", "engineer", "admin", "portal"]
ROLES: tuple[str, ...] = get_args(Role)
PORTAL = "portal"
"""A program that customers use: it may what names it, and read nothing else."""
# An actor ends up in change sets, commits and receipts: the same letters as there.
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,79}")


class Identity(msgspec.Struct, frozen=True):
    """Who somebody is, proven by a token."""

    token_id: str
    actor: str
    role: str

    def may(self, roles: tuple[str, ...]) -> bool:
        """Whether one of these roles is ours; everybody but a portal may what a viewer may, an admin everything."""
        return self.role == "admin" or self.role in roles or ("viewer" in roles and self.role != PORTAL)


def create(conn: Connection, actor: str, role: str, lasts: timedelta | None = None) -> tuple[str, str]:
    """Make a token; returns its id and the token itself, which is kept nowhere. Raises NotUsable."""
    if role not in ROLES:
        raise NotUsable(f"role '{role}'", f"it is none of {', '.join(ROLES)}")
    if not _ACTOR.fullmatch(actor):
        raise NotUsable(
            f"name '{actor}'", "1 to 80 letters, digits and ._:@/-, beginning with a letter or digit"
        )
    token_id, secret, moment = new_id("tok"), secrets.token_urlsafe(32), clock.now()
    text = f"{token_id}.{secret}"
    conn.execute(
        sa.insert(api_token).values(
            token_id=token_id, actor=actor, role=role, digest=digest(text), created_at=moment,
            expires_at=None if lasts is None else moment + lasts,
        )
    )  # fmt: skip
    return token_id, text


def identify(conn: Connection, text: str) -> Identity:
    """Who a token belongs to. Raises TokenRefused."""
    row = _row(conn, text.partition(".")[0])
    if not hmac.compare_digest(digest(text), "" if row is None else row.digest):
        raise TokenRefused
    return _usable(row)


def by_id(conn: Connection, token_id: str) -> Identity:
    """The identity of a token that was proven before, as long as it is valid. Raises TokenRefused."""
    return _usable(_row(conn, token_id))


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Every token, newest first, without its digest."""
    columns = [one for one in api_token.c if one.name != "digest"]
    query = sa.select(*columns).order_by(api_token.c.token_id.desc())
    return [dict(row) for row in conn.execute(query).mappings()]


def revoke(conn: Connection, token_id: str, actor: str) -> None:
    """End a token; its console sessions end with it. Raises NotThere."""
    living = (api_token.c.token_id == token_id, api_token.c.revoked_at.is_(None))
    if not conn.execute(sa.update(api_token).where(*living).values(revoked_at=clock.now())).rowcount:
        raise NotThere("valid token", token_id)
    events.emit(conn, "token.revoked", token_id, {}, actor=actor)


def digest(text: str) -> str:
    """SHA-256 in hex: 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def _row(conn: Connection, token_id: str) -> Any:
    return conn.execute(sa.select(api_token).where(api_token.c.token_id == token_id)).first()


def _usable(row: Any) -> Identity:
    if row is None or row.revoked_at is not None or _is_over(row.expires_at):
        raise TokenRefused
    return Identity(row.token_id, row.actor, row.role)


def _is_over(moment: datetime | None) -> bool:
    return moment is not None and moment <= clock.now()
