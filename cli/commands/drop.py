"""Refuse a parked change set, or a held commit, for good."""

from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened


def command(
    name: Annotated[
        str, typer.Argument(metavar="SET", help="A change set or commit; `trunkline status` lists them.")
    ],
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Refuse a parked change set, or a held commit, for good: nothing of it is applied."""
    from cli.parked import drop

    with opened() as here, here.db.write() as conn:
        drop(conn, name, actor)
    answer("drop", text=f"{name} is dropped", as_json=as_json, set=name)
