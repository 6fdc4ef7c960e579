"""What a change would do to devices: whose rendering changes and by which lines, how it could be taken back, and
which subscriber objects it moves. Every secret is masked; the data key is never needed.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from core.errors import TrunklineError
from core.preview import LIST_LIMIT, Comparison, Identity, Section, named, preview
from core.problems import Problem
from drivers import registry
from drivers.contract import Capabilities
from intents.kinds import KINDS, path_of
from intents.reader import Reader, Recorded
from inventory.errors import DeviceMissing
from inventory.resolve import resolve_device
from reconciler.context import Read, reads_of, touched_by
from reconciler.difference import Difference, counted, difference, shown, text_of
from reconciler.object_preview import object_section
from reconciler.secrets import ComparedSecrets, MaskedSecrets
from reconciler.topology import is_managed
from renderers.contract import Secrets
from renderers.registry import renderer_for

DIFF_LINES = 80
"""Lines of one device's difference that a preview shows."""
DIFFS = 25
"""Devices whose difference is shown; the others are counted."""
_REVERTS = {
    "hard": "hard: the device takes it back by itself",
    "soft": "soft: we take it back",
    "none": "none: only another push",
}


class DeviceChange(msgspec.Struct, frozen=True, kw_only=True):
    """A device whose rendering changes. `fate`: changed | added | removed | broken (why it cannot be rendered)."""

    device: str
    fate: str
    manage: str = ""
    revert: str = ""
    difference: Difference = Difference()
    why: str = ""


@preview("reconciler")
def sections(comparison: Comparison) -> Iterator[Section]:
    """Devices and their differences, then subscriber objects."""
    changes = device_changes(comparison)
    if changes:
        yield _section(changes)
    yield from object_section(comparison)


def device_changes(comparison: Comparison) -> list[DeviceChange]:
    """Every device whose rendering differs, by id; only devices that read something of the change are rendered."""
    touched = touched_reads(comparison)
    devices = sorted({*comparison.base.ids("device"), *comparison.head.ids("device")})
    found = (_change(comparison, device, touched) for device in devices)
    return [change for change in found if change is not None]


def touched_reads(comparison: Comparison) -> set[Read]:
    """Every read whose answer the change can alter."""
    touched: set[Read] = set()
    for kind, identifier in comparison.changed:
        touched |= touched_by(kind, identifier, _named(comparison, kind, identifier))
    return touched


def _named(comparison: Comparison, kind: str, identifier: str) -> Iterator[Identity]:
    for reader in (comparison.base, comparison.head):
        value = reader.get(kind, identifier)
        for reference in KINDS[kind].references(identifier, value) if value is not None else ():
            yield reference.kind, reference.id


def _change(comparison: Comparison, device: str, touched: set[Read]) -> DeviceChange | None:
    old, new = comparison.base.get("device", device), comparison.head.get("device", device)
    if old is not None and new is not None and not _reads(comparison.base, device) & touched:
        return None
    if not is_managed(old) and not is_managed(new):
        return None
    if not is_managed(new):
        return DeviceChange(device=device, fate="removed", manage=old.manage, revert=_revert(old.platform))
    masked = ComparedSecrets()
    before, _ = _rendered(comparison.base, device, masked) if is_managed(old) else ("", "")
    after, why = _rendered(comparison.head, device, masked.after())
    about = {"device": device, "manage": new.manage, "revert": _revert(new.platform)}
    if why:
        known = is_managed(old) and bool(_rendered(comparison.base, device, MaskedSecrets())[1])
        return DeviceChange(fate="was broken" if known else "broken", why=why, **about)
    found = difference(before, after)
    if not found:
        return None
    return DeviceChange(fate="changed" if is_managed(old) else "added", difference=found, **about)


def _reads(reader: Reader, device: str) -> frozenset[Read]:
    recorded = Recorded(reader)
    try:
        resolve_device(recorded, device)
    except DeviceMissing:
        return frozenset()
    return reads_of(recorded)


def _rendered(reader: Reader, device: str, secrets: Secrets) -> tuple[str, str]:
    """(configuration, why not)."""
    try:
        model = resolve_device(reader, device)
        return text_of(renderer_for(model.device.platform).render(model, secrets)), ""
    except TrunklineError as error:
        return "", str(error)


def _revert(platform: str) -> str:
    try:
        declared: Capabilities = registry.capabilities(platform)
    except TrunklineError:
        return "unknown"
    return declared.revert


def _section(changes: list[DeviceChange]) -> Section:
    reverts = Counter(change.revert for change in changes if change.manage != "observe")
    lines = [_summary(changes), "", "| device | change | lines | revert | |", "|---|---|---|---|---|"]
    lines += [_row(change) for change in changes[: 10 * LIST_LIMIT]]
    if len(changes) > 10 * LIST_LIMIT:
        lines.append(f"| … {len(changes) - 10 * LIST_LIMIT} more | | | | |")
    shown_in_full = [change for change in changes if change.difference][:DIFFS]
    for change in shown_in_full:
        lines += ["", *shown(change.device, change.difference, DIFF_LINES)]
    left = sum(bool(change.difference) for change in changes) - len(shown_in_full)
    if left:
        lines += ["", f"The differences of {left} more devices are left out here; `--json` has all of them."]
    return Section(
        title="Devices",
        order=10,
        markdown="\n".join(lines),
        data={"devices": [_plain(change) for change in changes], "reverts": dict(reverts)},
        problems=tuple(_problem(change) for change in changes if change.why),
    )


def _summary(changes: list[DeviceChange]) -> str:
    reverts = Counter(change.revert for change in changes if change.manage != "observe")
    told = [
        f"{count} with a {name} revert" if name != "none" else f"{count} with **no revert**"
        for name, count in sorted(reverts.items())
    ]
    observed = [change.device for change in changes if change.manage == "observe"]
    told += [f"{len(observed)} only observed: nothing is written to {named(observed, 5)}"] if observed else []
    return f"{counted(len(changes), 'device')} would change: {'; '.join(told)}."


def _row(change: DeviceChange) -> str:
    note = f"⚠ {change.why}" if change.why else "only observed" if change.manage == "observe" else ""
    if change.fate == "removed":
        note = "left as it is: a removed file never wipes its device"
    numbers = f"+{change.difference.added} −{change.difference.removed}" if change.difference else ""
    revert = _REVERTS.get(change.revert, change.revert)
    return f"| {change.device} | {change.fate} | {numbers} | {revert} | {_cell(note)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _problem(change: DeviceChange) -> Problem:
    severity: Any = "warning" if change.fate == "was broken" else "error"
    path = path_of("device", change.device)
    return Problem("render.failed", change.why, path, severity=severity)


def _plain(change: DeviceChange) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(change)
    plain["difference"] = change.difference.text
    return plain | {"added": change.difference.added, "removed": change.difference.removed}
