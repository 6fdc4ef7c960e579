"""`trunkline billing addon|promotion|bundle|fee`: what goes beside a service."""

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from billing.offers.view import Sold
    from intents.reader import Reader

Service = Annotated[str, typer.Argument(help="A service that is billed, say S-10001.")]
On = Annotated[
    datetime | None,
    typer.Option(
        "--on", formats=["%Y-%m-%d"], help="Local date of the account, also in the past; default: today."
    ),
]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
addons = typer.Typer(no_args_is_help=True, help="Add-ons and rentals beside a service.")
promotions = typer.Typer(no_args_is_help=True, help="Promotions: something off for a while.")
bundles = typer.Typer(no_args_is_help=True, help="Bundles: something off while all is had.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(addons, name="addon")
    app.add_typer(promotions, name="promotion")
    app.add_typer(bundles, name="bundle")
    app.command()(fee)


@addons.command("add")
def add_addon(
    service: Service,
    plan: Annotated[str, typer.Argument(help="A plan of type addon or rental.")],
    name: Annotated[str, typer.Option(help="Its name, to have one plan twice; default: the plan's id.")] = "",
    version: Annotated[str, typer.Option(help="A price version; default: the one of the day.")] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Sell an add-on or rent out equipment; the next bill run bills it, days that are past too."""
    from billing.offers import addons as selling

    def do(conn: "Connection", reader: "Reader") -> None:
        selling.add(conn, reader, service, plan, actor=actor, on=_date(on), version=version, label=name)

    _change("addon-added", service, do, dry=dry, as_json=as_json)


@addons.command("remove")
def remove_addon(
    service: Service,
    name: Annotated[str, typer.Argument(help="Its name, as 'addon list' shows it.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """End an add-on or rental; what was billed beyond is taken back by the next bill run."""
    from billing.offers import addons as selling

    _change(
        "addon-removed", service, lambda conn, _: selling.remove(conn, service, name, actor=actor, on=_date(on)),
        dry=dry, as_json=as_json,
    )  # fmt: skip


@promotions.command("add")
def add_promotion(
    service: Service,
    offer: Annotated[str, typer.Argument(help="An offer of type promotion.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Give a promotion; its terms of today are pinned."""
    from billing.offers import giving

    def do(conn: "Connection", reader: "Reader") -> None:
        giving.promote(conn, reader, service, offer, actor=actor, on=_date(on))

    _change("promotion-added", service, do, dry=dry, as_json=as_json)


@promotions.command("remove")
@bundles.command("remove")
def remove_offer(
    service: Service,
    name: Annotated[str, typer.Argument(help="Its name, as 'list' shows it.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """End a promotion, or a bundle for all its services."""
    from billing.offers import giving

    _change(
        "offer-removed", service, lambda conn, _: giving.take(conn, service, name, actor=actor, on=_date(on)),
        dry=dry, as_json=as_json,
    )  # fmt: skip


@bundles.command("add")
def add_bundle(
    offer: Annotated[str, typer.Argument(help="An offer of type bundle.")],
    services: Annotated[list[str], typer.Argument(help="Services of one account that have its plans.")],
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Give a bundle to services together; it ends when one of them leaves."""
    from billing.offers import giving

    def do(conn: "Connection", reader: "Reader") -> None:
        giving.bundle(conn, reader, offer, services, actor=actor, on=_date(on))

    _change("bundle-added", services[0], do, dry=dry, as_json=as_json)


@addons.command("list")
@promotions.command("list")
@bundles.command("list")
def show(service: Service, on: On = None, as_json: Json = False) -> None:
    """Show what a service has: plan, add-ons, rentals, offers, at which pinned prices, and its contract."""
    from billing.offers import view
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = view.of_service(conn, service, _date(on))
    answer(
        "subscription", text=text_of(service, found), as_json=as_json, service=service, items=told_of(found)
    )


def fee(
    service: Service,
    plan: Annotated[str, typer.Argument(help="A plan of type fee.")],
    key: Annotated[str, typer.Option(help="Tells two fees of one plan and day apart.")] = "",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Bill a one-off fee with the next run; the same plan, day and key again adds nothing."""
    from billing.agenda.trial import trial
    from billing.offers import addons as selling
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        given = selling.charge_fee(conn, reader, service, plan, actor=actor, on=_date(on), key=key)
    answer(
        "billing-fee", text=f"{given.description}: {given.amount}{_dry(dry)}", as_json=as_json, service=service,
        plan=plan, amount=given.amount.minor, currency=given.amount.currency, source=given.source, dry=dry,
    )  # fmt: skip


def _change(
    what: str, service: str, do: "Callable[[Connection, Reader], Any]", *, dry: bool, as_json: bool
) -> None:
    from billing.agenda.trial import trial
    from billing.offers import view
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        do(conn, reader)
        found = view.of_service(conn, service)
    answer(
        f"billing-{what}", text=text_of(service, found) + _dry(dry), as_json=as_json, service=service,
        items=told_of(found), dry=dry,
    )  # fmt: skip


def text_of(service: str, found: "list[Sold]") -> str:
    """What a service has, for people."""
    lines = []
    for one in found:
        until = f" until {one.until} (exclusive)" if one.until else ""
        price = f"{one.price} every {one.months} months" if one.months > 1 else f"{one.price} a month"
        told = price if one.price is not None else one.told
        version = f" {one.version}" if one.version else ""
        lines.append(f"{one.role:<9} {one.name:<20} {one.plan}{version}: {told}, {one.billed}{until}")
        lines += [f"{'':<9} {one.told}"] if one.told and one.price is not None else []
    return "\n".join(lines) or f"service {service} has nothing that is billed"


def told_of(found: "list[Sold]") -> list[dict[str, Any]]:
    """The same for programs."""
    import msgspec

    return [dict(msgspec.to_builtins(one)) for one in found]


def _date(given: datetime | None) -> date | None:
    return given.date() if given else None


def _dry(dry: bool) -> str:
    return " (dry: nothing was kept)" if dry else ""
