"""Customers and their orders: add, list, show, order, activate, cease, adopt."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.commands.billing import Actor, Json, _opened, _plain

if TYPE_CHECKING:
    from crm.access import Access

app = typer.Typer(no_args_is_help=True, help="Customers and their orders.")
Customer = Annotated[str, typer.Argument(help="Customer, say C-10001.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The name; it stays in SQL.")],
    email: Annotated[str, typer.Option(help="E-mail address.")] = "",
    phone: Annotated[str, typer.Option(help="Telephone.")] = "",
    address: Annotated[str, typer.Option(help="Where the services are.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The id that services in Git name already.")] = "",
    as_json: Json = False,
) -> None:
    """Add a customer and print the id."""
    from crm import customers

    with _opened() as here, here.db.write() as conn:
        if id_ and (why := _unfit(conn, id_)):
            raise typer.BadParameter(why)
        customer = customers.add(conn, here.key, name, email=email, phone=phone, id=id_)
        if address:
            customers.add_location(conn, here.key, customer, address)
    answer("customer", text=customer, as_json=as_json, customer=customer)


@app.command("list")
def list_(
    after: Annotated[str, typer.Option(help="Go on after this id.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    as_json: Json = False,
) -> None:
    """List customers with their billing accounts."""
    from billing import accounts
    from crm import customers

    with _opened() as here, here.db.read() as conn:
        found = [
            {**_plain(one), "accounts": [account.id for account in accounts.of_customer(conn, one.id)]}
            for one in customers.everyone(conn, here.key, limit, after)
        ]
    lines = [f"{one['id']:<12} {one['name']:<30} {' '.join(one['accounts'])}" for one in found]
    answer("customers", text="\n".join(lines) or "no customers yet", as_json=as_json, customers=found)


@app.command()
def show(customer: Customer, as_json: Json = False) -> None:
    """Show a customer: places, accounts, orders."""
    from billing import accounts
    from crm import customers, orders

    with _opened() as here, here.db.read() as conn:
        found = _plain(customers.get(conn, here.key, customer))
        found["locations"] = customers.locations(conn, here.key, customer)
        found["accounts"] = [_plain(account) for account in accounts.of_customer(conn, customer)]
        found["orders"] = [_plain(order) for order in orders.of_customer(conn, customer)]
    lines = [f"{customer} {found['name']} {found['email']} {found['phone']}".rstrip()]
    lines += [f"  place {one['address']}" for one in found["locations"]]
    lines += [
        f"  account {one['id']} ({one['currency']}, {one['timezone']}, anchor {one['anchor']})"
        for one in found["accounts"]
    ]
    for one in found["orders"]:
        why = f": {one['reason']}" if one["reason"] else ""
        lines.append(f"  order {one['id']} {one['plan']} {one['state']}{why} {one['service'] or ''}".rstrip())
    answer("customer", text="\n".join(lines), as_json=as_json, customer=found)


@app.command()
def order(
    customer: Customer,
    plan: Annotated[str, typer.Argument(help="A plan of the catalogue.")],
    olt: Annotated[str, typer.Option(help="GPON: the OLT.")] = "",
    pon: Annotated[str, typer.Option(help="GPON: the PON port.")] = "",
    serial: Annotated[str, typer.Option(help="GPON: the ONU's serial number.")] = "",
    model: Annotated[str, typer.Option(help="GPON: the ONU's model.")] = "",
    ap: Annotated[str, typer.Option(help="Radio: the access point.")] = "",
    sector: Annotated[str, typer.Option(help="Radio: its sector.")] = "",
    mac: Annotated[str, typer.Option(help="Radio: the CPE's MAC.")] = "",
    line: Annotated[str, typer.Option(help="A line that is there already.")] = "",
    account: Annotated[str, typer.Option(help="Billing account; default: the first, or a new one.")] = "",
    ipv4: Annotated[str, typer.Option(help="cgnat, public, fixed or none.")] = "cgnat",
    number: Annotated[str, typer.Option(help="Voice: the telephone number; it is sealed.")] = "",
    promotion: Annotated[list[str], typer.Option(help="The code of a promotion (repeatable).")] = [],  # noqa: B006
    activate: Annotated[bool, typer.Option(help="Provision it at once.")] = True,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Order a service on a PON, a sector or a line, and provision it."""
    from crm import activation, orders
    from crm.access import Options

    access = _access(olt=olt, pon=pon, serial=serial, model=model, ap=ap, sector=sector, mac=mac, line=line)
    with _opened() as here, here.reader() as reader:
        with here.db.write() as conn:
            order_id = orders.place_order(
                conn,
                reader,
                customer,
                plan,
                access,
                actor=actor,
                options=Options(ipv4=ipv4, number=number),
                account=account or None,
                promotions=promotion,
            )
        if activate:
            activation.activate(here.db, reader, order_id, actor=actor, key=here.key)
        with here.db.read() as conn:
            found = orders.get(conn, order_id)
    text = f"{order_id} {found.state}" + (
        f": service {found.service}, set {found.set_id}" if activate else ""
    )
    answer("order", text=text, as_json=as_json, order=_plain(found))


