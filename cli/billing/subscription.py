"""`trunkline billing subscription`, `change`, `cease`, `vacation`, `move`, `transfer`, `agenda`: support's work."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from billing.agenda.entries import Entry
    from intents.reader import Reader

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")]
Service = Annotated[str, typer.Argument(help="Service, say S-10001.")]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day, where the account lives.")
]
At = Annotated[str, typer.Option("--at", help="now, or period-end.")]
agenda = typer.Typer(no_args_is_help=True, help="What was agreed for a later day.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (subscription, change, cease, vacation, move, transfer):
        app.command()(command)
    app.add_typer(agenda, name="agenda")


def subscription(service: Service, as_json: Json = False) -> None:
    """Show a service's billing: timeline, pinned terms, next bill, add-ons, offers, contract, holds, what is agreed."""
    from billing.agenda.telling import told
    from billing.offers import view
    from cli.billing.offers import text_of, told_of
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found, sold = told(conn, service), view.of_service(conn, service)
    lines = [
        f"{service} on {found['account']}: {found['currency']}, anchor {found['anchor']}, {found['timezone']}",
        f"next bill {found['next_bill'] or 'none'}; a run today would bill {found['due_now']} (as listed)",
    ]
    for item in found["items"]:
        name = " ".join(filter(None, (item["role"], item["label"])))
        now = item["pinned"]
        held = f"{now['plan']} version {now['version']} at {item['price']}" if now else "nothing"
        lines.append(f"  {name}: pins {held}, billed through {item['charged_through'] or '-'} (exclusive)")
        lines += [
            f"    {one['on']} {one['what']} {one.get('plan', '')} {one.get('version', '')}".rstrip()
            for one in item["timeline"]
        ]
    if found["prepaid"]:
        lines.append(f"  prepaid: {found['prepaid']['state']}, bought until {found['prepaid']['paid_until']}")
    lines += [f"  held: {reason}" for reason in found["holds"]]
    lines += [f"  agreed: {_line(one)}" for one in found["agenda"]]
    lines += [f"  before on {one['account']}, until {one['until']}" for one in found["before"]]
    lines.append(text_of(service, sold))
    answer(
        "billing-subscription", text="\n".join(lines), as_json=as_json, subscription=found, items=told_of(sold)
    )  # fmt: skip


