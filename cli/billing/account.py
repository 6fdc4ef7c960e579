"""`trunkline billing account`: open, set and show an account's terms."""

from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Dry = Annotated[bool, typer.Option("--dry", help="Say what it would do and keep nothing.")]
Account = Annotated[str, typer.Argument(help="Billing account, say A-10001.")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217, say EUR.")]
Timezone = Annotated[str | None, typer.Option(help="Where its days begin, say Europe/Vienna.")]
Anchor = Annotated[int | None, typer.Option(help="Day of the month that periods begin on, 1 to 31.")]
Entity = Annotated[str | None, typer.Option(help="Legal entity that bills it, as in trunkline.yaml.")]
TaxProfile = Annotated[str | None, typer.Option(help="Whose tax rates: a profile that has some, or exempt.")]
Policy = Annotated[str | None, typer.Option("--dunning-policy", help="A policy that is stored, or default.")]
PaymentDays = Annotated[int | None, typer.Option(help="Days to pay, 0 to 365.")]
ChangeDay = Annotated[str | None, typer.Option(help="Whose a change's own day is: new or old.")]
Parent = Annotated[str | None, typer.Option(help="The account that it is shown under, or none.")]
app = typer.Typer(no_args_is_help=True, help="An account's terms: open, set, show.")


def add(billing: typer.Typer) -> None:
    """Add the commands."""
    billing.add_typer(app, name="account")


@app.command("open")
def opened(
    customer: Annotated[str, typer.Argument(help="Customer, say C-10001.")],
    currency: Currency = None,
    timezone: Timezone = None,
    anchor: Anchor = None,
    entity: Entity = None,
    tax_profile: TaxProfile = None,
    policy: Policy = None,
    payment_days: PaymentDays = None,
    change_day: ChangeDay = None,
    parent: Parent = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Open an account of a customer; what is not said is as the operator has it."""
    from billing import accounts
    from billing.agenda.trial import trial
    from cli.commands.billing import _opened, _plain
    from crm import orders

    terms = _terms(
        currency=currency, timezone=timezone, anchor=anchor, legal_entity=entity, tax_profile=tax_profile,
        dunning_policy=policy, payment_days=payment_days, change_day=change_day, parent=parent,
    )  # fmt: skip
    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        name = orders.open_account(conn, reader, customer, actor=actor, **terms)
        made = accounts.get(conn, name)
    text = "\n".join(_told(made)) + ("\n(dry: nothing was kept)" if dry else "")
    answer("billing-account", text=text, as_json=as_json, account=_plain(made), dry=dry)


@app.command("set")
def change(
    account: Account,
    currency: Currency = None,
    timezone: Timezone = None,
    anchor: Anchor = None,
    entity: Entity = None,
    tax_profile: TaxProfile = None,
    policy: Policy = None,
    payment_days: PaymentDays = None,
    change_day: ChangeDay = None,
    parent: Parent = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Set terms. Tax profile, policy and payment days at any time; the others until something was billed or booked."""
    from billing.agenda.trial import trial
    from cli.commands.billing import _opened, _plain
    from crm import orders

    terms = _terms(
        currency=currency, timezone=timezone, anchor=anchor, legal_entity=entity, tax_profile=tax_profile,
        dunning_policy=policy, payment_days=payment_days, change_day=change_day, parent=parent,
    )  # fmt: skip
    if not terms:
        raise typer.BadParameter("say which term changes, such as --payment-days 30")
    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        before, after = orders.change_account(conn, reader, account, actor=actor, **terms)
    old, new = _plain(before), _plain(after)
    changed = {name: {"old": old[name], "new": new[name]} for name in new if old[name] != new[name]}
    lines = [
        f"{account}: {name.replace('_', ' ')} {_word(one['old'])} -> {_word(one['new'])}"
        for name, one in changed.items()
    ]
    text = "\n".join(lines or [f"{account}: it is so already"]) + ("\n(dry: nothing was kept)" if dry else "")
    answer("billing-account-set", text=text, as_json=as_json, account=new, changed=changed, dry=dry)


@app.command("show")
def show(account: Account, as_json: Json = False) -> None:
    """Show an account's terms, whether they can still change, how it stands, and its children with it."""
    from billing import accounts
    from cli.commands.billing import _opened, _plain

    with _opened() as here, here.db.read() as conn:
        owner = accounts.get(conn, account)
        fixed = accounts.in_the_way(conn, account)
        mine, *below = accounts.family(conn, account)
        whose = {one.id: one.customer_ref for one in accounts.children(conn, account)}
    lines = _told(owner)
    if fixed:
        lines.append(f"only tax profile, dunning policy and payment days still change: {'; '.join(fixed)}")
    lines.append(_stands(mine))
    lines += [f"child {one.account} of {whose[one.account]}: {_stands(one)}" for one in below]
    sums = {
        name: str(owner.money(sum(getattr(one, name).minor for one in (mine, *below))))
        for name in ("open", "overdue", "credit")
    }
    if below:
        lines.append(f"together: open {sums['open']}, overdue {sums['overdue']}, credit {sums['credit']}")
    answer(
        "billing-account", text="\n".join(lines), as_json=as_json, account=_plain(owner), fixed=fixed,
        standing=_standing(mine), children=[_standing(one) for one in below], together=sums,
    )  # fmt: skip


def _terms(**given: Any) -> dict[str, Any]:
    """What was said; `none` says no parent."""
    said = {name: value for name, value in given.items() if value is not None}
    return {**said, "parent": None} if said.get("parent") == "none" else said


def _told(one: Any) -> list[str]:
    paid = f"billed on day {one.anchor}, {one.payment_days} days to pay"
    by = (
        f"legal entity {one.legal_entity}, tax profile {one.tax_profile}, dunning policy {one.dunning_policy}"
    )
    lines = [f"{one.id} of {one.customer_ref}: {one.currency}, {one.timezone}, {paid}"]
    lines.append(f"{by}, change day {one.change_day}")
    return [*lines, *([f"parent {one.parent}"] if one.parent else [])]


def _stands(one: Any) -> str:
    return f"open {one.open}, overdue {one.overdue}, credit {one.credit}"


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _standing(one: Any) -> dict[str, Any]:
    return {
        "account": one.account, "open": str(one.open), "overdue": str(one.overdue), "credit": str(one.credit),
        "stage": one.stage, "held": list(one.held), "asked": one.asked,
    }  # fmt: skip
