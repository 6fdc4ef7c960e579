"""`trunkline billing deposit`: take, apply, return, list."""

from datetime import datetime
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")]
Deposit = Annotated[str, typer.Argument(help="A deposit: dep_…")]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="Local day; default: today there.")
]
app = typer.Typer(no_args_is_help=True, help="Deposits: taken, applied, returned.")


def add(billing: typer.Typer) -> None:
    """Add the commands."""
    billing.add_typer(app, name="deposit")


@app.command("take")
def take(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    amount: Annotated[str, typer.Argument(help="Say 200.00, in the account's currency.")],
    key: Annotated[str, typer.Option(help="The same one again is the same deposit.")],
    service: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Ask for a deposit on the next bill; it is held once that is paid."""
    from billing import accounts
    from billing.agenda.trial import trial
    from billing.deposits import deposits
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, trial(here.db, dry) as conn:
        money = Money.parse(amount, accounts.get(conn, account).currency)
        day = on.date() if on else None
        made = deposits.take(conn, account, money, key, actor=actor, service=service, on=day)
    answer("billing-deposit", text=f"{made}: {money} on the next bill of {account}", as_json=as_json, deposit=made,
           account=account, amount=money.minor, currency=money.currency, dry=dry)  # fmt: skip


@app.command("apply")
def apply(
    deposit: Deposit,
    forfeit: Annotated[bool, typer.Option("--forfeit", help="It covers a bad debt.")] = False,
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Let a deposit pay what is open, oldest first; what is left stays held."""
    from billing.agenda.trial import trial
    from billing.deposits import deposits
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        done = deposits.apply(conn, deposit, actor=actor, on=on.date() if on else None, forfeit=forfeit)
    _moved(done, f"{done.amount} applied, {done.left} still held", as_json, dry)


@app.command("return")
def give_back(
    deposit: Deposit, on: On = None, dry: Dry = False, actor: Actor = "operator", as_json: Json = False
) -> None:
    """Make a deposit the customer's credit, to be refunded; not while something is open."""
    from billing.agenda.trial import trial
    from billing.deposits import deposits
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        done = deposits.give_back(conn, deposit, actor=actor, on=on.date() if on else None)
    _moved(done, f"{done.amount} is credit {done.payment}, to be refunded", as_json, dry)


@app.command("list")
def listed(
    account: Annotated[str | None, typer.Argument(help="Only this account's.")] = None, as_json: Json = False
) -> None:
    """List deposits, and what is held of each."""
    from billing.deposits import deposits
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = deposits.listed(conn, account)
    lines = [f"{one.id} {one.account:<10} {one.amount!s:>16} {one.state:<9} held {one.held}" for one in found]
    answer("billing-deposits", text="\n".join(lines) or "no deposits", as_json=as_json,
           deposits=[_plain(one) for one in found])  # fmt: skip


def _moved(done: Any, text: str, as_json: bool, dry: bool) -> None:
    lines = [text, *(f"release set {one}" for one in done.set_ids)]
    answer("billing-deposit", text="\n".join(lines), as_json=as_json, **_plain(done), dry=dry)


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(value))
