"""`trunkline billing dunning` with its notices, policies and status."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Answer as CSV.")]
On = Annotated[
    datetime | None,
    typer.Option(
        "--on", formats=["%Y-%m-%d"], help="Local date of the accounts; default: the operator's today."
    ),
]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
dunning = typer.Typer(invoke_without_command=True)


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dunning, name="dunning")


@dunning.callback()
def run(
    context: typer.Context,
    on: On = None,
    expect: Annotated[
        int | None, typer.Option(help="The number of holds that lets a large run pass its guard.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Hold services whose account is overdue, release those that are not: one change set each.

    Names change sets of dunning that a guard has parked, and how to let them pass.
    """
    if context.invoked_subcommand is not None:
        return
    from billing.collecting.waiting import waiting
    from billing.dunning import run_dunning
    from cli.commands.billing import _day, _opened, _plain
    from core.problems import Problem

    with _opened() as here, here.reader() as reader:
        done = run_dunning(here.db, reader, _day(reader, on), actor=actor, expect=expect, dry=dry)
        with here.db.read() as conn:
            parked = waiting(conn)
    lines = [f"{done.run_on}: {len(done.held)} holds asked for, {len(done.released)} releases"]
    if dry:
        lines[0] += " (dry: nothing was kept)"
        lines += [f"  hold {one}" for one in done.held] + [f"  release {one}" for one in done.released]
    else:
        lines[0] += f" (run {done.id})"
        lines += [f"hold set {done.hold_set}"] if done.hold_set else []
        lines += [f"release set {done.release_set}"] if done.release_set else []
    lines += [f"left to a person (on-hold: manual): {', '.join(done.manual)}"] if done.manual else []
    problems = [Problem("billing.dunning-parked", str(one), severity="warning") for one in parked]
    answer(
        "dunning-run", text="\n".join(lines), problems=problems, as_json=as_json, dry=dry, run=_plain(done),
        waiting=[_plain(one) for one in parked],
    )  # fmt: skip


@dunning.command()
def status(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    on: On = None,
    as_json: Json = False,
) -> None:
    """Say why an account stands where it stands, and what is next on which day."""
    from billing.collecting.status import status as asked
    from cli.commands.billing import _day, _opened, _plain

    with _opened() as here, here.reader() as reader, here.db.write() as conn:
        found = asked(conn, reader, account, _day(reader, on))
    lines = [
        f"{account}: {found.dunned} dunned for by policy {found.policy}, stage {found.stage} {found.step}".rstrip()
    ]
    lines += [f"  {told}" for told in found.why]
    lines += [f"  {name}: {told}" for name, told in found.services.items()]
    if found.next_on:
        lines.append(f"next, if nothing is paid: {found.next_step} ({found.next_effect}) on {found.next_on}")
    else:
        lines.append("nothing is next")
    money = {"overdue": str(found.overdue), "dunned": str(found.dunned)}
    answer("dunning-status", text="\n".join(lines), as_json=as_json, status={**_plain(found), **money})


@dunning.command()
def notices(
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Made from this day on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Made before this day.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only letter, e-mail, sms or call.")] = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Export what stages tell customers, by channel: for those who print, send and telephone."""
    from billing.collecting import notices as told
    from cli.billing.report import tabled
    from cli.commands.billing import _opened
    from core.money import Money

    first, last = (day.date() if day else None for day in (since, until))
    with _opened() as here, here.db.read() as conn:
        found = list(told.made(conn, first, last, channel))
    columns = (
        "account_id",
        "customer_ref",
        "channel",
        "stage",
        "name",
        "made_on",
        "debt_due",
        "currency",
        "amount",
        "invoices",
    )
    rows = [[_cell(row, name) for name in columns] for row in found]
    lines = [
        f"{row['made_on']} {row['channel']:<8}{row['account_id']:<10}{row['name']:<14}"
        f"{Money(row['amount'], row['currency'])}"
        for row in found
    ]
    plain = [{name: plain_cell(row[name]) for name in columns} for row in found]
    tabled(
        "dunning-notices",
        columns,
        rows,
        "\n".join(lines) or "there are no notices",
        as_csv,
        as_json,
        notices=plain,
    )


@dunning.command()
def policy(
    name: Annotated[str, typer.Argument(help="As accounts name it.")] = "default",
    file: Annotated[Path | None, typer.Option(help="Set it from this YAML file; default: show it.")] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only read and check the file.")] = False,
    as_json: Json = False,
) -> None:
    """Show or set a dunning policy: steps with days, effects, channels and fees; grace, minimum, calendar."""
    import msgspec
    import yaml

    from billing import debts, policies
    from billing.errors import PolicyNotUsable
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        if file is not None:
            read = policies.read(name, file)
            policies.require_usable(name, read) if dry else policies.store(conn, name, read)
        else:
            found = debts.policies(conn).get(name)
            if found is None:
                raise PolicyNotUsable(name, "there is none of that name; set it with --file")
            read = found
    plain = msgspec.to_builtins(read)
    answer(
        "dunning-policy",
        text=yaml.safe_dump(plain, sort_keys=False).rstrip(),
        as_json=as_json,
        name=name,
        policy=plain,
    )


def _cell(row: dict[str, Any], name: str) -> Any:
    from core.money import Money

    if name == "amount":
        return Money(row["amount"], row["currency"])
    return " ".join(row[name]) if name == "invoices" else row[name]


def plain_cell(value: Any) -> Any:
    """A value as JSON has it: money in minor units, a day as text."""
    return getattr(value, "minor", str(value) if isinstance(value, date) else value)
