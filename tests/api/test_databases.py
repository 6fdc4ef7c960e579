"""What the API asks of SQL works on SQLite and on PostgreSQL."""

from datetime import date, timedelta

import pytest

from api import tokens
from api.errors import TokenRefused
from api.login import links
from api.models import login_link
from billing import overview
from core import clock
from core.db import Database


def test_a_token_is_made_proven_and_revoked(database: Database) -> None:
    """Its text proves who it is; another secret, or the same after its end, does not."""
    with database.write() as conn:
        token_id, text = tokens.create(conn, "noc-1", "engineer", timedelta(days=1))
        assert tokens.identify(conn, text) == tokens.Identity(token_id, "noc-1", "engineer")
        with pytest.raises(TokenRefused):
            tokens.identify(conn, text[:-1])
        with clock.frozen(clock.now() + timedelta(days=2)), pytest.raises(TokenRefused):
            tokens.identify(conn, text)
        tokens.revoke(conn, token_id, "admin-1")
        with pytest.raises(TokenRefused):
            tokens.identify(conn, text)
        assert "digest" not in tokens.listed(conn)[0]


def test_a_login_link_is_taken_by_one(database: Database) -> None:
    """Taking it and marking it are one statement: of two at once only one gets in."""
    with database.write() as conn:
        token_id, _ = tokens.create(conn, "demo", "viewer")
        until = clock.now() + timedelta(minutes=1)
        row = {"digest": tokens.digest("once"), "token_id": token_id, "expires_at": until}
        conn.execute(login_link.insert().values(**row))
        assert links.use(conn, "once").actor == "demo"
        with pytest.raises(TokenRefused):
            links.use(conn, "once")


def test_invoices_go_on_after_one_that_is_not_there(database: Database) -> None:
    """A cursor of nowhere is an empty page, not an error."""
    with database.read() as conn:
        assert overview.invoices(conn, today=date(2026, 1, 1), after="inv_0") == []
