"""`trunkline billing exempt | surcharge | tax-engine`: what changes an account's tax."""

from datetime import date, datetime
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Since = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first local day.")]
Until = Annotated[
    datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The first day that it is over.")
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(exempt)
    app.command()(surcharge)
    app.command("tax-engine")(tax_engine)


def exempt(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    since: Since,
    until: Until = None,
    code: Annotated[
        str, typer.Option(help="E exempt, AE reverse charge, Z zero rated, G export, O outside; S: taxed.")
    ] = "E",
    category: Annotated[str, typer.Option(help="Only this tax category; default: all.")] = "",
    certificate: Annotated[str, typer.Option(help="Its number; stands on the invoices.")] = "",
    reason: Annotated[str, typer.Option(help="What stands on the invoices; default: by the code.")] = "",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Exempt an account from tax from a day on; `--code S` taxes it again. It counts for bills from then on."""
    from billing.taxing.exemptions import TAXED, Exemption, grant
    from cli.commands.billing import _opened

    one = Exemption(
        account=account, code=code, since=since.date(), until=until.date() if until else None, category=category,
        certificate=certificate, reason=reason,
    )  # fmt: skip
    with _opened() as here, here.db.write() as conn:
        grant(conn, one, actor=actor)
    what = "is taxed" if code == TAXED else f"is not taxed ({one.told})"
    till = f" until {one.until}" if one.until else ""
    text = f"{account} {what} from {one.since}{till}: {category or 'every category'}"
    answer(
        "billing-exempt", text=text, as_json=as_json, account=account, code=code, since=str(one.since),
        until=str(one.until) if one.until else None, category=category,
    )  # fmt: skip


def surcharge(
    name: Annotated[str, typer.Argument(help="Say usf.")],
    amount: Annotated[str, typer.Argument(help="Say 5.2% or 'AUD 0.50' for each line; 0 ends it.")],
    label: Annotated[str, typer.Option(help="What stands on the invoice.")] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="Kinds of lines that bear it (repeatable); default: recurring.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Which accounts: their tax profile.")] = "default",
    tax: Annotated[str, typer.Option(help="How it is taxed itself; default: not.")] = "",
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Valid from; default: always.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a part of each line, or an amount for each, as a line of its own."""
    from billing.tax import parse_rate
    from billing.taxing.surcharges import Surcharge, keep
    from cli.commands.billing import _opened
    from core.money import Money

    start = since.date() if since else date(1970, 1, 1)
    currency, _, figure = amount.strip().partition(" ")
    given: dict[str, Any] = (
        {"fixed": Money.parse(figure, currency)} if figure else {"millionths": parse_rate(amount)}
    )
    one = Surcharge(
        profile=profile,
        name=name,
        since=start,
        label=label or name,
        kinds=tuple(kind or ["recurring"]),
        tax=tax,
        **given,
    )
    with _opened() as here, here.db.write() as conn:
        keep(conn, one)
    text = f"surcharge {name} of profile {profile} is {amount} of {', '.join(one.kinds)} from {start}"
    answer("billing-surcharge", text=text, as_json=as_json, name=name, profile=profile, since=str(start))


def tax_engine(
    engine: Annotated[str, typer.Argument(help="The plugin, say http; 'none': the table's rates again.")],
    profile: Annotated[str, typer.Option(help="Which accounts: their tax profile.")],
    url: Annotated[str, typer.Option(help="Where it listens.")] = "",
    token_file: Annotated[str, typer.Option(help="A file with its token; kept sealed.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, max=30, help="Seconds to wait for an answer.")] = 5.0,
    fallback: Annotated[
        str, typer.Option(help="Without an answer: park the account, or use the table's rates.")
    ] = "park",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Let an external engine say the rates of a tax profile: a job asks it, once for each account, category and day."""
    from pathlib import Path

    from billing.taxing import asking, engines
    from cli.commands.billing import _opened
    from core import crypto

    name = "" if engine == "none" else engine
    settings: dict[str, Any] = {"url": url, "timeout": timeout} if name else {}
    if name:
        engines.make(name, settings)
    with _opened() as here:
        if token_file:
            if here.key is None:
                raise typer.BadParameter("there is no data key to seal it with", param_hint="--token-file")
            try:
                token = Path(token_file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise typer.BadParameter(
                    f"{token_file}: {error.strerror}", param_hint="--token-file"
                ) from error
            settings[asking.TOKEN] = crypto.seal(here.key, token, asking.place_of(profile), asking.TOKEN)
        with here.db.write() as conn:
            asking.use(conn, profile, name, settings, fallback=fallback, actor=actor)
    text = f"profile {profile}: rates by {name or 'the table'}" + (
        f", without an answer: {fallback}" if name else ""
    )
    answer("billing-tax-engine", text=text, as_json=as_json, profile=profile, engine=name, fallback=fallback)
