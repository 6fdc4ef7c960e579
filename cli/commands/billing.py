"""Bill, dun, take payments, and explain every amount."""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cli.billing
from cli.answer import answer

if TYPE_CHECKING:
    from cli.installation import Installation

app = typer.Typer(no_args_is_help=True, help="Bill, dun, take payments, and explain every amount.")
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
On = Annotated[
    datetime | None,
    typer.Option(
        "--on", formats=["%Y-%m-%d"], help="Local date of the accounts; default: the operator's today."
    ),
]
Account = Annotated[str, typer.Argument(help="Billing account, say A-10001.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]


@app.command("run")
def bill(
    on: On = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Stop before invoices get their numbers.")] = False,
    accept: Annotated[list[str], typer.Option(help="Bill this parked account as it is (repeatable).")] = [],  # noqa: B006
    dry: Annotated[bool, typer.Option("--dry", help="Do it all and keep nothing.")] = False,
    canonical: Annotated[
        Path | None, typer.Option(help="With --dry: write what 'export --canonical' would say after it.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads; default: one a core, one on SQLite.")
    ] = None,
    chunk: Annotated[int | None, typer.Option(min=1, help="Accounts in one transaction.")] = None,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Bill what is due; doing it again adds nothing. Status 1: odd accounts are parked, or nobody was billed."""
    from billing import parked
    from billing.billrun import run_billing
    from billing.runs.rehearsal import rehearse
    from cli.billing.runs import Showing, problems_of, writing
    from crm.changes.performing import perform_due

    if (dry and (drafts or accept)) or (canonical and not dry):
        raise typer.BadParameter("--dry goes with neither --drafts nor --accept, --canonical only with --dry")
    with _opened() as here:
        with here.db.write() as conn:
            for account in accept:
                parked.accept(conn, account, actor)
        with here.reader() as reader, Showing() as watch:
            day = _day(reader, on)
            if dry:
                with writing(canonical) as listener:
                    run = rehearse(here.db, reader, day, chunk=chunk, watch=watch, listener=listener)
            else:
                perform_due(here.db, reader, here.key)  # what was agreed for today comes before today's bill
                run = run_billing(
                    here.db, reader, day, finalise=not drafts, chunk=chunk, workers=workers, watch=watch
                )
    text = (
        f"{run.billed_on}: {run.drafts} new bills, {len(run.final)} invoices final, {len(run.parked)} parked"
    )
    text += " (dry: nothing was kept)" if dry else f" (run {run.id})"
    answer(
        "billing-run", text=text, problems=problems_of(run),
        as_json=as_json, run=run.id, dry=dry, billed_on=str(run.billed_on), drafts=run.drafts, lines=run.lines,
        final=list(run.final), parked=run.parked, silent=run.silent, unusual=list(run.unusual),
    )  # fmt: skip


@app.command()
def invoices(
    account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> None:
    """List invoices, the newest first, with what is open of them."""
    from billing import overview

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        found = overview.invoices(conn, account, today=_day(reader, None), limit=limit)
    lines = [
        f"{one.number:<16} {one.account:<10} {one.due_on or '-'} {one.state:<8} {one.total}" for one in found
    ]
    shown = [{**_plain(one), "total": str(one.total), "open": str(one.open)} for one in found]
    answer("invoices", text="\n".join(lines) or "no invoices yet", as_json=as_json, invoices=shown)


@app.command()
def pay(
    account: Account,
    amount: Annotated[str, typer.Argument(help="Say 86.90, in the account's currency.")],
    key: Annotated[str, typer.Option(help="Receipt number: the same one again is the same payment.")],
    method: Annotated[str, typer.Option(help="cash, bank, card, …")] = "cash",
    currency: Annotated[str, typer.Option(help="Checked against the account's.")] = "",
    invoice: Annotated[list[str], typer.Option(help="An invoice that the payer named (repeatable).")] = [],  # noqa: B006
    on: On = None,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Take a payment; when nothing is overdue any more, services are released in the same transaction."""
    from billing import accounts, payments
    from billing import invoices as documents
    from core.money import Money

    with _opened() as here, here.db.write() as conn:
        owner = accounts.get(conn, account)
        money = Money.parse(amount, currency or owner.currency)
        day = on.date() if on else None
        named = [documents.get(conn, one)["id"] for one in invoice]
        paid = payments.pay(conn, account, money, method, key, actor=actor, on=day, named=named)
    lines = [
        f"{paid.amount} taken as {paid.payment}; {len(paid.shares)} invoices, {paid.credit} left as credit"
    ]
    lines += [f"release set {set_id}" for set_id in paid.set_ids]
    answer(
        "payment", text="\n".join(lines), as_json=as_json, payment=paid.payment, amount=str(paid.amount),
        credit=str(paid.credit), set_ids=list(paid.set_ids),
    )  # fmt: skip


@app.command()
def explain(invoice: Annotated[str, typer.Argument(help="Number or id.")], as_json: Json = False) -> None:
    """Explain every amount of an invoice: period, days, price version, rounding, tax, payments."""
    from billing.explain import explain as explained

    with _opened() as here, here.db.read() as conn:
        found = explained(conn, invoice)
    lines = [f"{found['number']} of {found['account']}, due {found['due_on']}"]
    for line in found["lines"]:
        whose = f" [{line['service']}]" if line["service"] else ""
        lines += [f"  {line['amount']:>14}  {line['what']}{whose}", f"{'':18}{line['why']}"]
    lines += [f"  {tax['amount']:>14}  {tax['what']} (base {tax['base']})" for tax in found["taxes"]]
    lines += [f"  {found['total']:>14}  total", f"  {found['open']:>14}  open"]
    answer("invoice-explained", text="\n".join(lines), as_json=as_json, invoice=found)


@app.command()
def standing(account: Account, as_json: Json = False) -> None:
    """Say how an account stands: open, overdue, credit, dunning stage, holds, overrides."""
    from billing import overview

    with _opened() as here, here.db.write() as conn:
        found = overview.standing(conn, account)
    text = (
        f"{account}: open {found.open}, overdue {found.overdue}, credit {found.credit}, stage {found.stage}"
    )
    text += "".join(f"\nheld: {name}" for name in found.held)
    text += "".join(f"\nasked, waits for a person ({one}): {name}" for name, one in found.asked.items())
    text += "".join(f"\nheld no more by somebody's word: {name}" for name in found.overridden)
    money = {"open": str(found.open), "overdue": str(found.overdue), "credit": str(found.credit)}
    answer("account-standing", text=text, as_json=as_json, standing={**_plain(found), **money})


@app.command()
def resume(account: Account, actor: Actor = "operator", as_json: Json = False) -> None:
    """Let dunning go on for an account whose hold somebody lifted."""
    from billing import overrides

    with _opened() as here, here.db.write() as conn:
        ended = overrides.resume(conn, account, actor)
    answer(
        "resume", text=f"{account}: {ended} overrides ended", as_json=as_json, account=account, ended=ended
    )


@app.command()
def promise(
    account: Account,
    until: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="The promised day.")],
    part: Annotated[
        list[str],
        typer.Option(
            help="An instalment before it: 2026-02-01=30.00 (repeatable); the last day takes the rest."
        ),
    ] = [],  # noqa: B006
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Record a promise to pay, also in instalments; a held service is free until then, or until one is missed."""
    from billing import accounts, promises
    from cli.billing.hardship import instalments

    with _opened() as here, here.db.write() as conn:
        parts = instalments(part, accounts.get(conn, account).currency)
        set_ids = promises.make(conn, account, until.date(), actor=actor, parts=parts)
    text = f"{account} promised to pay by {until.date()}" + "".join(f"\nrelease set {one}" for one in set_ids)
    answer("promise", text=text, as_json=as_json, account=account, set_ids=list(set_ids))


@app.command()
def tax(
    category: Annotated[str, typer.Argument(help="As in the plans' prices, say gst.")],
    rate: Annotated[str, typer.Argument(help="Say 10%.")],
    profile: Annotated[str, typer.Option(help="Which accounts: their tax profile.")] = "default",
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Valid from.")
    ] = None,
    inclusive: Annotated[bool, typer.Option(help="Prices contain it.")] = False,
    as_json: Json = False,
) -> None:
    """Set a tax rate from a day on (default: always)."""
    from billing import taxes

    start = since.date() if since else date(1970, 1, 1)
    with _opened() as here, here.db.write() as conn:
        taxes.set_rate(conn, category, rate, profile=profile, valid_from=start, inclusive=inclusive)
    answer(
        "tax",
        text=f"{category} is {rate} from {start} for profile {profile}",
        as_json=as_json,
        category=category,
    )


@contextmanager
def _opened() -> "Iterator[Installation]":
    from cli.installation import Installation
    from core.settings import Settings

    here = Installation(Settings.load())
    try:
        yield here
    finally:
        here.close()


def _day(reader: Any, on: datetime | None) -> date:
    """The given date, or today where the operator is."""
    from core import clock

    config = reader.get("config", "trunkline")
    return on.date() if on else clock.today(config.operator.timezone if config else "UTC")


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(value))


for _found in pkgutil.iter_modules(cli.billing.__path__):
    importlib.import_module(f"cli.billing.{_found.name}").add(app)
