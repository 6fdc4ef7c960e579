"""Let a parked change set, or a held commit, pass its guard."""

from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened


def command(
    name: Annotated[
        str, typer.Argument(metavar="SET", help="A change set or commit; `trunkline status` lists them.")
    ],
    expect: Annotated[
        int, typer.Option(help="Its count, as `trunkline status` says: proof that you looked.")
    ],
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Let a parked change set, or a held commit, pass its guard."""
    from cli.parked import release

    with opened() as here, here.db.write() as conn:
        release(conn, name, actor, expect)
    answer("release", text=f"{name} goes on", as_json=as_json, set=name, expect=expect)
