"""Show what a commit, or a target, asked of the network and what was answered."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.here import Json, opened, plain

if TYPE_CHECKING:
    from reconciler.receipts import Receipt


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="COMMIT|TARGET", help="A commit (its beginning is enough), a device or a service."
        ),
    ],
    limit: Annotated[int, typer.Option(min=1, help="At most so many of a target, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the receipts of a commit or a target; status 1 when there is none."""
    from reconciler import receipts

    with opened() as here, here.db.read() as conn:
        found = receipts.of_commit(conn, name) if _may_be_commit(name) else []
        found = found or receipts.of_target(conn, name, limit)
    text = "\n".join(map(_line, found)) or f"no receipt of '{name}': nothing was asked for it yet"
    answer("receipt", text=text, as_json=as_json, receipts=plain(found))
    if not found:
        raise typer.Exit(1)


def _may_be_commit(name: str) -> bool:
    return len(name) >= 4 and all(char in "0123456789abcdef" for char in name)


def _line(one: "Receipt") -> str:
    took = (one.ended_at - one.started_at).total_seconds()
    times = f", {one.attempts} attempts" if one.attempts > 1 else ""
    told = " ".join(one.answer.split())[:100]
    return (
        f"{one.ended_at:%Y-%m-%d %H:%M:%S} {one.commit_id[:12]} lane {one.lane} {one.target} {one.step}: "
        f"{one.outcome} in {took:.2f} s{times}{f' ({told})' if told else ''}"
    )
