"""What a change would do to subscriber objects on devices (lane 2): ONUs, service ports, reservations."""

from collections.abc import Iterator
from typing import Any

import msgspec

from core.preview import Comparison, Section, cut
from inventory.subscribers import devices_of_line, lines_of_change, services_on
from renderers.contract import WantedObject
from renderers.registry import has_objects, objects_of

LISTED = 40
"""Objects that a preview names before it counts the rest."""


class ObjectMove(msgspec.Struct, frozen=True, order=True):
    """An object of a line that comes, goes or changes on a device; `op`: put | delete."""

    device: str
    line: str
    op: str
    what: str


def object_section(comparison: Comparison) -> Iterator[Section]:
    """One section, or none when no object moves."""
    found = moves(comparison)
    if not found:
        return
    devices: dict[str, list[ObjectMove]] = {}
    for move in found:
        devices.setdefault(move.device, []).append(move)
    table = ["| device | lines | put | delete |", "|---|---|---|---|"]
    table += [_row(device, rows) for device, rows in sorted(devices.items())]
    listed = cut([f"{m.op} {m.device} {m.line}: {m.what}" for m in found], LISTED)
    body = ["<details><summary>objects</summary>", "", "```text", *listed, "```", "</details>"]
    yield Section(
        title="Subscriber objects",
        order=20,
        markdown="\n".join([*table, "", *body]),
        data={"objects": [msgspec.to_builtins(move) for move in found]},
    )


def moves(comparison: Comparison) -> list[ObjectMove]:
    """Every object that differs, of the lines that the change touches."""
    found: list[ObjectMove] = []
    for line in sorted(_lines(comparison)):
        before, after = (_wanted(reader, line) for reader in (comparison.base, comparison.head))
        gone = before.keys() - after.keys()
        found += [ObjectMove(key[0], line, "delete", key[1]) for key in gone]
        found += [
            ObjectMove(key[0], line, "put", f"{key[1]} {_attributes(wanted)}".strip())
            for key, wanted in after.items()
            if key not in before or before[key].attributes != wanted.attributes
        ]
    return sorted(found)


def _lines(comparison: Comparison) -> set[str]:
    return {
        line
        for kind, identifier in comparison.changed
        for reader in (comparison.base, comparison.head)
        for line in lines_of_change(reader, kind, identifier)
    }


def _wanted(reader: Any, line: str) -> dict[tuple[str, str], WantedObject]:
    value = reader.get("line", line)
    found: dict[tuple[str, str], WantedObject] = {}
    for device_id in devices_of_line(reader, value) if value is not None else ():
        device = reader.get("device", device_id)
        if device is None or device.manage == "observe" or not has_objects(device.platform):
            continue
        for one in objects_of(device.platform, line, value, services_on(reader, line)):
            found[device_id, f"{one.kind} {' '.join(map(str, one.key.values()))}"] = one
    return found


def _attributes(wanted: WantedObject) -> str:
    return " ".join(f"{name}={value}" for name, value in wanted.attributes.items() if value != "")


def _row(device: str, rows: list[ObjectMove]) -> str:
    put = sum(row.op == "put" for row in rows)
    return f"| {device} | {len({row.line for row in rows})} | {put} | {len(rows) - put} |"
