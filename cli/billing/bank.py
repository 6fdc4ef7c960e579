"""`trunkline billing bank`: statements in, direct debits out, mandates, and lines that a person assigns."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.answer import answer
from core.problems import Problem

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
Entity = Annotated[str, typer.Option("--entity", help="Legal entity.")]
_app = typer.Typer(no_args_is_help=True, help="Bank files: statements in, direct debits out.")


def add(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(_app, name="bank")


@_app.command("import")
def import_(
    files: Annotated[
        list[Path], typer.Argument(help="camt.053, or CSV with --mapping.", exists=True, dir_okay=False)
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(help="TOML that says what the columns of a CSV are.", exists=True, dir_okay=False),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only read: say what the files have.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Import bank statements. The same one again adds nothing; status 0 also where lines are left to a person."""
    from billing.bank import importing
    from cli.commands.billing import _opened

    found = {path: _read(path, mapping) for path in files}
    if dry:
        lines = [
            f"{one.id} of {one.closed_on}: {len(one.lines)} lines" for all_ in found.values() for one in all_
        ]
        answer("bank-import", text="\n".join([*lines, "(dry: nothing was kept)"]), as_json=as_json, dry=True,
               statements=len(lines))  # fmt: skip
        return
    with _opened() as here:
        done = [
            importing.import_statements(here.db, one, str(path), here.key, actor=actor)
            for path, one in found.items()
        ]
    states: dict[str, int] = {}
    for one in done:
        for state, count in one.states.items():
            states[state] = states.get(state, 0) + count
    new, again = sum(one.statements for one in done), sum(one.again for one in done)
    text = [line for one in done for line in one.lines]
    text.append(
        f"{new} statements, {again} known before; " + ", ".join(f"{n} {s}" for s, n in sorted(states.items()))
    )
    gaps = sorted({gap for one in done for gap in one.gaps})
    problems = [Problem("billing.statement-missing", gap, severity="warning") for gap in gaps]
    answer("bank-import", text="\n".join(text), problems=problems, as_json=as_json, dry=False, statements=new,
           again=again, states=states)  # fmt: skip


@_app.command()
def unmatched(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the oldest.")] = 100,
    as_json: Json = False,
) -> None:
    """List the lines of statements that wait for a person, and why."""
    from billing.bank import assigning
    from cli.commands.billing import _opened, _plain

    with _opened() as here, here.db.read() as conn:
        found = assigning.unmatched(conn, limit)
    lines = []
    for one in found:
        lines.append(
            f"{one.id} {one.booked_on} {one.amount!s:>14}  {one.name} {one.iban} {one.reason}".rstrip()
        )
        lines += [f"    {text}" for text in (one.text, one.told) if text]
    shown = [{**_plain(one), "amount": str(one.amount)} for one in found]
    answer("bank-unmatched", text="\n".join(lines) or "every line is matched", as_json=as_json, entries=shown)