@app.command()
def activate(
    order_id: Annotated[str, typer.Argument(metavar="ORDER", help="A placed order.")],
    again: Annotated[bool, typer.Option("--again", help="Place a failed order again first.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Provision a placed order."""
    from crm import activation, orders

    with _opened() as here, here.reader() as reader:
        if again:
            with here.db.write() as conn:
                orders.place_again(conn, order_id, actor=actor)
        set_id = activation.activate(here.db, reader, order_id, actor=actor, key=here.key)
    answer(
        "order", text=f"{order_id} provisioning: set {set_id}", as_json=as_json, order=order_id, set_id=set_id
    )


@app.command()
def cease(
    service: Annotated[str, typer.Argument(help="Service, say S-10001.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """End a service; billing ends when it has landed."""
    from crm import cessation

    with _opened() as here, here.reader() as reader, here.db.write() as conn:
        set_id = cessation.cease_service(conn, reader, service, actor=actor)
        costs = cessation.costs_today(conn, service)
    text = f"{service} ends: set {set_id}" + (f"\nleaving costs {costs}" if costs else "")
    answer("cessation", text=text, as_json=as_json, service=service, set_id=set_id, costs=costs)


@app.command()
def adopt(
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Bill from this day.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Bill every active service of the repository that nobody bills yet."""
    from core.problems import Problem
    from crm.adoption import adopt_services

    with _opened() as here, here.reader() as reader:
        taken = adopt_services(here.db, reader, since=since.date(), actor=actor, key=here.key)
    problems = [Problem("adoption.refused", f"{name}: {why}") for name, why in taken.refused.items()]
    text = f"{len(taken.services)} services adopted, {len(taken.refused)} refused"
    answer("adoption", text=text, problems=problems, as_json=as_json, services=list(taken.services))


def _unfit(conn: Any, name: str) -> str:
    """Why an id cannot be a new customer's; empty when it can."""
    from crm import customers
    from intents.scalars import ID_PATTERN

    if not re.fullmatch(ID_PATTERN, name):
        return f"'{name}' is no id; write letters, digits and hyphens, at most 63, such as C-10001"
    if customers.exists(conn, name):
        return f"customer {name} is there already; see 'trunkline customer show {name}'"
    return ""


def _access(**given: str) -> "Access":
    """The access that the options describe; exactly one kind. Raises typer.BadParameter."""
    from crm.access import Existing, Gpon, Radio

    said: dict[str, Any] = {name: text for name, text in given.items() if text}
    if set(said) == {"line"}:
        return Existing(**said)
    if {"olt", "pon", "serial"} <= set(said) <= {"olt", "pon", "serial", "model"}:
        return Gpon(**said)
    if set(said) == {"ap", "sector", "mac"}:
        return Radio(**said)
    raise typer.BadParameter("say --olt --pon --serial, or --ap --sector --mac, or --line")
