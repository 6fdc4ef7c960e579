"""`trunkline billing write-off`: give up a debt, with or without its tax, or all residues below one unit."""

from datetime import datetime
from typing import Annotated

import typer

from cli.answer import answer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("write-off")(write_off)


def write_off(
    invoice: Annotated[str | None, typer.Argument(help="A final invoice, by its number.")] = None,
    reason: Annotated[str, typer.Option(help="Why, as a code of yours: insolvent, untraceable, …")] = "",
    amount: Annotated[str, typer.Option(help="A part of what is open; default: all of it.")] = "",
    tax_relief: Annotated[bool, typer.Option("--tax-relief", help="Claim the tax in it back.")] = False,
    waive: Annotated[
        bool, typer.Option("--waive", help="For good: no later payment brings it back.")
    ] = False,
    residues: Annotated[
        bool, typer.Option("--residues", help="Instead: all that is open below one unit, to `rounding`.")
    ] = False,
    older_than: Annotated[
        int, typer.Option(min=0, max=36_500, help="Residues due for longer than so many days.")
    ] = 30,
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="Booked on this day; default: today."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Show it and keep nothing.")] = False,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Write off what will not be paid; a later payment brings it back and pays it."""
    from billing import invoices
    from billing.agenda.trial import trial
    from billing.writeoffs import writing
    from cli.commands.billing import _day, _opened
    from core.money import Money

    if residues == (invoice is not None):
        raise typer.BadParameter("name one invoice, or say --residues")
    if invoice is not None and not reason.strip():
        raise typer.BadParameter("say why with --reason")
    done: list[writing.Written] = []
    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        if invoice is None:
            done = writing.write_residues(conn, actor=actor, on=_day(reader, on), older_than=older_than)
        else:
            part = Money.parse(amount, invoices.get(conn, invoice)["currency"]) if amount else None
            done = [
                writing.write(
                    conn, invoice, actor=actor, reason=reason, amount=part, relief=tax_relief, recoverable=not waive,
                    on=on.date() if on else None,
                )
            ]  # fmt: skip
    lines = [
        f"{one.invoice}: {one.amount} {'would be ' if dry else ''}written off, {one.left} left open"
        + "".join(f", tax {name} {Money(minor, one.amount.currency)} back" for name, minor in one.tax.items())
        for one in done
    ]
    told = [
        {"id": one.id, "invoice": one.invoice, "amount": one.amount.minor, "currency": one.amount.currency,
         "tax": one.tax, "left": one.left.minor, "set_ids": list(one.set_ids)}
        for one in done
    ]  # fmt: skip
    answer(
        "billing-write-off",
        text="\n".join(lines) or "there is nothing to write off",
        as_json=as_json,
        dry=dry,
        written=told,
    )
