"""`trunkline radius limits` and `grant`: what limits a service, and giving it more."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened

if TYPE_CHECKING:
    from intents.reader import Reader

Service = Annotated[str, typer.Argument(help="A service id.")]


def limits(service: Service, as_json: Json = False) -> None:
    """Show what limits a service, what it used of its quotas, and what was granted."""
    from aaa.limits.telling import told
    from cli.here import plain

    with opened() as here:
        with here.db.read() as conn:
            found = told(conn, service)
        if not (found.limits or found.used or found.grants):
            with here.reader() as reader:
                _require_service(reader, service)
    lines = [_limit(one) for one in found.limits]
    lines += [*map(_used, found.used), *map(_granted, found.grants)]
    text = "\n".join(lines) or f"nothing is recorded of {service}"
    answer("radius-limits", text=text, as_json=as_json, service=service, **plain(found))


def _require_service(reader: "Reader", service: str) -> Any:
    intent = reader.get("service", service)
    if intent is None:
        raise typer.BadParameter(f"there is no service {service}", param_hint="SERVICE")
    return intent


def require_quota(reader: "Reader", service: str, kind: str) -> None:
    """The service is there, and its plan has what is granted: else the grant would change nothing."""
    intent = _require_service(reader, service)
    plan = reader.get("plan", intent.plan)
    if plan is None or (plan.prepaid if kind == "prepaid" else plan.fair_use) is None:
        raise typer.BadParameter(
            f"plan {intent.plan} of {service} has no {kind} quota, so that nothing would change; "
            f"'{kind}:' in catalog/plans/{intent.plan}.yaml gives it one",
            param_hint="--kind",
        )


def _limit(one: dict[str, Any]) -> str:
    rate = f" {one['down']}/{one['up']} bit/s" if one["down"] or one["up"] else ""
    return f"{one['cause']}: {one['effect']}{rate}, until {(one['until'] or 'it is lifted')[:16]}, by {one['actor']}"


def _used(one: dict[str, Any]) -> str:
    # A voucher has one period, which begins long before it.
    since = "" if one["kind"] == "voucher" else f" since {one['period_start'][:16]}"
    octets = f"down {one['down_octets']} up {one['up_octets']} octets"
    return f"used of {one['kind']}{since}: {octets}, {one['seconds']} s"


def _granted(one: dict[str, Any]) -> str:
    start, end = one["period_start"][:16], (one["period_end"] or "used up")[:16]
    if one["kind"] == "fair-use":
        return f"granted fair-use {start}: {one['octets']} octets more in that period ({one['reference']})"
    if one["kind"] == "billing":
        return f"billing period from {start} until {end} ({one['reference']})"
    much = f"{one['octets'] or 'any'} octets, {one['seconds'] or 'any'} s"
    return f"granted {one['kind']} from {start}: {much}, until {end} ({one['reference']})"


def grant(
    service: Service,
    actor: Actor,
    data: Annotated[str, typer.Option(help="Octets, say 10G.")] = "",
    hours: Annotated[float, typer.Option(min=0, max=87_600, help="Hours of use.")] = 0,
    days: Annotated[float, typer.Option(min=0, max=3650, help="Good for so many days from now.")] = 0,
    kind: Annotated[str, typer.Option(help="prepaid, or fair-use: more in this period.")] = "prepaid",
    reference: Annotated[
        str, typer.Option(help="What it is for, say a receipt; again is no second grant.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Grant a service quota: prepaid credit, or more fair use; effective within a second."""
    from datetime import timedelta

    from aaa.limits.quota import grant as give
    from core import clock
    from intents.scalars import Volume

    if kind not in ("prepaid", "fair-use"):
        raise typer.BadParameter(f"'{kind}' is neither prepaid nor fair-use", param_hint="--kind")
    try:
        octets = int(Volume.parse(data)) if data else 0
    except ValueError as error:
        raise typer.BadParameter(f"'{data}' is no volume; write 500M or 10G", param_hint="--data") from error
    end = clock.now() + timedelta(days=days) if days else None
    with opened() as here:
        with here.reader() as reader:
            require_quota(reader, service, kind)
        with here.db.write() as conn:
            new = give(
                conn, service, kind="fair-use" if kind == "fair-use" else "prepaid", octets=octets,
                seconds=int(hours * 3600), end=end, reference=reference, actor=actor,
            )  # fmt: skip
    text = f"{service} was granted {kind}" if new else f"{service} had this grant already: {reference}"
    answer("radius-grant", text=text, as_json=as_json, service=service, new=new)
