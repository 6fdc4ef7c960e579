"""Tokens of the API and console: create one, list them, revoke one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from core.db import Database

app = typer.Typer(no_args_is_help=True, help="Tokens of the API and console.")
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Actor = Annotated[str, typer.Option("--as", metavar="ACTOR", help="Your staff id, for the record.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: the actor of everything done with it.")],
    role: Annotated[
        str, typer.Option(help="viewer, support, billing, engineer, admin, or portal (redeems vouchers).")
    ],
    days: Annotated[
        int, typer.Option(min=0, max=36_500, help="Valid for so many days; 0: until revoked.")
    ] = 0,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a token and print it; it is shown this once."""
    from api import tokens

    with _database(home) as db, db.write() as conn:
        lasts = timedelta(days=days) if days else None
        token_id, text = tokens.create(conn, name, role, lasts)
    answer("token", text=text, as_json=as_json, id=token_id, actor=name, role=role, token=text)


@app.command("list")
def list_(as_json: Json = False, home: Home = None) -> None:
    """List tokens, the newest first, without their secrets."""
    from api import tokens
    from core import clock

    with _database(home) as db, db.read() as conn:
        found = tokens.listed(conn)
    lines = []
    for one in found:
        over = one["expires_at"] is not None and one["expires_at"] <= clock.now()
        state = "revoked" if one["revoked_at"] else "expired" if over else "valid"
        lines.append(f"{one['token_id']} {one['role']:<9} {state:<8} {one['actor']}")
    shown = [{key: str(value) if value else None for key, value in one.items()} for one in found]
    answer("tokens", text="\n".join(lines) or "no tokens yet", as_json=as_json, tokens=shown)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `trunkline token list` shows it.")],
    actor: Actor = "operator",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """End a token, and the console sessions that it opened."""
    from api import tokens

    with _database(home) as db, db.write() as conn:
        tokens.revoke(conn, token_id, actor)
    answer("token-revoked", text=f"{token_id} is revoked", as_json=as_json, id=token_id)


@contextmanager
def _database(home: Path | None) -> "Iterator[Database]":
    from core import migrate
    from core.db import Database
    from core.settings import Settings

    db = Database(Settings.load(home).database_url)
    try:
        migrate.upgrade(db)
        yield db
    finally:
        db.close()
