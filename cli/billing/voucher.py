"""`trunkline billing voucher`: make, list, sell, redeem and void vouchers that top wallets up."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.answer import answer
from cli.billing.wallet import Account, Actor, Dry, Json, On, topped

voucher = typer.Typer(no_args_is_help=True, help="Vouchers: make, sell, redeem, void.")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(voucher, name="voucher")


@voucher.command("create")
def create(
    batch: Annotated[str, typer.Argument(help="A name for the batch.")],
    count: Annotated[int, typer.Argument(help="How many.")],
    amount: Annotated[str, typer.Argument(help="What one is worth, say 30.00.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day.")],
    file: Annotated[Path, typer.Option(help="A new CSV file for the printer: the codes exist only there.")],
    currency: Annotated[str, typer.Option(help="Default: the operator's.")] = "",
    entity: Annotated[str, typer.Option(help="The legal entity that issues them.")] = "main",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Make a batch of vouchers. The file is written once, for its owner only; nobody can read the codes again."""
    from billing import catalog
    from billing.wallet import batches
    from billing.wallet.codes import Hasher
    from cli.commands.billing import _opened
    from core.money import Money

    with _opened() as here, here.reader() as reader:
        money = Money.parse(amount, currency or catalog.operator_currency(reader, "AUD"))
        hasher = Hasher.of(here.settings.home)
        written = False
        try:
            with here.db.write() as conn:
                made = batches.make(
                    conn, hasher, batch, count, money, until.date(), actor=actor, legal_entity=entity
                )
                _write(
                    file, batch, money, str(until.date()), made
                )  # before the commit: no batch without codes
                written = True
        except BaseException:
            if written:
                file.unlink(missing_ok=True)  # codes of nothing
            raise
    answer("billing-vouchers", text=f"{count} vouchers of {money} in {file}", as_json=as_json, batch=batch,
           count=count, amount=money.minor, currency=money.currency, file=str(file))  # fmt: skip


@voucher.command("list")
def voucher_list(as_json: Json = False) -> None:
    """List batches, the newest first."""
    from billing.wallet import batches
    from cli.commands.billing import _opened

    with _opened() as here, here.db.read() as conn:
        found = batches.batches(conn)
    lines = [
        f"{one.name:<24} {one.count:>7} x {one.amount}  {one.redeemed} redeemed, until {one.expires_on}"
        f"{', sold ' + str(one.sold_on) if one.sold_on else ''}{', VOID' if one.is_void else ''}"
        for one in found
    ]
    answer("billing-vouchers", text="\n".join(lines) or "no vouchers yet", as_json=as_json,
           batches=[_plain(one) for one in found])  # fmt: skip


@voucher.command("sell")
def sell(
    batch: Annotated[str, typer.Argument(help="A batch.")],
    paid: Annotated[str, typer.Argument(help="What the reseller paid for all of it.")],
    method: Annotated[str, typer.Option(help="cash, bank, card, …")] = "bank",
    on: On = None,
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Book the sale of a whole batch; what he paid less is his commission."""
    from billing.agenda.trial import trial
    from billing.wallet import batches
    from cli.commands.billing import _day, _opened
    from core.money import Money

    with _opened() as here, here.reader() as reader, trial(here.db, dry) as conn:
        found = batches.get(conn, batch)
        batches.sell(conn, batch, Money.parse(paid, found.currency), method, actor=actor, on=_day(reader, on))
    answer("billing-vouchers", text=f"{batch} sold for {paid}", as_json=as_json, batch=batch, dry=dry)


@voucher.command("void")
def void(
    batch: Annotated[str, typer.Argument(help="A batch.")],
    dry: Dry = False,
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Let no voucher of a batch be redeemed any more; what was redeemed stays."""
    from billing.agenda.trial import trial
    from billing.wallet import batches
    from cli.commands.billing import _opened

    with _opened() as here, trial(here.db, dry) as conn:
        left = batches.void(conn, batch, actor=actor)
    answer("billing-vouchers", text=f"{batch}: {left} vouchers are void", as_json=as_json, batch=batch, voided=left,
           dry=dry)  # fmt: skip


@voucher.command("redeem")
def redeem(
    account: Account,
    code: Annotated[
        str, typer.Option(help="The printed code; default: asked for, or a line of standard input.")
    ] = "",
    actor: Actor = "operator",
    as_json: Json = False,
) -> None:
    """Put a voucher's worth into a wallet; what it pays for is bought and released at once."""
    from billing.wallet import vouchers
    from billing.wallet.codes import Hasher
    from cli.commands.billing import _opened

    said = code or _code()
    with _opened() as here:
        done = vouchers.redeem(here.db, Hasher.of(here.settings.home), account, said, actor=actor)
    topped(done, as_json, dry=False)


def _code() -> str:
    """From a prompt that does not show it, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Code", hide_input=True, err=True))
    found = sys.stdin.readline().strip()
    if not found:
        raise typer.BadParameter(
            "there is none; say it, or send it as a line of standard input", param_hint="--code"
        )
    return found


def _write(file: Path, batch: str, amount: object, until: str, made: list[tuple[str, str]]) -> None:
    """A file that only its owner reads, on the disk when this returns."""
    import csv

    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise typer.BadParameter(f"{file} is there already; name a new file") from error
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["code", "serial", "batch", "amount", "until"])
        writer.writerows([code, serial, batch, str(amount), until] for serial, code in made)
        stream.flush()
        os.fsync(stream.fileno())


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    return dict(msgspec.to_builtins(value))
