"""`trunkline billing autopay | attempts`: who pays by itself, and what became of each try."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Account = Annotated[str, typer.Argument(help="Billing account, say A-10001.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
_APP = typer.Typer(no_args_is_help=True, help="Charge invoices by a stored method when they are due.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_APP, name="autopay")
    app.command()(attempts)
    app.command()(gateways)


@_APP.command("on")
def switch_on(
    account: Account,
    gateway: Annotated[str, typer.Option(help="As trunkline.yaml names it under gateways.")],
    method: Annotated[
        str,
        typer.Option(
            "--method", "--mandate", help="The stored method's token, pm_… or MD…. Never a card number."
        ),
    ],
    customer: Annotated[
        str, typer.Option(help="What the gateway calls the customer, cus_…; no need for a mandate.")
    ] = "",
    label: Annotated[
        str, typer.Option(help="For people, such as 'visa 4242'; default: as the gateway says.")
    ] = "",
    days_before: Annotated[int, typer.Option(min=0, max=60, help="Days before the due date.")] = 0,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Do not ask the gateway whether the method can be used.")
    ] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Charge the account's invoices by a stored method from now on; the gateway is asked whether it can be used."""
    import msgspec

    from billing import accounts
    from billing.gateways import autopay, protocol
    from cli.commands.billing import _opened
    from cli.outside import gateway_of

    if method.replace(" ", "").isdigit():
        raise typer.BadParameter(
            "that looks like a card number; give the gateway's token", param_hint="--method"
        )
    with _opened() as here, here.reader() as reader:
        protocol.connect(reader, gateway, lambda _sealed, _field: "")
        terms = autopay.Method(
            gateway=gateway,
            customer=customer,
            method=method,
            label=label,
            days_before=days_before,
        )
        if not unchecked:
            with here.db.read() as conn:
                currency = accounts.get(conn, account).currency
            terms = autopay.checked(gateway_of(here, reader, gateway), terms, currency)
        terms = msgspec.structs.replace(terms, label=terms.label or method[-4:])
        with here.db.write() as conn:
            autopay.switch_on(conn, account, terms, actor=actor)
    text = f"{account} pays by {gateway} {terms.label}, {days_before} days before the due date"
    answer("billing-autopay", text=text, as_json=as_json, account=account, gateway=gateway, on=True)


@_APP.command("off")
def switch_off(account: Account, actor: Actor = "operator", as_json: Json = False) -> None:
    """Charge nothing any more."""
    from billing.gateways import autopay
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        autopay.switch_off(conn, account, actor=actor)
    answer("billing-autopay", text=f"{account} pays by hand", as_json=as_json, account=account, on=False)


@_APP.command("run")
def run(
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on", formats=["%Y-%m-%d"], help="Local date of the accounts; default: the operator's today."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Queue what is due, and what is to be tried again; the worker charges it. Again: nothing more."""
    from billing.gateways import autopay
    from cli.commands.billing import _day, _opened

    with _opened() as here, here.reader() as reader:
        made = autopay.plan(here.db, _day(reader, on))
    answer("billing-autopay-run", text=f"{made} charges are queued", as_json=as_json, queued=made)


def attempts(account: Account, as_json: Json = False) -> None:
    """List what was charged, or tried, and why it failed; the newest first."""
    import sqlalchemy as sa

    from billing import accounts
    from billing.gateways.models import attempt
    from billing.models import invoice
    from cli.commands.billing import _opened
    from core.money import Money

    query = sa.select(attempt, invoice.c.number.label("invoice")).join(
        invoice, invoice.c.id == attempt.c.invoice_id
    )
    with _opened() as here, here.db.read() as conn:
        accounts.get(conn, account)
        rows = (
            conn.execute(query.where(attempt.c.account_id == account).order_by(attempt.c.id.desc()))
            .mappings()
            .all()
        )

    def shown(row: Any) -> dict[str, Any]:
        kept = (
            "id",
            "invoice",
            "number",
            "gateway",
            "state",
            "code",
            "reference",
            "payment_id",
            "amount",
            "currency",
        )
        return {name: row[name] for name in kept} | {"planned_on": str(row["planned_on"])}

    def line(row: Any) -> str:
        amount = Money(row["amount"], row["currency"])
        return (
            f"{row['planned_on']}  {row['invoice']:<16} try {row['number']}  {amount!s:>14}  {row['gateway']:<10} "
            f"{row['state']} {row['code']}"
        )

    answer(
        "billing-attempts", text="\n".join(map(line, rows)) or "nothing was tried yet", as_json=as_json,
        attempts=[shown(row) for row in rows],
    )  # fmt: skip


def gateways(
    days: Annotated[int, typer.Option(min=1, max=3650, help="Failures of so many days.")] = 30,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each.")] = 100,
    as_json: Json = False,
) -> None:
    """Show what a person looks at, over all accounts: charges and refunds that are undecided or failed, and why."""
    from datetime import timedelta

    from billing.gateways import listing
    from cli.commands.billing import _day, _opened, _plain

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        since = _day(reader, None) - timedelta(days=days)
        known, undecided = listing.gateways(conn), listing.undecided(conn, limit)
        failed, back, stuck = (
            listing.failed(conn, since, limit),
            listing.refunds(conn, since, limit),
            listing.stuck(conn, limit),
        )
    lines = [f"{one.name}: {one.undecided} charges undecided, {one.waiting} events about charges that we do not know, "
             f"fetched up to {one.until:%Y-%m-%d %H:%M} UTC" for one in known]  # fmt: skip
    for title, tries in (("undecided", undecided), (f"failed or sent back since {since}", failed)):
        lines += [f"{title}:"] if tries else []
        lines += [f"  {one.account:<10} {one.invoice:<16} try {one.number}  {one.amount!s:>14}  {one.gateway:<10} "
                  f"{one.state} {one.code}".rstrip() for one in tries]  # fmt: skip
    lines += [f"refunds on their way, or failed since {since}:"] if back else []
    lines += [f"  {one.account:<10} {one.id}  {one.amount!s:>14}  {one.method:<10} {one.state} {one.why}".rstrip()
              for one in back]  # fmt: skip
    lines += ["taken back beyond what our books have:"] if stuck else []
    lines += [f"  {one.account:<10} {one.amount!s:>14}  {one.why}" for one in stuck]

    def shown(found: Any) -> list[dict[str, Any]]:
        return [{**_plain(one), "amount": str(one.amount)} for one in found]

    answer(
        "billing-gateways", text="\n".join(lines) or "nobody pays through a gateway", as_json=as_json,
        gateways=[_plain(one) for one in known], undecided=shown(undecided), failed=shown(failed),
        refunds=shown(back), stuck=shown(stuck),
    )  # fmt: skip
