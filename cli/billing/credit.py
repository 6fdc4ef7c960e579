"""`trunkline billing credit`: a credit note for a final invoice, of the whole, of lines, or of parts of lines."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from core.money import Money


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(credit)


def credit(
    invoice: Annotated[str, typer.Argument(help="A final invoice, by its number.")],
    reason: Annotated[str, typer.Option(help="Why, as a code of yours: outage, goodwill, mistake, …")],
    line: Annotated[
        list[str], typer.Option(help="Only this line: 2, or 2=10.00 for a part as listed (repeatable).")
    ] = [],  # noqa: B006
    key: Annotated[
        str, typer.Option(help="Makes it safe to ask again; default: invoice, reason and lines.")
    ] = "",
    dry: Annotated[bool, typer.Option("--dry", help="Show it and keep nothing.")] = False,
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Credit an invoice. The note is a draft until the next bill run gives numbers; then it pays the oldest debt."""
    from billing import crediting, invoices
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        row = invoices.get(conn, invoice)
        parts = dict(_part(text, row["currency"]) for text in line) or None
        named = key or f"{row['number']}:{reason}:{','.join(sorted(line))}"
        if (made := crediting.earlier(conn, row["account_id"], named)) is not None:
            answer(
                "billing-credit", as_json=as_json, invoice=row["number"], note=made, already=True,
                text=f"this was credited before, by {made}; for the same once more give a --key of its own",
            )  # fmt: skip
            return
        drawn = crediting.preview(conn, invoice, parts)
        note = None if dry else crediting.credit(conn, invoice, parts, actor=actor, reason=reason, key=named)
    lines = [f"{one.description:<70}{one.amount!s:>16}" for one in drawn.lines]
    text = "\n".join([*lines, f"{'net':<70}{drawn.net!s:>16}", f"{'tax':<70}{drawn.tax!s:>16}",
                      f"{'total':<70}{drawn.total!s:>16}"])  # fmt: skip
    answer(
        "billing-credit", text=text, as_json=as_json, invoice=row["number"], note=note, currency=drawn.currency,
        already=False, net=drawn.net.minor, tax=drawn.tax.minor, total=drawn.total.minor,
    )  # fmt: skip


def _part(text: str, currency: str) -> "tuple[int, Money | None]":
    from core.money import Money

    position, _, amount = text.partition("=")
    if not position.isdigit():
        raise typer.BadParameter(
            f"'{text}' is no line; write its position, such as 2 or 2=10.00", param_hint="--line"
        )
    return int(position), Money.parse(amount, currency) if amount else None