def change(
    service: Service,
    plan: Annotated[str, typer.Argument(help="A plan of the catalogue.")],
    version: Annotated[
        str | None, typer.Option(help="A price version of it; default: the one in force on the day.")
    ] = None,
    on: On = None,
    at: At = "",
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Change the plan, in billing and in the network at once: on a day (also a past one), now, or at period-end."""
    from crm.changes import plans

    day = _day(on, at)
    _agree(
        service, dry, as_json,
        lambda conn, reader: [plans.ask(conn, reader, service, plan, day, actor=actor, version=version)],
    )  # fmt: skip


def cease(
    service: Service,
    on: On = None,
    at: At = "",
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """End a service: the day is the first that is not billed. It is asked for on that day; billing ends with it."""
    from crm.changes import ends

    day = _day(on, at)
    _agree(service, dry, as_json, lambda conn, reader: [ends.ask(conn, reader, service, day, actor=actor)])


def vacation(
    service: Service,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day that is not billed.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=["%Y-%m-%d"], help="First day that is billed again; alone: a new end."
        ),
    ] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Forget it; one that has begun ends today.")
    ] = False,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Hold a service for a vacation: agree on it, give it another end, or cancel it."""
    from crm.changes import vacations

    if cancel == bool(until) or (since and not until):
        raise typer.BadParameter("say --from and --until, or --until alone for another end, or --cancel")

    def ask(conn: "Connection", reader: "Reader") -> "list[Entry]":
        if cancel:
            return [vacations.cancel(conn, service, actor=actor)]
        assert until is not None
        if since is None:
            return [vacations.until(conn, service, until.date(), actor=actor)]
        return list(vacations.ask(conn, reader, service, since.date(), until.date(), actor=actor))

    _agree(service, dry, as_json, ask)


def move(
    service: Service,
    line: Annotated[str, typer.Option(help="A line that is there already.")] = "",
    olt: Annotated[str, typer.Option(help="GPON: the OLT.")] = "",
    pon: Annotated[str, typer.Option(help="GPON: the PON port.")] = "",
    serial: Annotated[str, typer.Option(help="GPON: the ONU's serial number.")] = "",
    model: Annotated[str, typer.Option(help="GPON: the ONU's model.")] = "",
    ap: Annotated[str, typer.Option(help="Radio: the access point.")] = "",
    sector: Annotated[str, typer.Option(help="Radio: its sector.")] = "",
    mac: Annotated[str, typer.Option(help="Radio: the CPE's MAC.")] = "",
    as_new: Annotated[
        bool,
        typer.Option("--as-new", help="Build a new service at its terms; the old one ends when that works."),
    ] = False,
    on: On = None,
    at: At = "",
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Move a service to another line or address: login, plan, price and billing go along."""
    from cli.commands.customer import _access
    from crm.changes import moves

    day = _day(on, at or ("" if on else "now"))
    access = _access(olt=olt, pon=pon, serial=serial, model=model, ap=ap, sector=sector, mac=mac, line=line)
    _agree(
        service,
        dry,
        as_json,
        lambda conn, reader: [moves.ask(conn, reader, service, access, day, actor=actor, as_new=as_new)],
    )


def transfer(
    service: Service,
    account: Annotated[str, typer.Argument(help="The account that pays from the day on.")],
    on: On = None,
    at: At = "",
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Let another account pay from a day on; each is billed exactly its days, credit and debts stay where they are."""
    from crm.changes import transfers

    day = _day(on, at)
    _agree(
        service,
        dry,
        as_json,
        lambda conn, reader: [transfers.ask(conn, reader, service, account, day, actor=actor)],
    )


@agenda.command("list")
def agenda_list(as_json: Json = False) -> None:
    """List what waits for its day, soonest first."""
    from billing.agenda import entries
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = [_plain(one) for one in entries.waiting(conn)]
    text = "\n".join(f"{one['service']} {_line(one)}" for one in found) or "nothing waits"
    answer("billing-agenda", text=text, as_json=as_json, entries=found)


@agenda.command("cancel")
def agenda_cancel(
    entry: Annotated[str, typer.Argument(help="An entry, as listed: agd_…")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Cancel what waits for its day."""
    from cli.commands.billing import _opened
    from crm.changes import performing

    with _opened() as here, here.db.write() as conn:
        one = _plain(performing.cancel(conn, entry, actor=actor))
    answer("billing-agenda", text=f"cancelled: {one['service']} {one['kind']} of {one['due_on']}", as_json=as_json,
           entries=[one])  # fmt: skip


@agenda.command("run")
def agenda_run(as_json: Json = False) -> None:
    """Carry out now whatever is due (`billing day` does so, too); status 1 where something failed."""
    from cli.commands.billing import _opened
    from core.problems import Problem
    from crm.changes.performing import perform_due

    with _opened() as here, here.reader() as reader:
        found = [_plain(one) for one in perform_due(here.db, reader, here.key)]
    problems = [
        Problem(
            "agenda.failed", f"{one['service']}: {one['kind']} of {one['due_on']} failed: {one['reason']}"
        )
        for one in found
        if one["state"] == "failed"
    ]
    text = "\n".join(f"{one['service']} {_line(one)}" for one in found) or "nothing is due"
    answer("billing-agenda", text=text, problems=problems, as_json=as_json, entries=found)


def _agree(
    service: str, dry: bool, as_json: bool, ask: "Callable[[Connection, Reader], list[Entry]]"
) -> None:
    """Agree, carry out at once what is due by now, and say what the next bill is changed by."""
    from billing import accounts, subscriptions
    from billing.agenda import effect
    from billing.agenda.trial import trial
    from cli.commands.billing import _opened
    from crm.changes.performing import at_once

    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        owner = accounts.lock(conn, subscriptions.item(conn, service).account)
        before = effect.pending(conn, owner, owner.today)
        found = [_plain(one) for one in at_once(conn, reader, *ask(conn, reader), key=here.key)]
        moved = effect.pending(conn, owner, owner.today) - before
    lines = [f"{'would be ' if dry else ''}agreed: {_line(one)}" for one in found]
    if moved.minor:
        lines.append(f"the next bill of {owner.id} changes by {moved} (as listed)")
    answer(
        "billing-agreed", text="\n".join(lines), as_json=as_json, service=service, entries=found, dry=dry,
        account=owner.id, currency=owner.currency, moved=moved.minor,
    )  # fmt: skip


def _day(on: datetime | None, at: str) -> str:
    if bool(on) == bool(at):
        raise typer.BadParameter("say one of --on 2026-03-01, --at now, --at period-end")
    if at and at not in ("now", "period-end"):
        raise typer.BadParameter(f"'{at}' is neither now nor period-end", param_hint="--at")
    return str(on.date()) if on else at


def _line(one: dict[str, Any]) -> str:
    details = ", ".join(f"{name} {value}" for name, value in one["details"].items() if isinstance(value, str))
    why = f": {one['reason']}" if one["reason"] else ""
    return f"{one['id']} {one['kind']} on {one['due_on']} is {one['state']}{why} ({details})".replace(
        " ()", ""
    )


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(value))
