"""`trunkline radius voucher`: make, list and cancel vouchers for hotspots."""

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor, Json, counted, opened

if TYPE_CHECKING:
    from aaa.limits.vouchers import Made
    from intents.reader import Reader

app = typer.Typer(no_args_is_help=True, help="Make, list and cancel vouchers for hotspots.")


@app.command()
def create(
    actor: Actor,
    plan: Annotated[str, typer.Option(help="The plan whose speed they get.")],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 1,
    hours: Annotated[
        float, typer.Option(min=0, max=87_600, help="Good for so long after the first login.")
    ] = 0,
    data: Annotated[str, typer.Option(help="Good for so much both ways, say 2G.")] = "",
    devices: Annotated[int, typer.Option(min=1, max=20, help="Devices that may use one.")] = 1,
    start: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day.")] = None,
    batch: Annotated[str, typer.Option(help="Their common name; default: the moment.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Answer as CSV, to print.")] = False,
    as_json: Json = False,
) -> None:
    """Make vouchers and print their codes: here and now, for they are kept as a hash only."""
    from datetime import timedelta

    from aaa.limits import vouchers
    from aaa.limits.codes import Codes
    from core import clock

    with opened() as here:
        with here.reader() as reader:
            zone = _checked(reader, plan)
        terms = vouchers.Terms(
            plan, int(hours * 3600), _octets(data), devices,
            start.replace(tzinfo=zone) if start else None,
            (last + timedelta(days=1)).replace(tzinfo=zone) if last else None,
        )  # fmt: skip
        name = batch or f"{clock.now():%Y%m%d-%H%M%S}"
        with here.db.write() as conn:
            made = vouchers.create(conn, Codes.of(here.settings.home), terms, count, name, actor)
    if as_csv:
        typer.echo(_csv(made, name, plan), nl=False)
        return
    rows = [{"voucher": one.voucher, "code": one.code} for one in made]
    text = "\n".join([*(one.code for one in made), f"{counted(count, 'voucher')}, batch {name}"])
    answer("radius-vouchers", text=text, as_json=as_json, batch=name, plan=plan, vouchers=rows)


def _checked(reader: "Reader", plan: str) -> Any:
    """The operator's time zone. Raises BadParameter for a plan without a speed."""
    from zoneinfo import ZoneInfo

    value, config = reader.get("plan", plan), reader.get("config", "trunkline")
    if value is None or value.rate is None:
        known = ", ".join(name for name, one in reader.all("plan") if one.rate) or "none"
        raise typer.BadParameter(
            f"there is no plan '{plan}' with a rate; there are {known}", param_hint="--plan"
        )
    return ZoneInfo(str(config.operator.timezone) if config is not None else "UTC")


def _octets(data: str) -> int:
    from intents.scalars import Volume

    try:
        return int(Volume.parse(data)) if data else 0
    except ValueError as error:
        raise typer.BadParameter(f"'{data}' is no volume; write 500M or 2G", param_hint="--data") from error


def _csv(made: "list[Made]", batch: str, plan: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["code", "voucher", "batch", "plan"])
    writer.writerows([one.code, one.voucher, batch, plan] for one in made)
    return text.getvalue()


@app.command("list")
def show(
    batch: Annotated[str, typer.Option(help="Of this batch.")] = "",
    state: Annotated[str, typer.Option(help="early, fresh, active, used or cancelled.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 1000,
    as_json: Json = False,
) -> None:
    """List vouchers, the newest first; codes are not kept, so they are not shown."""
    from aaa.limits import vouchers

    with opened() as here, here.db.read() as conn:
        found = vouchers.listed(conn, batch, state, limit)
    rows = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in one.items()}
        for one in found
    ]
    lines = [
        f"{one['voucher']}  {one['state']:<9} {one['plan']:<16} {one['batch']:<18} "
        f"{'first used ' + one['first_use'][:16] if one['first_use'] else ''}"
        for one in rows
    ]
    answer("radius-vouchers", text="\n".join(lines) or "no vouchers", as_json=as_json, vouchers=rows)


@app.command()
def cancel(
    name: Annotated[str, typer.Argument(help="A voucher's id or code, or a batch.")],
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Cancel a voucher, or every one of a batch that is not over; who is logged in is put out."""
    from aaa.limits import vouchers
    from aaa.limits.codes import Codes

    with opened() as here, here.db.write() as conn:
        found = vouchers.find(conn, Codes.of(here.settings.home), name)
        ended = vouchers.cancel(conn, found, actor)
    answer("radius-vouchers", text=f"{counted(ended, 'voucher')} cancelled", as_json=as_json, cancelled=ended)
