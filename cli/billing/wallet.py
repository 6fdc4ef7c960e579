"""`trunkline billing wallet` and `prepaid`: money paid ahead, and what it buys."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from billing.wallet.topping import TopUp

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")]
Account = Annotated[str, typer.Argument(help="Billing account, say A-10001.")]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Local day; default: today there.")
]
wallet = typer.Typer(no_args_is_help=True, help="Money that customers have paid ahead.")
prepaid = typer.Typer(no_args_is_help=True, help="Services that are paid before they are used.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(wallet, name="wallet")
    app.add_typer(prepaid, name="prepaid")


@wallet.command("show")
def show(account: Account, as_json: Json = False) -> None:
    """Show what a wallet has, its movements, and the account's prepaid services."""
    from billing import accounts
    from billing.wallet import balance
    from billing.wallet import records as services
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, here.db.read() as conn:
        owner = accounts.get(conn, account)
        left = balance.balance(conn, owner)
        rows = balance.movements(conn, owner)
        held = services.of_account(conn, account)
    moved = [
        {"kind": row["kind"], "on": str(row["moved_on"]), "amount": row["amount"], "source": row["source"],
         "actor": row["actor"]}
        for row in rows
    ]  # fmt: skip
    told = [{"service": one.service, "state": one.state, "paid_until": _text(one.paid_until)} for one in held]
    lines = [f"{account}: {left}"]
    lines += [
        f"  {row['moved_on']} {row['kind']:<8} {Money(int(str(row['amount'])), owner.currency)!s:>16}  {row['source']}"
        for row in rows
    ]
    lines += [
        f"  {one['service']} is {one['state']}, bought until {one['paid_until'] or '-'}" for one in told
    ]
    answer(
        "billing-wallet", text="\n".join(lines), as_json=as_json, account=account, balance=left.minor,
        currency=left.currency, movements=moved, services=told,
    )  # fmt: skip


@wallet.command("top-up")
def top_up(
    account: Account,
    amount: Annotated[str, typer.Argument(help="Say 30.00, in the account's currency.")],
    key: Annotated[str, typer.Option(help="Receipt number: the same one again is the same top-up.")],
    method: Annotated[str, typer.Option(help="cash, bank, card, …")] = "cash",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Top a wallet up; what it pays for is bought, and released, in the same transaction."""
    from billing import accounts
    from billing.agenda.trial import trial
    from billing.wallet import topping
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, trial(here.db, dry) as conn:
        money = Money.parse(amount, accounts.get(conn, account).currency)
        day = on.date() if on else None
        done = topping.top_up(conn, account, money, method, key, actor=actor, on=day)
    topped(done, as_json, dry)


@wallet.command("pay-out")
def pay_out(
    account: Account,
    amount: Annotated[str, typer.Argument(help="Say 30.00, in the account's currency.")],
    key: Annotated[str, typer.Option(help="The same one again is the same pay-out.")],
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Make money of a wallet the customer's credit, to be refunded or to pay invoices."""
    from billing import accounts
    from billing.agenda.trial import trial
    from billing.wallet import balance, topping
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, trial(here.db, dry) as conn:
        owner = accounts.get(conn, account)
        money = Money.parse(amount, owner.currency)
        credit = topping.pay_out(conn, account, money, key, actor=actor)
        left = balance.balance(conn, owner)
    answer("billing-pay-out", text=f"{money} of {account} is credit {credit}, {left} left", as_json=as_json,
           account=account, payment=credit, balance=left.minor, currency=left.currency, dry=dry)  # fmt: skip


@prepaid.command("run")
def prepaid_run(
    on: On = None,
    expect: Annotated[int | None, typer.Option(help="Let exactly so many holds pass the guard.")] = None,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Buy the periods that are due, warn of low wallets, hold what has lapsed (`billing day` does so, too)."""
    from billing.wallet.running import run_prepaid
    from cli.commands.billing import _opened
    from core.problems import Problem

    with _opened() as here, here.reader() as reader:
        run = run_prepaid(here.db, reader, on.date() if on else None, actor=actor, expect=expect)
    problems = [Problem("prepaid.refused", f"{name}: {why}") for name, why in run.refused.items()]
    problems += [Problem("prepaid.no-leave", run.problem)] if run.problem else []
    lines = [
        f"{one.service}: {one.start} to {one.until} for {one.total}, {one.invoice}" for one in run.bought
    ]
    lines += [f"{len(run.bought)} periods bought, {len(run.warned)} warned, {len(run.held)} held"]
    lines += [f"hold set {run.hold_set}"] if run.hold_set else []
    lines += [f"left to a person (on-hold: manual): {', '.join(run.manual)}"] if run.manual else []
    answer("prepaid-run", text="\n".join(lines), problems=problems, as_json=as_json, run=_plain(run))


@prepaid.command("list")
def prepaid_list(
    state: Annotated[str, typer.Option(help="ordered, open, grace, lapsed, owed or ceased.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: Json = False,
) -> None:
    """List prepaid services, the one that ends first at the top."""
    from billing.wallet import records as services
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        rows = services.listed(conn, state, limit)
    found = [
        {"service": one.service, "account": one.account_id, "state": one.state, "plan": one.terms["plan"],
         "paid_until": _text(one.paid_until), "grace_days": one.grace_days, "held": one.held}
        for one in rows
    ]  # fmt: skip
    lines = [
        f"{one['service']:<12} {one['account']:<10} {one['state']:<8} {one['plan']:<16} {one['paid_until'] or '-'}"
        for one in found
    ]
    answer(
        "prepaid-services", text="\n".join(lines) or "no prepaid services", as_json=as_json, services=found
    )


@prepaid.command("grace")
def grace(
    service: Annotated[str, typer.Argument(help="A prepaid service.")],
    days: Annotated[int, typer.Argument(help="Days that it goes on unpaid, 0 to 31.")],
    as_json: Json = False,
    actor: Actor = "operator",
) -> None:
    """Set how many days a service goes on after its last paid day."""
    from billing.wallet import prepaid as services
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        services.set_grace(conn, service, days, actor=actor)
    answer(
        "prepaid-services",
        text=f"{service} has {days} days of grace",
        as_json=as_json,
        service=service,
        days=days,
    )


def topped(done: "TopUp", as_json: bool, dry: bool) -> None:
    """Answer what a top-up did, by whatever means."""
    from core.problems import Problem

    lines = [f"{done.account} has {done.balance}" + (": this was done before" if done.already else "")]
    lines += [
        f"{one.service}: {one.start} to {one.until} for {one.total}, {one.invoice}"
        for one in done.renewed.bought
    ]
    lines += [f"release set {one}" for one in done.renewed.set_ids]
    problems = [
        Problem("prepaid.refused", f"{name}: {why}", severity="warning")
        for name, why in done.renewed.refused.items()
    ]
    answer(
        "billing-top-up", text="\n".join(lines), problems=problems, as_json=as_json, account=done.account,
        amount=done.amount.minor, balance=done.balance.minor, currency=done.balance.currency, already=done.already,
        bought=[_plain(one) for one in done.renewed.bought], set_ids=list(done.renewed.set_ids), dry=dry,
    )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(value))
