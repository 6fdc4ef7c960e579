"""`trunkline billing rate`: the months that are over become what is billed of their usage."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cli.answer import answer


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(rate)
    app.command("usage-cut")(cut)


def cut(as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False) -> None:
    """Note what was counted by local midnight where a day has just begun. The worker does so by itself."""
    from billing.rating import cutting
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader:
        made = cutting.perform(here.db, reader)
    answer("billing-usage-cut", text=f"{made} services noted", as_json=as_json, noted=made)


def rate(
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on", formats=["%Y-%m-%d"], help="Local date of the accounts; default: the operator's today."
        ),
    ] = None,
    again: Annotated[int, typer.Option(min=1, max=24, help="Months back that are looked at once more.")] = 3,
    dry: Annotated[bool, typer.Option("--dry", help="Show it and keep nothing.")] = False,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Rate the usage of the months that are over, before the bill run; again: only what came late."""
    import sys

    from billing.rating import cutting
    from billing.rating.lost import EVENT
    from billing.rating.noting import Change
    from billing.rating.running import rate as rated
    from billing.rating.told import amount_of, what
    from cli.commands.billing import _day, _opened
    from core.problems import Problem

    def watch(done: int, of: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{done} of {of} accounts", nl=done == of, err=True)

    def line(one: Change) -> str:
        share, days = one.scope.partition(":")[2], f"{one.period.start} to {one.period.end} (exclusive)"
        used = f"{what(one.meter):<12}{amount_of(one.meter, one.used):>14}"
        note = f"  was {one.before}" if one.before.minor else ""
        return f"{one.account:<10}{share:<24}{used}  {days}  {one.amount}{note}"

    with _opened() as here, here.reader() as reader:
        done = rated(here.db, reader, _day(reader, on), actor=actor, dry=dry, again=again, watch=watch)
        if not dry:
            with here.db.write() as conn:
                cutting.want(conn, reader)
    billed = [one for one in done.changes if one.amount != one.before]
    kept = " (dry: nothing was kept)" if dry else ""
    head = f"{done.accounts} accounts looked at, {len(billed)} amounts to bill{kept}"
    answer(
        "billing-rate", problems=[Problem(EVENT, str(one)) for one in done.lost],
        text="\n".join([*map(line, billed), head]), as_json=as_json, accounts=done.accounts, dry=dry,
        changes=[_plain(one) for one in done.changes],
    )  # fmt: skip


def _plain(one: Any) -> dict[str, Any]:
    return {
        "account": one.account, "scope": one.scope, "meter": one.meter, "from": str(one.period.start),
        "to": str(one.period.end), "used": one.used, "amount": one.amount.minor, "before": one.before.minor,
        "currency": one.amount.currency, "revision": one.revision,
    }  # fmt: skip
