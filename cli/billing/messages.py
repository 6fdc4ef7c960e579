"""`trunkline billing messages` and `letters`: what customers are told besides documents, and what became of it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Actor = Annotated[str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")]
On = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="A local date; default: today.")
]
Form = Annotated[str, typer.Option("--form", help="Where the address is: din-b, c56 or us10.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Write the PDF here; a name in .zip: a PDF for each letter.")
]
_messages = typer.Typer(
    no_args_is_help=True, help="Reminders, announcements and notices, and what became of them."
)
_letters = typer.Typer(no_args_is_help=True, help="Letters to be printed, each in one batch.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_messages, name="messages")
    app.add_typer(_letters, name="letters")


@_messages.command("list")
def listed(
    state: Annotated[
        str | None, typer.Option(help="waiting, queued, sent, failed, bounced, none, dropped.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only e-mail, sms or letter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> None:
    """List messages, the newest first: to which account, what about, what the other side said."""
    from billing.messages import sending
    from billing.messages.facts import CHANNELS
    from cli.commands.billing import _opened

    for given, known, name in ((state, sending.STATES, "--state"), (channel, CHANNELS, "--channel")):
        if given is not None and given not in known:
            raise typer.BadParameter(f"'{given}' is none of {', '.join(known)}", param_hint=name)
    with _opened() as here, here.db.read() as conn:
        rows = sending.log(conn, state, account, channel, limit)
    lines = [
        f"{row.id}  {row.made_on} {row.state:<8} {row.channel:<7} {row.purpose:<9} {row.account_id:<10} "
        f"{' '.join(row.facts['invoices'])}  {row.reply}".rstrip()
        for row in rows
    ]
    shown = [_shown(row) for row in rows]
    answer("billing-messages", text="\n".join(lines) or "no messages yet", as_json=as_json, messages=shown)


@_messages.command()
def resend(
    message: Annotated[str, typer.Argument(help="A message's id.")],
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Send a message again: one that failed, say, or whose address was mended."""
    from billing.messages import sending
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        sending.resend(conn, message, actor=actor)
    answer("billing-message-resend", text=f"{message} waits to be sent", as_json=as_json, message=message)


@_messages.command()
def send(
    on: On = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only say how many reminders would be written.")] = False,
    as_json: Json = False,
) -> None:
    """Write reminders and announcements that are due, and queue what waits. A dunning run does it by itself."""
    from billing.messages import queueing, reminding
    from cli.commands.billing import _opened

    with _opened() as here, here.reader() as reader:
        made = reminding.remind(here.db, on.date() if on else None, dry=dry)
        queued = 0 if dry else queueing.sweep(here.db, queueing.since_of(reader))
    told = ", ".join(f"{count} of kind {name}" for name, count in sorted(made.items())) or "nothing"
    text = f"{told} to be written" if dry else f"{told} written; {queued} messages wait to be sent"
    answer("billing-messages-send", text=text, as_json=as_json, made=made, queued=queued)


@_letters.command()
def make(
    form: Form = "din-b",
    out: Out = None,
    on: On = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="Not what is older; default: 31 days."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would be taken.")] = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Take the letters that wait into a batch to be printed; each letter once. `fetch` prints a batch again."""
    from billing.messages import letters
    from cli.commands.billing import _day, _opened, _plain
    from cli.outside import hands

    with _opened() as here, here.reader() as reader:
        first = since.date() if since else None
        batch = letters.make(here.db, hands(here), form, _day(reader, on), actor=actor, since=first, dry=dry)
        if batch is None:
            answer("billing-letters", text="no letters wait", as_json=as_json, batch=None)
            return
        lines = [
            f"{'would take' if dry else batch.id + ':'} {batch.count} letters of {batch.made_on}, {batch.form}"
        ]
        lines += [f"not printed: {one}" for one in batch.dropped]
        lines += [f"{one} has no postal address: its letter waits" for one in batch.unaddressed]
        if not dry and batch.count:
            path = out or Path(f"letters-{batch.made_on}-{batch.id[-6:]}.pdf")
            _write(here, reader, batch.id, path)
            lines.append(f"written to {path}")
    answer("billing-letters", text="\n".join(lines), as_json=as_json, batch=_plain(batch))


@_letters.command()
def fetch(
    batch: Annotated[str, typer.Argument(help="A batch's id.")], out: Out = None, as_json: Json = False
) -> None:
    """Print a batch again: the same letters, the same pages."""
    from cli.commands.billing import _opened

    path = out or Path(f"letters-{batch[-6:]}.pdf")
    with _opened() as here, here.reader() as reader:
        _write(here, reader, batch, path)
    answer("billing-letters-fetch", text=f"written to {path}", as_json=as_json, batch=batch, file=str(path))


@_letters.command("list")
def batches(
    batch: Annotated[str | None, typer.Argument(help="A batch: its letters; default: all batches.")] = None,
    as_json: Json = False,
) -> None:
    """List the batches, the newest first, or the letters of one."""
    from billing.messages import letters
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        if batch is not None:
            found = letters.of_batch(conn, batch)
            text = "\n".join(f"{one['account_id']:<10} {' '.join(one['facts']['invoices'])}" for one in found)
            shown = [{"message": one["id"], "account": one["account_id"]} for one in found]
            answer("billing-letters-of", text=text, as_json=as_json, letters=shown)
            return
        rows = letters.batches(conn)
    lines = [f"{row.id}  {row.made_on} {row.form:<6} {row.count:>6} letters, by {row.actor}" for row in rows]
    plain = [{"batch": row.id, "on": str(row.made_on), "form": row.form, "count": row.count} for row in rows]
    answer(
        "billing-letter-batches", text="\n".join(lines) or "no letters yet", as_json=as_json, batches=plain
    )


def _write(here: Any, reader: Any, batch: str, path: Path) -> None:
    from billing.messages import letters
    from cli.outside import hands

    made = letters.zipped if path.suffix == ".zip" else letters.printed
    content = made(here.db, reader, hands(here), batch)
    try:
        path.write_bytes(content)
    except OSError as error:
        why = f"{path}: {error.strerror}; the batch {batch} is made, fetch it into another file"
        raise typer.BadParameter(why, param_hint="--out") from error


def _shown(row: Any) -> dict[str, Any]:
    return {
        "message": row.id, "state": row.state, "account": row.account_id, "channel": row.channel,
        "purpose": row.purpose, "made_on": str(row.made_on), "facts": row.facts, "attempts": row.attempts,
        "reply": row.reply, "batch": row.batch_id, "changed_at": row.changed_at.isoformat(),
    }  # fmt: skip
