"""Say how everything stands: devices, what waits for a person, the index, RADIUS workers, sessions."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.answer import answer
from cli.here import Json, counted, opened, plain

if TYPE_CHECKING:
    from reconciler.overview import DeviceStatus, Status

_LISTED = 50


def command(as_json: Json = False) -> None:
    """Say how everything stands, and why what waits does so."""
    from reconciler.overview import status

    with opened() as here:
        found = status(here.context, here.repo.head())
    told: dict[str, Any] = plain(found)
    answer("status", text="\n".join(_told(found)), as_json=as_json, settled=found.is_settled, **told)


def _told(found: "Status") -> list[str]:
    at = f"at {found.indexed[:12]}" if found.indexed else "empty"
    behind = "" if found.indexed == found.trunk else f", trunk is at {found.trunk[:12]}"
    stopped = f": {found.index_why}" if found.index_why else ""
    lines = [f"index: {found.index_status}{stopped}, {at}{behind}, sequence {found.sequence}"]
    lines += _workers(found)
    lines.append(
        f"sessions: {counted(found.unsettled, 'service')} to look at, {found.stale} on an old policy"
    )
    lines += _devices(found)
    lines += [f"parked: {one['id']} by {one['actor'] or '?'}: {one['guard']} {one['count']} (limit {one['limit']}); "
              f"`trunkline release {one['id'][:40]} --expect {one['count']}`" for one in found.parked]  # fmt: skip
    lines += _cut([_quarantined(one) for one in found.quarantined], "quarantined paths")
    return lines


def _workers(found: "Status") -> list[str]:
    lines = [
        f"radius: {one['worker']} at {one['seq']}, {one['behind']} behind, heard {one['seconds']} s ago"
        for one in found.workers
    ]
    return lines or ["radius: no worker was ever heard"]


def _devices(found: "Status") -> list[str]:
    groups: dict[str, list[DeviceStatus]] = {}
    for one in found.devices:
        groups.setdefault(_word(one), []).append(one)
    lines = [
        f"devices: {', '.join(f'{len(ones)} {word}' for word, ones in sorted(groups.items())) or 'none'}"
    ]
    waiting = [one for word, ones in sorted(groups.items()) for one in ones if word not in _CALM or one.drift]
    return lines + _cut([_device(one) for one in waiting], "devices")


_CALM = ("verified", "observed", "planned", "retired", "never applied")


def _word(one: "DeviceStatus") -> str:
    if one.manage in ("planned", "retired"):
        return one.manage
    if one.paused_until is not None:
        return "paused"
    return "waits" if one.state == "paused" else one.state or "never applied"


def _device(one: "DeviceStatus") -> str:
    parts = [one.why] if one.why else []
    if one.paused_until is not None:
        parts.append(f"paused by {one.paused_by} until {_time(one.paused_until)}")
    parts += [f"drift: {one.drift}"] if one.drift else []
    parts += [f"{counted(one.subscriber_work, 'line')} to do"] if one.subscriber_work else []
    return f"  {one.device:<20} {_word(one):<22} {'; '.join(parts)}".rstrip()


def _quarantined(one: dict[str, Any]) -> str:
    problem = one["problems"][0] if one["problems"] else {}
    return f"quarantined: {one['path']} ({one['commit'][:12]}): {problem.get('message', one['why'])}"


def _cut(lines: list[str], what: str) -> list[str]:
    more = len(lines) - _LISTED
    return lines if more <= 0 else [*lines[:_LISTED], f"… {more} more {what}; --json has all"]


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")
