"""`trunkline billing mail list | resend | send`: what was sent to customers, and what became of it."""

from typing import Annotated

import typer

from cli.answer import answer

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
_app = typer.Typer(no_args_is_help=True, help="What was sent to customers, and what became of it.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app, name="mail")


@_app.command("list")
def listed(
    state: Annotated[
        str | None, typer.Option(help="queued, sent, failed, bounced, or none: no address.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> None:
    """List messages, the newest first: to which account, about which document, what the server said."""
    from billing.mailing import sending
    from cli.commands.billing import _opened

    states = (sending.QUEUED, sending.SENT, sending.FAILED, sending.BOUNCED, sending.NONE)
    if state is not None and state not in states:
        raise typer.BadParameter(f"'{state}' is none of {', '.join(states)}", param_hint="--state")
    with _opened() as here, here.db.read() as conn:
        rows = sending.log(conn, state, account, limit)
    lines = [
        f"{row.id}  {row.changed_at:%Y-%m-%d %H:%M}  {row.state:<8} {row.account_id:<10} {row.number:<16} {row.reply}"
        for row in rows
    ]
    shown = [
        {"mail": row.id, "state": row.state, "account": row.account_id, "invoice": row.number, "reply": row.reply,
         "attempts": row.attempts, "changed_at": row.changed_at.isoformat(), "message_id": row.message_id}
        for row in rows
    ]  # fmt: skip
    answer("billing-mail", text="\n".join(lines) or "no mail yet", as_json=as_json, mail=shown)


@_app.command()
def resend(
    mail: Annotated[str, typer.Argument(help="A message's id, or the number of its document.")],
    actor: Annotated[
        str, typer.Option("--as", envvar="TRUNKLINE_ACTOR", help="Who does it, by staff id.")
    ] = "operator",
    as_json: Json = False,
) -> None:
    """Send a document again, also to an address that bounced."""
    from billing.mailing import sending
    from cli.commands.billing import _opened

    with _opened() as here, here.db.write() as conn:
        found = sending.resend(conn, mail, actor=actor)
    answer("billing-mail-resend", text=f"{found} waits to be sent", as_json=as_json, mail=found)


@_app.command()
def send(as_json: Json = False) -> None:
    """Queue a message for each final document that has none yet; the worker sends them. A bill run does it itself."""
    from billing.mailing import sending
    from billing.mailing.errors import MailNotSetUp
    from cli.commands.billing import _opened

    with _opened() as here:
        with here.reader() as reader:
            found = sending.setting(reader)
        if found is None:
            raise MailNotSetUp
        queued = sending.sweep(here.db, found)
    answer("billing-mail-send", text=f"{queued} messages wait to be sent", as_json=as_json, queued=queued)
