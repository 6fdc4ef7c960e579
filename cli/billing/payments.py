"""`trunkline billing payments`, `refund`, `chargeback`, `allocate`, `unallocate`, `move-payment`, receipts, drawer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from core.money import Money

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Dry = Annotated[bool, typer.Option("--dry", help="Do it all and keep nothing.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
On = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="Local date; default: the account's today."),
]
Payment = Annotated[str, typer.Argument(help="A payment, by its id (pay_…).")]
Amount = Annotated[str, typer.Argument(help="Say 12.50, in the payment's currency.")]
Key = Annotated[str, typer.Option(help="Makes it safe to ask again: the same key is the same one.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (payments, refund, chargeback, unallocate, allocate, receipt, drawer):
        app.command()(command)
    app.command("move-payment")(move)
    app.command("void-payment")(void)


def payments(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> None:
    """List an account's payments: what each pays, what is left, refunds, chargebacks, moves."""
    from billing.refunding import listing
    from cli.commands.billing import _opened, _plain

    with _opened() as here, here.db.read() as conn:
        found = listing.payments_of(conn, account, limit)
    lines = []
    for one in found:
        lines.append(f"{one.id} {one.received_on} {one.method:<12} {one.amount!s:>14} {one.state}")
        lines += [f"    pays {number}: {amount}" for number, amount in one.pays.items()]
        lines += [f"    {told}" for told in one.events]
    shown = [{**_plain(one), "amount": str(one.amount), "unapplied": str(one.unapplied)} for one in found]
    answer("payments", text="\n".join(lines) or "no payments yet", as_json=as_json, payments=shown)


