"""Login links: for the demo, and for whoever sits at the machine. They work once, for ten minutes."""

import secrets
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api import tokens
from api.errors import TokenRefused
from api.models import login_link
from api.tokens import Identity
from core import clock
from reconciler.context import Context

WORKS = timedelta(minutes=10)
SESSION = timedelta(hours=12)


def link(context: Context, actor: str, role: str) -> str:
    """`/login?once=…`: opens the console as this actor, once, within ten minutes. Raises NotUsable."""
    once = secrets.token_urlsafe(32)
    with context.db.write() as conn:
        # The token's own text is thrown away: only the session that the link opens can use it.
        token_id, _ = tokens.create(conn, actor, role, SESSION)
        conn.execute(
            sa.insert(login_link).values(
                digest=tokens.digest(once), token_id=token_id, expires_at=clock.now() + WORKS
            )
        )
    return f"/login?once={once}"


def use(conn: Connection, once: str) -> Identity:
    """Whoever the link is for; it never works again. Raises TokenRefused."""
    fresh = (
        login_link.c.digest == tokens.digest(once),
        login_link.c.used_at.is_(None),
        login_link.c.expires_at > clock.now(),
    )
    taken = sa.update(login_link).where(*fresh).values(used_at=clock.now()).returning(login_link.c.token_id)
    token_id = conn.execute(taken).scalar()
    if token_id is None:
        raise TokenRefused
    return tokens.by_id(conn, token_id)
