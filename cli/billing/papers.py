"""`trunkline billing pdf | xml | contact`: what customers are shown, and whom it is addressed to."""

from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Invoice = Annotated[str, typer.Argument(help="A final invoice or credit note, by its number.")]
Out = Annotated[Path | None, typer.Option(help="Where to write it; default: its number in this folder.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pdf)
    app.command()(xml)
    app.command()(contact)


def pdf(invoice: Invoice, out: Out = None, as_json: Json = False) -> None:
    """Write a document as PDF, with the e-invoice in it. It is made once; from then on it is the same bytes."""
    from billing.papers import making
    from cli.commands.billing import _opened
    from crm.buyers import buyer

    with _opened() as here, here.reader() as reader:
        found = making.papers(here.db, reader, here.key, invoice, buyer(here.key))
    path = _write(out or Path(f"{found.number}.pdf"), found.pdf)
    without = "" if found.xml is not None else f"\nwithout an e-invoice: {found.why}"
    answer(
        "billing-pdf", text=f"{path}: {len(found.pdf)} bytes{without}", as_json=as_json, invoice=found.number,
        path=str(path), bytes=len(found.pdf), e_invoice=found.xml is not None, why=found.why,
    )  # fmt: skip


def xml(invoice: Invoice, out: Out = None, as_json: Json = False) -> None:
    """Write a document as e-invoice: Factur-X, EN 16931."""
    from billing.papers import making
    from cli.commands.billing import _opened
    from crm.buyers import buyer

    with _opened() as here, here.reader() as reader:
        content = making.xml_of(here.db, reader, here.key, invoice, buyer(here.key))
    path = _write(out or Path(f"{invoice}.xml"), content)
    answer(
        "billing-xml", text=f"{path}: {len(content)} bytes", as_json=as_json, invoice=invoice, path=str(path),
        bytes=len(content),
    )  # fmt: skip


def contact(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    name: Annotated[str | None, typer.Option(help="A person's or company's name.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="A line of the address (repeatable).")] = None,
    postcode: Annotated[str | None, typer.Option()] = None,
    city: Annotated[str | None, typer.Option()] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166-1 code, such as AU.")] = None,
    vat: Annotated[str | None, typer.Option(help="VAT identifier, with its country's prefix.")] = None,
    registration: Annotated[str | None, typer.Option(help="The company's number.")] = None,
    email: Annotated[str | None, typer.Option(help="Where invoices are sent.")] = None,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Json = False,
) -> None:
    """Say whom an account's invoices are addressed to from now on; without options: show it."""
    import msgspec

    from billing.papers import parties
    from cli.commands.billing import _opened
    from core import clock
    from crm.buyers import buyer

    given = {
        "name": name, "address": tuple(address) if address else None, "postcode": postcode, "city": city,
        "country": country, "vat": vat, "registration": registration, "email": email,
    }  # fmt: skip
    said = {field: value for field, value in given.items() if value is not None}
    if country is not None and not (len(country) == 2 and country.isascii() and country.isupper()):
        raise typer.BadParameter(f"'{country}' is no ISO 3166-1 code such as AU", param_hint="--country")
    with _opened() as here:
        with here.db.read() as conn:
            known = parties.contact_at(conn, here.key, account, clock.now()) or buyer(here.key)(conn, account)
        party = msgspec.structs.replace(known, **said)
        if said:
            with here.db.write() as conn:
                parties.set_contact(conn, here.key, account, party, actor=actor)
    shown = msgspec.to_builtins(party)
    text = "\n".join(f"{field:<14}{_said(value)}" for field, value in shown.items() if value)
    answer("billing-contact", text=text, as_json=as_json, account=account, contact=shown)


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _write(path: Path, content: bytes) -> Path:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--out") from error
    return path
