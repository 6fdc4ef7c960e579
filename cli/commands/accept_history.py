"""Follow trunk again after its history was rewritten, once a person has looked at it."""

from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer


def command(
    actor: Annotated[str, typer.Option("--as", metavar="ACTOR", help="Your staff id, for the record.")],
    home: Annotated[Path | None, typer.Option(help="The folder of this installation.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Accept trunk as it is now: the difference to what runs is applied; the old commits stay pinned."""
    from cli.installation import Installation
    from core.settings import Settings

    installation = Installation(Settings.load(home))
    try:
        accepted = installation.indexer.accept_history(actor)
    finally:
        installation.close()
    told = f"trunk is followed again from {accepted}" if accepted else "trunk's history is not rewritten"
    answer("accept-history", text=told, as_json=as_json, accepted=accepted)
