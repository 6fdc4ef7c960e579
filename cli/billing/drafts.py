"""`trunkline billing drafts | finalise | void`: what waits for a person."""

from datetime import datetime
from typing import Annotated

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only this account's.")]
OfRun = Annotated[str | None, typer.Option("--run", help="Only this run's (bill_…).")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(drafts)
    app.command()(finalise)
    app.command()(void)


def drafts(account: OfAccount = None, run: OfRun = None, as_json: Json = False) -> None:
    """List drafts: what they come to, and from which day on a run makes them final (`grace` in trunkline.yaml)."""
    import msgspec

    from billing.drafting.waiting import waiting
    from billing.runs.choosing import graces
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        found = waiting(conn, graces(reader), account, run)
    lines = [
        f"{one.id}  {one.account:<10} {one.kind:<12} of {one.billed_on}  final from {one.final_from}  {one.total!s:>16}"
        for one in found
    ]
    shown = [{**msgspec.to_builtins(one), "total": str(one.total)} for one in found]
    answer("billing-drafts", text="\n".join(lines) or "no drafts wait", as_json=as_json, drafts=shown)


def finalise(
    account: OfAccount = None,
    run: OfRun = None,
    every: Annotated[bool, typer.Option("--all", help="All drafts there are.")] = False,
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on", formats=["%Y-%m-%d"], help="Issue date; default: the operator's today. Never goes back."
        ),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Say which drafts it would be.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Make drafts final now, before their grace is over: a run's, an account's, or all."""
    from billing import invoices
    from billing.drafting.waiting import waiting
    from billing.runs.choosing import Choice, graces
    from cli.commands.billing import _day, _opened
    from core import events

    if not (account or run or every):
        raise typer.BadParameter("say which drafts: --run bill_…, --account A-10001 or --all")
    with _opened() as here, here.reader() as reader:
        day = _day(reader, on)
        with here.db.read() as conn:
            chosen = waiting(conn, graces(reader), account, run)
        given = (
            [] if dry else invoices.finalise(here.db, Choice(on=day, issued=day, account=account, run=run))
        )
        if given:
            with here.db.write() as conn:
                told = {"run": run or "", "account": account or "", "first": given[0], "count": len(given)}
                events.emit(conn, "invoices.finalised", run or account or "all", told, actor=actor)
    text = f"{len(chosen)} drafts would become final" if dry else f"{len(given)} documents final"
    answer(
        "billing-finalise", text="\n".join([text, *given]), as_json=as_json, dry=dry, numbers=given,
        drafts=[one.id for one in chosen],
    )  # fmt: skip


def void(
    draft: Annotated[str, typer.Argument(help="Its id, as 'trunkline billing drafts' lists it.")],
    reason: Annotated[str, typer.Option(help="Why: it stands in the account's history.")],
    dry: Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Void a draft: what it billed waits again, and the next run bills it."""
    from billing import invoices
    from billing.drafting import waiting
    from billing.errors import InvoiceFinal
    from cli.commands.billing import _opened
    from core.money import Money

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    with _opened() as here, here.db.read() if dry else here.db.write() as conn:
        row = invoices.get(conn, draft)
        if row["state"] == "final":
            raise InvoiceFinal(row["number"])
        done = row["state"] == "draft" if dry else waiting.void(conn, draft, actor=actor, reason=reason)
    verb = "would be voided" if dry else "is void"
    text = f"{draft} of {row['account_id']} over {Money(row['total'], row['currency'])} {verb}"
    answer(
        "billing-void", text=text if done else f"{draft} was void before", as_json=as_json, draft=row["id"],
        account=row["account_id"], voided=done, dry=dry,
    )  # fmt: skip
