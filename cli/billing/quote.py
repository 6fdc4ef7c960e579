"""`trunkline billing quote`: what an order would cost, period by period; and `promotion redeemed`."""

from datetime import datetime
from typing import Annotated

import typer

from cli.answer import answer
from cli.billing.offers import promotions

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(quote)


def quote(
    plan: Annotated[str, typer.Argument(help="A plan of the catalogue.")],
    promotion: Annotated[list[str], typer.Option(help="The code of a promotion (repeatable).")] = [],  # noqa: B006
    account: Annotated[str | None, typer.Option(help="For this account; default: somebody new.")] = None,
    customer: Annotated[str | None, typer.Option(help="For a customer without an account yet.")] = None,
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="As of a local date; default: today."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what an order would cost: each period until the price stays, with promotions and tax. Reserves nothing."""
    from billing import catalog
    from billing.offers import quoting
    from cli.commands.billing import _day, _opened

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        currency = catalog.operator_currency(reader, "AUD")
        found = quoting.quote(
            conn,
            reader,
            plan,
            promotion,
            account=account,
            customer=customer,
            on=_day(reader, on),
            currency=str(currency),
        )
    lines = [f"{plan}, price version {found.version}, from {found.on}"]
    lines += [f"  {name}: {told}" for name, told in found.promotions.items()]
    for one in found.parts:
        off = "".join(f" {amount} {name}" for name, amount in one.off.items())
        setup = f" + set-up {one.setup}" if one.setup.minor else ""
        many = f"{one.days} of {one.period.days} days" if one.days != one.period.days else f"{one.days} days"
        since = "from then on each period: " if one.period.start == found.stays else ""
        lines.append(
            f"  {one.period.start} to {one.period.end}, {many}: {since}{one.listed}{setup}{off} = {one.net}"
            f" + tax {one.tax} = {one.total}"
        )
    parts = [
        {"from": str(one.period.start), "until": str(one.period.end), "days": one.days, "setup": one.setup.minor,
         "listed": one.listed.minor, "off": {name: amount.minor for name, amount in one.off.items()},
         "net": one.net.minor, "tax": one.tax.minor, "total": one.total.minor, "currency": one.total.currency}
        for one in found.parts
    ]  # fmt: skip
    answer(
        "billing-quote", text="\n".join(lines), as_json=as_json, plan=plan, version=found.version, on=str(found.on),
        promotions=found.promotions, parts=parts, stays=str(found.stays),
    )  # fmt: skip


@promotions.command("redeemed")
def redeemed(
    offer: Annotated[str | None, typer.Argument(help="An offer; default: all that anybody redeemed.")] = None,
    as_json: Json = False,
) -> None:
    """Show how many reserved, redeemed and released each promotion, and how many are left of its limit."""
    from billing.offers import redeeming
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, here.db.read() as conn:
        found = redeeming.redeemed(conn, offer)
        shown = []
        for name, states in found.items():
            intent = reader.get("offer", name)
            limit = intent.limit if intent is not None else None
            taken = sum(count for state, count in states.items() if state != redeeming.RELEASED)
            shown.append(
                {"offer": name, **states, "limit": limit, "left": None if limit is None else limit - taken}
            )
    lines = []
    for one in shown:
        told = ", ".join(
            f"{one[state]} {state}" for state in ("reserved", "redeemed", "released") if state in one
        )
        left = f"; {one['left']} of {one['limit']} left" if one["limit"] is not None else ""
        lines.append(f"{one['offer']}: {told}{left}")
    answer(
        "billing-promotions",
        text="\n".join(lines) or "nobody redeemed a promotion",
        as_json=as_json,
        promotions=shown,
    )
