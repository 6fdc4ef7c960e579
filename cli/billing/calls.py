"""`trunkline billing cdr | deck | number | calls`: carriers' records in, priced by prefix, call by call to look at."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
_COLUMNS = "CSV with prefix, destination, per_minute; connection, first, step."
_CDR = typer.Typer(no_args_is_help=True, help="Call records of carriers.")
_DECK = typer.Typer(no_args_is_help=True, help="What calls cost, by prefix.")
_NUMBER = typer.Typer(no_args_is_help=True, help="Whose telephone numbers are whose.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_CDR, name="cdr")
    app.add_typer(_DECK, name="deck")
    app.add_typer(_NUMBER, name="number")
    app.command()(calls)


@_CDR.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with a heading.")],
    carrier: Annotated[str, typer.Option(help="Whose records they are.")],
    columns: Annotated[
        list[str],
        typer.Option(help="Our name = theirs: caller=src (caller, callee, started, seconds, id, service)."),
    ] = [],  # noqa: B006
    country: Annotated[
        str, typer.Option(help="Where numbers were dialled: its calling code, such as 61.")
    ] = "",
    international: Annotated[
        list[str],
        typer.Option(
            help="Dialled before another country's number (repeatable); default: 00, 61: 0011, 1: 011."
        ),
    ] = [],  # noqa: B006
    timezone: Annotated[str, typer.Option(help="Of times that name none.")] = "UTC",
    delimiter: Annotated[str, typer.Option(help="Between the fields.")] = ",",
    as_json: Json = False,
) -> None:
    """Take in a file: every line once, or named with its reason in FILE.rejected.csv (status 1). Again adds nothing."""
    import re
    import sys

    from billing.calls import importing
    from billing.rating.running import unpriced
    from cli.commands.billing import _opened
    from core.problems import Problem

    named = dict(one.partition("=")[::2] for one in columns)
    if wrong := [name for name in named if name not in importing.COLUMNS]:
        raise typer.BadParameter(
            f"'{wrong[0]}' is none of {', '.join(importing.COLUMNS)}", param_hint="--columns"
        )
    if country and not re.fullmatch("[1-9][0-9]{0,2}", country):
        raise typer.BadParameter(f"'{country}' is no calling code such as 61", param_hint="--country")
    if odd := [one for one in international if not re.fullmatch("[0-9]{1,8}", one)]:
        raise typer.BadParameter(f"'{odd[0]}' is no prefix such as 0011", param_hint="--international")
    shape = importing.Shape(
        carrier=carrier, columns=named, country=country, international=tuple(international), timezone=timezone,
        delimiter=delimiter,
    )  # fmt: skip

    def watch(lines: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{lines} lines", nl=False, err=True)

    with _opened() as here:
        done = importing.read(here.db, file, shape, watch=watch)
        with here.reader() as reader, here.db.read() as conn:
            free = unpriced(conn, reader, done.services)
    rest = file.with_name(f"{file.name}.rejected.csv")
    problems = [
        Problem("cdr.rejected", one.reason, path=str(file), line=one.line, column=1) for one in done.rejected
    ]
    if done.rejected:
        importing.write_rejected(rest, done.rejected)
    text = f"{done.lines} lines: {done.new} new, {done.known} known, {len(done.rejected)} rejected"
    text += f" (in {rest})" if done.rejected else ""
    if done.nobodys:
        text += f"\n{done.nobodys} calls are nobody's: trunkline billing number add gives their numbers to services"
    if done.local:
        some = ", ".join(done.local[:5]) + (", …" if len(done.local) > 5 else "")
        text += f"\nno deck has a price for service and local numbers, calls to them cost nothing: {some}"
    if free:
        some = ", ".join(free[:5]) + (", …" if len(free) > 5 else "")
        text += f"\n{len(free)} services' plans bill no calls, theirs cost nothing: {some}"
    answer(
        "billing-cdr-import", text=text, problems=problems, as_json=as_json, lines=done.lines, new=done.new,
        known=done.known, rejected=len(done.rejected), nobodys=done.nobodys,
        unpriced=free, local=list(done.local),
    )  # fmt: skip


@_DECK.command("load")
def load(
    name: Annotated[str, typer.Argument(help="As plans name it.")],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="CSV: prefix,destination,per_minute,connection,first,step."
        ),
    ],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Valid from this day on.")],
    as_json: Json = False,
) -> None:
    """Load a rate deck, whole or not at all. One from the same day is replaced: then `billing rate` again."""
    from billing.calls import decks
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, here.db.write() as conn:
        count = decks.load(conn, name, since.date(), file)
        currency = decks.currency_of(reader, name)
    text = f"{name} from {since.date()}: {count} prefixes"
    text += (
        f", prices in {currency}" if currency else "; no plan names it yet, so its prices are of no currency"
    )
    answer(
        "billing-deck", text=text, as_json=as_json, deck=name, valid_from=str(since.date()), prefixes=count,
        currency=currency,
    )  # fmt: skip


@_NUMBER.command("add")
def add_number(
    service: Annotated[str, typer.Argument(help="The service, say S-10001.")],
    number: Annotated[str, typer.Argument(help="E.164, such as +61855501234.")],
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Theirs from this day on.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """A number is a service's from a day on; calls that wait for somebody become its."""
    from billing.calls import numbers
    from billing.rating.running import unpriced
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, here.db.write() as conn:
        waiting = numbers.assign(conn, service, numbers.e164(number), since.date(), actor)
        free = bool(unpriced(conn, reader, [service]))
    text = f"{number} is {service}'s from {since.date()} on; {waiting} calls waited for it"
    text += "\nits plan bills no calls: they are listed and cost nothing" if free else ""
    answer(
        "billing-number",
        text=text,
        as_json=as_json,
        service=service,
        number=number,
        calls=waiting,
        unpriced=free,
    )


@_NUMBER.command("end")
def end_number(
    number: Annotated[str, typer.Argument(help="E.164, such as +61855501234.")],
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="Nobody's from this day on.")],
    as_json: Json = False,
) -> None:
    """A number is nobody's any more."""
    from billing.calls import numbers
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        numbers.end(conn, numbers.e164(number), on.date())
    answer("billing-number", text=f"{number} is free from {on.date()} on", as_json=as_json, number=number)


def calls(
    service: Annotated[str, typer.Argument(help="The service; empty with --nobodys.")] = "",
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Local day.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Exclusive.")] = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="Hide the last three digits of who was called.")
    ] = False,
    nobodys: Annotated[bool, typer.Option("--nobodys", help="Calls of numbers that no service has.")] = False,
    as_json: Json = False,
) -> None:
    """List a service's calls, or those that nobody pays for."""
    from billing.calls import listing
    from cli.commands.billing import _opened

    if bool(service) == nobodys:
        raise typer.BadParameter("name a service, or ask for --nobodys")
    first, last = since.date() if since else None, until.date() if until else None
    with _opened() as here, here.db.read() as conn:
        found = listing.of_nobody(conn) if nobodys else listing.of_service(conn, service, first, last)
    shown = [{**one, "callee": one["callee"][:-3] + "xxx" if mask else one["callee"]} for one in found]
    text = "\n".join(
        f"{one['started']}  {one['caller']:<16}{one['callee']:<16}{one['seconds']:>7} s" for one in shown
    )
    answer("billing-calls", text=text or "no calls", as_json=as_json, calls=shown)