def refund(
    payment: Payment,
    amount: Amount,
    reason: Annotated[str, typer.Option(help="Why: left, mistake, overpaid, …")],
    key: Key,
    method: Annotated[
        str,
        typer.Option(help="How it goes back: cash, bank, or the gateway that it came through (the default)."),
    ] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Refund what is unapplied of a payment. Credit of credit notes takes its place on invoices first."""
    from billing.gateways import givebacks
    from billing.refunding import refunds

    with _change(dry) as conn:
        money = _money(conn, payment, amount)
        method = method or givebacks.way_back(conn, payment, "bank")
        made = refunds.refund(
            conn, payment, money, key=key, method=method, actor=actor, reason=reason, on=_date(on)
        )
        state = refunds.get(conn, made)["state"]
    text = f"refund {made} of {money} by {method}: {state}"
    answer(
        "refund", text=_said(text, dry), as_json=as_json, refund=made, state=state, amount=str(money), dry=dry
    )


def chargeback(
    payment: Payment,
    amount: Amount,
    key: Key,
    reason: Annotated[str, typer.Option(help="The bank's code, say AM04.")] = "",
    fee: Annotated[str, typer.Option(help="Billed to the customer by the next run, say 15.00.")] = "",
    tax: Annotated[str, typer.Option(help="The fee's tax category; none: no tax.")] = "",
    cost: Annotated[str, typer.Option(help="What the bank took for it, say 7.50.")] = "",
    won: Annotated[
        bool, typer.Option("--won", help="The chargeback of this key was won: take it back.")
    ] = False,
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Write down that the bank took money back: what it paid is open again, due as it was."""
    from billing.refunding import chargebacks

    with _change(dry) as conn:
        money = _money(conn, payment, amount)
        extra = {name: _money(conn, payment, text) for name, text in (("fee", fee), ("cost", cost)) if text}
        made = chargebacks.chargeback(
            conn, payment, money, key=key, actor=actor, on=_date(on), reason=reason, tax=tax, **extra
        )
        sets = chargebacks.chargeback_reversed(conn, made, actor=actor, on=_date(on)) if won else ()
    text = f"chargeback {made} of {money}: {'won' if won else 'its invoices are open again'}"
    text += "".join(f"\nrelease set {one}" for one in sets)
    answer("chargeback", text=_said(text, dry), as_json=as_json, chargeback=made, amount=str(money), won=won,
           set_ids=list(sets), dry=dry)  # fmt: skip


def unallocate(
    payment: Payment,
    invoice: Annotated[str, typer.Argument(help="The invoice that it pays, by number.")],
    amount: Annotated[str, typer.Argument(help="Only so much of it.")] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Take a payment off an invoice. It stays unapplied until `trunkline billing allocate`."""
    from billing.refunding import byhand

    with _change(dry) as conn:
        money = _money(conn, payment, amount) if amount else None
        byhand.unallocate(conn, payment, invoice, money, actor=actor, on=_date(on))
    text = f"{payment} was taken off {invoice}; 'trunkline billing allocate {payment}' lets it pay again"
    answer("unallocated", text=_said(text, dry), as_json=as_json, payment=payment, invoice=invoice, dry=dry)


def allocate(
    payment: Annotated[str, typer.Argument(help="A payment (pay_…); with --rule an account.")],
    invoice: Annotated[str, typer.Argument(help="Where to; none: by the account's rule.")] = "",
    amount: Annotated[str, typer.Argument(help="Only so much of it.")] = "",
    rule: Annotated[
        str, typer.Option(help="Set an account's rule: named-first, oldest, named-only, by-hand.")
    ] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Put what is unapplied of a payment on an invoice; or set how an account's payments are allocated."""
    from billing.refunding import byhand

    sets: tuple[str, ...] = ()
    with _change(dry) as conn:
        if rule:
            byhand.set_rule(conn, payment, rule, actor=actor)
        else:
            money = _money(conn, payment, amount) if amount else None
            sets = byhand.allocate(conn, payment, invoice or None, money, actor=actor, on=_date(on))
    text = (
        f"payments of {payment} are allocated by '{rule}'"
        if rule
        else f"{payment} pays {invoice or 'by rule'}"
    )
    text += "".join(f"\nrelease set {one}" for one in sets)
    answer("allocated", text=_said(text, dry), as_json=as_json, payment=payment, set_ids=list(sets), dry=dry)


def move(
    payment: Payment,
    account: Annotated[str, typer.Argument(help="The right billing account.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Move a payment that was booked to the wrong account."""
    from billing.refunding import moving

    with _change(dry) as conn:
        made = moving.move(conn, payment, account, actor=actor, reason=reason, on=_date(on))
    text = f"{payment} is {made} of {account} now"
    answer("payment-moved", text=_said(text, dry), as_json=as_json, payment=made, account=account, dry=dry)


def void(
    payment: Payment,
    reason: Annotated[str, typer.Option(help="Why.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Void a payment that was keyed in by mistake; what it paid is open again."""
    from billing.refunding import moving

    with _change(dry) as conn:
        moving.void(conn, payment, actor=actor, reason=reason, on=_date(on))
    answer("payment-voided", text=_said(f"{payment} is void", dry), as_json=as_json, payment=payment, dry=dry)


def receipt(payment: Payment, actor: Actor = "operator", as_json: Json = False) -> None:
    """Print a payment's receipt; the first time it gets its number, from then on it is a copy."""
    from billing.refunding import receipts
    from cli.commands.billing import _opened, _plain

    with _opened() as here, here.db.write() as conn:
        found = receipts.receipt(conn, payment, actor=actor)
    shown = {**_plain(found), "amount": str(found.amount), "unapplied": str(found.unapplied),
             "pays": {number: str(amount) for number, amount in found.pays}}  # fmt: skip
    answer("receipt", text=found.text(), as_json=as_json, receipt=shown)


def drawer(
    on: On = None,
    who: Annotated[str | None, typer.Option(help="Only this person's, by staff id.")] = None,
    as_json: Json = False,
) -> None:
    """Say what must lie in each person's cash drawer on a day: taken, voided, paid out."""
    from billing.refunding import drawer as drawers
    from cli.commands.billing import _day, _opened, _plain

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        found = drawers.drawers(conn, _day(reader, on), who)
    names = ("taken", "voided", "paid_out", "expected")
    lines = [
        f"{one.actor:<16} {one.receipts:>4} receipts "
        + ", ".join(f"{name.replace('_', ' ')} {getattr(one, name)}" for name in names)
        for one in found
    ]
    shown = [{**_plain(one), **{name: str(getattr(one, name)) for name in names}} for one in found]
    answer("drawer", text="\n".join(lines) or "no cash was taken", as_json=as_json, drawers=shown)


@contextmanager
def _change(dry: bool) -> "Iterator[Connection]":
    from billing.agenda.trial import trial
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        yield conn


def _money(conn: "Connection", payment: str, text: str) -> "Money":
    from billing.refunding import found
    from core.money import Money

    return Money.parse(text, found.lock(conn, payment).owner.currency)


def _date(on: datetime | None) -> date | None:
    return on.date() if on else None


def _said(text: str, dry: bool) -> str:
    return f"{text} (dry: nothing was kept)" if dry else text
