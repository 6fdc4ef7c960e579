"""`trunkline billing breakage`, `wallet charge-back | charge-back-won | restore`: money that went or was never used."""

from typing import Annotated, Any

import typer

from cli.answer import answer
from cli.billing.wallet import Account, Actor, Dry, Json, On, topped, wallet

_breakage = typer.Typer(
    no_args_is_help=True, help="Vouchers and wallets that nobody used in time, in the books."
)
Key = Annotated[str, typer.Option(help="The bank's reference: the same one again is the same chargeback.")]
TopUp = Annotated[str, typer.Argument(help="The key of the top-up, as 'wallet show' lists it.")]
Method = Annotated[
    str | None,
    typer.Option(help="cash, bank, card, …: where the money went; default: the way in which it came."),
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_breakage, name="breakage")


@wallet.command("charge-back")
def charge_back(
    top_up: TopUp,
    key: Key,
    amount: Annotated[str, typer.Option(help="Default: all that is left of the top-up.")] = "",
    method: Method = None,
    cost: Annotated[str, typer.Option(help="What the bank took from us for it.")] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """The bank took a top-up back: the wallet has less, and in the red what it bought is held at once."""
    from billing.agenda.trial import trial
    from billing.wallet import returning
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        currency = returning.currency_of(conn, top_up)
        taken, fee = (Money.parse(text, currency) if text else None for text in (amount, cost))
        done = returning.charge_back(
            conn, reader, top_up, taken, method, key, actor=actor, on=on.date() if on else None, cost=fee
        )
    would = "would be " if dry else ""
    lines = [f"{done.account}: {done.amount} {would}taken back, the wallet has {done.balance}"]
    lines += ["it was taken back before: nothing has changed"] if done.already else []
    lines += [f"held: {', '.join(done.held)} (set {done.hold_set})"] if done.held else []
    lines += [f"left to a person (on-hold: manual): {', '.join(done.manual)}"] if done.manual else []
    lines += [done.problem] if done.problem else []
    answer(
        "billing-wallet-charge-back", text="\n".join(lines), as_json=as_json, account=done.account,
        amount=done.amount.minor, balance=done.balance.minor, currency=currency, held=list(done.held),
        manual=list(done.manual), hold_set=done.hold_set, problem=done.problem, already=done.already, dry=dry,
    )  # fmt: skip


@wallet.command("charge-back-won")
def charge_back_won(
    top_up: TopUp,
    key: Key,
    method: Method = None,
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """The bank gave it back: what is held is released, and what is due is bought."""
    from billing.agenda.trial import trial
    from billing.wallet import returning
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        done = returning.won(conn, top_up, key, method, actor=actor, on=on.date() if on else None)
    topped(done, as_json, dry)


@wallet.command("restore")
def restore(
    account: Account, on: On = None, dry: Dry = False, actor: Actor = "operator", as_json: Json = False
) -> None:
    """A customer comes for what expired of the wallet: give the last breakage back."""
    from billing.agenda.trial import trial
    from billing.wallet import breakage
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        done = breakage.restore(conn, account, actor=actor, on=on.date() if on else None)
    topped(done, as_json, dry)


@_breakage.command("rule")
def rule(
    what: Annotated[str, typer.Argument(help="voucher or wallet; without any option: show all rules.")] = "",
    days: Annotated[
        int | None, typer.Option(help="After a voucher's last day, or a wallet's last movement.")
    ] = None,
    ledger: Annotated[
        str, typer.Option(help="revenue:breakage, or unclaimed:wallet where it stays owed.")
    ] = "",
    entity: Annotated[str, typer.Option(help="The legal entity.")] = "main",
    drop: Annotated[bool, typer.Option("--drop", help="From now on nothing of it expires.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Show, set or drop the rules. Without one nothing expires in the books; ask whoever knows your law."""
    from billing.wallet import breakage
    from cli.commands.billing import _opened

    if (
        (days is None) != (not ledger)
        or (drop and days is not None)
        or ((drop or days is not None) and not what)
    ):
        raise typer.BadParameter("give what, --days and --ledger together; or what and --drop; or nothing")
    with _opened() as here, here.db.write() as conn:
        if drop:
            breakage.drop_rule(conn, entity, what, actor=actor)
        elif days is not None:
            given = breakage.Rule(legal_entity=entity, what=what, days=days, ledger=ledger)
            breakage.set_rule(conn, given, actor=actor)
        found = breakage.rules(conn)
    lines = [f"{one.legal_entity}: {one.what} after {one.days} days to {one.ledger}" for one in found]
    plain = [
        {"entity": one.legal_entity, "what": one.what, "days": one.days, "ledger": one.ledger}
        for one in found
    ]
    answer(
        "billing-breakage-rules", text="\n".join(lines) or "there are no rules", as_json=as_json, rules=plain
    )


@_breakage.command("run")
def run(on: On = None, dry: Dry = False, actor: Actor = "operator", as_json: Json = False) -> None:
    """Move what has expired out of the liabilities, by the rules; again moves nothing more."""
    from billing.wallet import breakage
    from cli.commands.billing import _opened

    with _opened() as here:
        done = breakage.run(here.db, on.date() if on else None, actor=actor, dry=dry)
    verb = "would go" if dry else "went"
    lines = [f"{one.what} {one.of}: {one.amount} {verb} to {one.ledger}" for one in done]
    plain: list[dict[str, Any]] = [
        {"what": one.what, "of": one.of, "amount": one.amount.minor, "currency": one.amount.currency,
         "ledger": one.ledger}
        for one in done
    ]  # fmt: skip
    answer(
        "billing-breakage",
        text="\n".join(lines) or "nothing has expired",
        as_json=as_json,
        broken=plain,
        dry=dry,
    )
