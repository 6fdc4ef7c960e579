"""`trunkline billing prices preview|apply`: what a price change would do, and doing it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.progress import Bar
from core.problems import Problem

if TYPE_CHECKING:
    from billing.prices.previewing import Preview

Plan = Annotated[str, typer.Argument(help="A plan, add-on or rental of the catalogue.")]
Old = Annotated[str, typer.Option("--from", help="Only those who have this version; default: any other.")]
InTerm = Annotated[
    bool, typer.Option("--in-term", help="Also those whose contract binds, to a higher price.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
app = typer.Typer(no_args_is_help=True, help="Price changes of those who have a plan already.")


def add(billing: typer.Typer) -> None:
    """Add the commands."""
    billing.add_typer(app, name="prices")


@app.command("preview")
def preview(
    plan: Plan,
    version: Annotated[str, typer.Option(help="The new version; default: the last in our currency.")] = "",
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="From this day on; default: today.")
    ] = None,
    old: Old = "",
    in_term: InTerm = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many accounts, the most changed first.")] = 20,
    as_json: Json = False,
) -> None:
    """Say who would pay how much more a month, and what last month would have been. It changes nothing."""
    from billing.prices.previewing import preview as previewed
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, Bar("comparing") as bar:
        day = on.date() if on else None
        found = previewed(
            here.db, reader, plan, version or None, on=day, old=old or None, in_term=in_term, watch=bar
        )
    problems = [
        Problem("billing.prices-left", f"{name} is left to a person: {why}", severity="warning")
        for name, why in list(found.left.items())[:limit]
    ]
    answer(
        "billing-prices-preview", text=_text(found, limit), problems=problems, as_json=as_json, plan=plan,
        price_version=found.version, currency=found.currency, on=str(found.on), items=found.items,
        account_count=len(found.accounts),
        monthly=found.monthly, month=str(found.month.start)[:7], before=found.before, after=found.after,
        left=len(found.left),
        groups=[
            {"version": one.version, "price": str(one.price), "items": one.items, "each": str(one.each)}
            for one in found.groups
        ],
        accounts=[
            {"account": one.account, "monthly": str(one.monthly), "before": str(one.before), "after": str(one.after)}
            for one in found.accounts[:limit]
        ],
    )  # fmt: skip


@app.command("apply")
def apply(
    plan: Plan,
    version: Annotated[str, typer.Option(help="The price version to move to.")],
    on: Annotated[
        datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="The first day of the new price.")
    ],
    old: Old = "",
    in_term: InTerm = False,
    dry: Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")] = False,
    chunk: Annotated[int, typer.Option(min=1, help="Accounts in one transaction.")] = 500,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Json = False,
) -> None:
    """Move those who have the plan to a price version from a day on; stopped, the same command goes on."""
    from billing.prices import moving
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, Bar("moving") as bar:
        done = moving.apply(
            here.db, reader, plan, version, on.date(), actor=actor, old=old or None, in_term=in_term, dry=dry,
            chunk=chunk, watch=bar,
        )  # fmt: skip
    verb = "would move" if dry else "moved"
    text = f"{done.moved} items of {done.accounts} accounts {verb} to {plan} {version} from {done.on}"
    text += f": {_sums(done.monthly)} a month" if done.monthly else ""
    problems = [
        Problem("billing.prices-left", f"{name} is left to a person: {why}", severity="warning")
        for name, why in done.left.items()
    ]
    answer(
        "billing-prices-applied", text=text, problems=problems, as_json=as_json, plan=plan, price_version=version,
        on=str(done.on), moved=done.moved, accounts=done.accounts, monthly=done.monthly, left=done.left, dry=dry,
    )  # fmt: skip


def _text(found: "Preview", limit: int) -> str:
    many = f"{found.items} items of {len(found.accounts)} accounts in {found.currency}"
    lines = [f"{found.plan} {found.version} from {found.on}: {many}"]
    lines += [
        f"  {one.items:>8} at {one.version} ({one.price} every {one.months} months): {one.each} a month each"
        for one in found.groups
    ]
    if found.accounts:
        lines += [f"a month, before tax: {_sums(found.monthly)}"]
        again = {currency: found.after[currency] - found.before[currency] for currency in found.before}
        lines += [f"{found.month.start:%Y-%m} again, with tax: {_sums(again)}"]
        lines += [
            f"  {one.account:<12} {one.monthly!s:>14} a month; last month {one.before} -> {one.after}"
            for one in found.accounts[:limit]
        ]
    return "\n".join([*lines, "nobody moves unless 'trunkline billing prices apply' says so"])


def _sums(amounts: dict[str, int]) -> str:
    from core.money import Money

    return ", ".join(str(Money(minor, currency)) for currency, minor in sorted(amounts.items())) or "nothing"
