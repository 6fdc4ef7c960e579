"""`trunkline billing day`: a day's work in its order, for a timer; status 1 when a person has to look."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cli.answer import answer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(day)


def day(
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="Local date; default: the operator's today."),
    ] = None,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "billing",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Do all that a day brings: agreed changes, usage, bills, revenue, charges, prepaid, dunning, expiry, messages.

    Again does what is left of it, and nothing twice; a day that was missed is caught up with by the next. Status 1: a
    step failed, or left something to a person; the others are done all the same.
    """
    import msgspec

    from cli.commands.billing import _day, _opened
    from core.problems import Problem
    from crm.day import Work, perform

    done, problems = list[Any](), list[Problem]()
    with _opened() as here, here.reader() as reader:
        date = _day(reader, on)
        for one in perform(Work(here.db, reader, here.key, date, actor)):
            done.append(msgspec.to_builtins(one))
            problems += [Problem(f"billing.day-{one.step}", f"{one.step}: {why}") for why in one.problems]
            if not as_json:
                typer.echo(f"{one.seconds:>8.1f} s  {one.step:<11} {one.told}")
    text = f"{date}: {len(done)} steps, {len(problems)} for a person to look at"
    answer("billing-day", text=text, problems=problems, as_json=as_json, on=str(date), steps=done)
