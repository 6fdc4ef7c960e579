"""`trunkline billing hardship` and `dunning promises`: what holds dunning up."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.billing.collecting import Actor, Csv, Json, On, dunning, plain_cell

if TYPE_CHECKING:
    from core.money import Money


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(hardship)
    dunning.command()(promises)


def hardship(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day of the exemption.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End what is in force instead.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Exempt an account from dunning for hardship: nothing is held and no time passes while it is in force."""
    from billing.collecting import hardships
    from cli.commands.billing import _opened

    if end == (until is not None):
        raise typer.BadParameter("say --until a day, or --end")
    set_ids: tuple[str, ...] = ()
    with _opened() as here, here.db.write() as conn:
        if until is None:
            text = f"{account}: {hardships.end(conn, account, actor=actor)} exemptions ended"
        else:
            set_ids = hardships.grant(conn, account, until.date(), reason=reason, actor=actor)
            text = f"{account} is exempt until {until.date()}" + "".join(
                f"\nrelease set {one}" for one in set_ids
            )
    answer("hardship", text=text, as_json=as_json, account=account, set_ids=list(set_ids), ended=end)


def promises(
    state: Annotated[str | None, typer.Option(help="Only open, kept or broken.")] = None,
    on: On = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """List promises to pay: open, kept, broken, with what was paid of them."""
    from billing.collecting import pledges
    from cli.billing.report import tabled
    from cli.commands.billing import _day, _opened
    from core.money import Money

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        day = _day(reader, on)
        found = [one for one in pledges.of_accounts(conn) if state in (None, one.state(day))]
    columns = (
        "account",
        "made_on",
        "until",
        "ends",
        "state",
        "currency",
        "promised",
        "paid",
        "missing",
        "actor",
    )
    rows = [
        [one.account, one.made_on, one.until, one.ends, one.state(day), one.currency,
         Money(one.amount or 0, one.currency), Money(one.paid_by(day), one.currency), one.missing(day), one.actor]
        for one in found
    ]  # fmt: skip
    lines = [
        f"{one.account:<10}{one.made_on} until {one.until} {one.state(day):<7}"
        f"{Money(one.paid_by(day), one.currency)} of {Money(one.amount or 0, one.currency)}"
        for one in found
    ]
    plain = [dict(zip(columns, map(plain_cell, row), strict=True)) for row in rows]
    tabled(
        "dunning-promises",
        columns,
        rows,
        "\n".join(lines) or "there are no promises",
        as_csv,
        as_json,
        promises=plain,
    )


def instalments(given: Iterable[str], currency: str) -> "list[tuple[date, Money]]":
    """Read `2026-02-01=30.00`."""
    from core import days
    from core.money import Money

    found = []
    for text in given:
        day, _, amount = text.partition("=")
        try:
            found.append((days.require(date.fromisoformat(day)), Money.parse(amount, currency)))
        except ValueError as error:
            raise typer.BadParameter(
                f"'{text}' is no instalment; write 2026-02-01=30.00", param_hint="--part"
            ) from error
    return found
