"""`trunkline billing undo`: take a wrong run back, without deleting anything."""

from typing import Annotated

import typer

from cli.answer import answer
from core.problems import Problem


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(undo)


def undo(
    run: Annotated[str, typer.Argument(help="A run, as it said: dun_… or bill_…")],
    dry: Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")] = False,
    rebill: Annotated[
        bool, typer.Option("--rebill", help="Take the charges back, too: the next bill run bills them anew.")
    ] = False,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Undo a dunning run (its holds are lifted, and not set again for these debts) or a bill run (credit notes)."""
    from billing import undoing
    from cli.commands.billing import _opened

    with _opened() as here:
        done = undoing.undo(here.db, run, actor=actor, dry=dry, rebill=rebill)
    verb = "would be " if dry else ""
    told = f"{len(done.freed)} services {verb}freed"
    if not run.startswith("dun_"):
        told = f"{done.credited} invoices {verb}credited, {done.voided} drafts {verb}voided"
        told += f", {len(done.numbers)} numbers given"
        told += f"; the next run bills {done.taken_back} charges anew" if rebill else ""
    problems = [Problem("billing.not-undone", why, severity="warning") for why in done.left]
    answer(
        "billing-undo", text=told, problems=problems, as_json=as_json, run=run, freed=list(done.freed),
        set=done.set_id, credited=done.credited, voided=done.voided, numbers=list(done.numbers), dry=dry,
        taken_back=done.taken_back,
    )  # fmt: skip