@_app.command()
def assign(
    entry: Annotated[str, typer.Argument(help="A line, by its id (ent_…).")],
    to: Annotated[str, typer.Argument(help="An account, or an invoice that it pays first.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Say whose payment a line is; lines from the same IBAN are known from then on."""
    from billing.bank import assigning
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        paid = assigning.assign(conn, entry, to, actor=actor)
    text = [f"{paid.amount} is payment {paid.payment}", *(f"release set {one}" for one in paid.set_ids)]
    answer(
        "bank-assigned",
        text="\n".join(text),
        as_json=as_json,
        payment=paid.payment,
        set_ids=list(paid.set_ids),
    )


@_app.command()
def ignore(
    entry: Annotated[str, typer.Argument(help="A line, by its id (ent_…).")],
    why: Annotated[str, typer.Option(help="What it is: interest, a supplier, …")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Say that a line is no customer's."""
    from billing.bank import assigning
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        assigning.ignore(conn, entry, why, actor=actor)
    answer("bank-ignored", text=f"{entry} is not ours: {why}", as_json=as_json, entry=entry)


@_app.command()
def creditor(
    name: Annotated[str, typer.Option(help="As the bank knows it.")],
    creditor_id: Annotated[str, typer.Option("--creditor-id", help="SEPA creditor identifier.")],
    iban: Annotated[str, typer.Option(help="Our bank account.")],
    bic: Annotated[str, typer.Option(help="Our bank's, where it wants one.")] = "",
    lead_days: Annotated[int, typer.Option(help="TARGET days that the bank needs before a collection.")] = 2,
    entity: Entity = "main",
    as_json: Json = False,
) -> None:
    """Say what banks know a legal entity by: who collects, and whose statements come."""
    from billing.bank import mandates
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        mandates.set_creditor(
            conn, entity, name=name, creditor_id=creditor_id, iban=iban, bic=bic, lead_days=lead_days
        )
    answer("bank-creditor", text=f"{entity} collects as {creditor_id}", as_json=as_json, entity=entity)


@_app.command()
def mandate(
    account: Annotated[str, typer.Argument(help="Billing account, say A-10001.")],
    reference: Annotated[str, typer.Argument(help="The mandate's reference; none: list the account's.")] = "",
    iban: Annotated[
        str, typer.Option(help="The customer's, kept sealed; '-' reads it from the standard input.")
    ] = "",
    holder: Annotated[str, typer.Option(help="Who holds the bank account.")] = "",
    signed: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it was signed.")
    ] = None,
    bic: Annotated[str, typer.Option(help="The customer's bank's, outside of the EEA.")] = "",
    one_off: Annotated[bool, typer.Option("--one-off", help="For one direct debit only.")] = False,
    end: Annotated[bool, typer.Option("--end", help="End it now.")] = False,
    last: Annotated[bool, typer.Option("--last", help="End it after one more direct debit.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Take a direct debit mandate, end one, or list an account's."""
    from billing.bank import mandates
    from cli.commands.billing import _opened

    if iban == "-":
        iban = typer.get_text_stream("stdin").readline().strip()
    if reference and not (end or last) and not (iban and holder and signed):
        raise typer.BadParameter("a mandate needs --iban, --holder and --signed")
    with _opened() as here, here.db.write() as conn:
        if end or last:
            mandates.end(conn, reference, actor=actor, after_next=last)
        elif reference and signed:
            mandates.sign(
                conn, account, reference, iban=iban, holder=holder, signed_on=signed.date(), key=here.key,
                actor=actor, bic=bic, one_off=one_off,
            )  # fmt: skip
        found = mandates.of_account(conn, account)
    shown = [_mandate(row) for row in found]
    lines = [" ".join(str(one) for one in row.values() if one) for row in shown]
    answer("mandates", text="\n".join(lines) or "no mandate", as_json=as_json, mandates=shown)


@_app.command()
def collect(
    on: Annotated[datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="The day the money is to move.")],
    out: Annotated[Path, typer.Option(help="Where to write the file; readable by its owner only.")],
    entity: Entity = "main",
    version: Annotated[str, typer.Option(help="pain.008.001.: 08, or 02 for banks that ask for it.")] = "08",
    another: Annotated[
        bool, typer.Option("--another", help="One more for this day, of what came since.")
    ] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Write the direct debits of what is due by a day. Again: the same file; each is pending until a statement says."""
    from billing.bank import collecting, pain
    from cli.commands.billing import _day, _opened
    from core.crypto import write_private

    if version not in pain.VERSIONS:
        raise typer.BadParameter(f"'{version}' is none of {', '.join(pain.VERSIONS)}", param_hint="--version")
    with _opened() as here, here.reader() as reader:
        today = _day(reader, None)
        with here.db.write() as conn:
            made = collecting.collect(
                conn, entity, on.date(), here.key, actor=actor, today=today, version=version, another=another
            )
    if made is None:
        answer(
            "bank-collect",
            text="nothing is due that could be collected",
            as_json=as_json,
            batch=None,
            count=0,
        )
        return
    write_private(out, made.content.encode())
    left = [Problem("billing.not-collected", one, severity="warning") for one in made.left]
    text = f"{out}: {made.count} direct debits of {made.total} on {made.collect_on}"
    text += " (written before)" if made.again else ""
    answer(
        "bank-collect", text=text, problems=left, as_json=as_json, batch=made.id, count=made.count,
        total=str(made.total), on=str(made.collect_on), again=made.again,
    )  # fmt: skip


@_app.command()
def reject(
    end_to_end: Annotated[str, typer.Argument(help="The direct debit's end-to-end id (TLC-…).")],
    reason: Annotated[str, typer.Argument(help="The bank's code, say AC04.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Write down that the bank refused a direct debit before any money moved."""
    from billing.bank import collections
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        account = collections.reject(conn, end_to_end, reason, actor=actor)
    answer("bank-rejected", text=f"refused for {account}: {reason}", as_json=as_json, account=account)


def _read(path: Path, mapping: Path | None) -> Any:
    from billing.bank import camt, sheet

    if mapping is None:
        return camt.read(path.read_bytes(), str(path))
    return [sheet.read(path.read_bytes(), str(path), sheet.mapping_of(mapping.read_bytes(), str(mapping)))]


def _mandate(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "mandate": row["id"], "state": row["state"], "why": row["why"], "signed_on": str(row["signed_on"]),
        "holder": row["holder"], "iban": row["iban_shown"], "one_off": row["one_off"],
    }  # fmt: skip
