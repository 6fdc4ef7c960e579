"""Lane 2 on the virtual OLT: which commands make an ObjectOp true, and how its truth is read back. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.contract import ObjectOp

KINDS = frozenset({"onu", "service-port"})
_ONU = {"serial": "", "model": "", "mode": "bridge"}
_PORT = {"svlan": 0, "cvlan": 0, "down": 0, "up": 0, "state": "up"}


def query(op: ObjectOp) -> str:
    """The command that shows the object."""
    if op.kind == "onu":
        return f"show onu {op.key['pon']} {op.key['onu']}"
    return f"show service-port {op.key['pon']} {op.key['onu']} {op.key['port']}"


def wanted(op: ObjectOp) -> dict[str, Any]:
    """The object's whole wanted state, with what was left out at its default."""
    return (_ONU if op.kind == "onu" else _PORT) | op.attributes


def groups(ops: Sequence[ObjectOp]) -> list[list[ObjectOp]]:
    """The ops in their order, cut where one names an object that an earlier one of its group names."""
    found: list[list[ObjectOp]] = []
    seen: set[str] = set()
    for op in ops:
        if not found or query(op) in seen:
            found.append([])
            seen = set()
        found[-1].append(op)
        seen.add(query(op))
    return found


def unusable(op: ObjectOp) -> str:
    """Why an op cannot be put into commands; "" when it can. Guards the command line against odd values."""
    keys = ("pon", "onu") if op.kind == "onu" else ("pon", "onu", "port")
    if tuple(sorted(op.key)) != tuple(sorted(keys)):
        return f"object {op.kind} is named by {', '.join(keys)}"
    if unknown := op.attributes.keys() - _known(op):
        return f"object {op.kind} has no attribute {', '.join(sorted(unknown))}"
    odd = [
        str(value) for value in (*op.key.values(), *op.attributes.values()) if re.search(r"\s", str(value))
    ]
    return f"'{odd[0]}' is not one word" if odd else ""


def _known(op: ObjectOp) -> set[str]:
    return set(_ONU if op.kind == "onu" else _PORT)


def is_so(op: ObjectOp, present: Mapping[str, Any] | None) -> bool:
    """Whether the device already is as the op wants."""
    if op.op == "delete" or present is None:
        return op.op == "delete" and present is None
    return all(present[name] == value for name, value in wanted(op).items())


def commands(op: ObjectOp, present: Mapping[str, Any] | None) -> list[str]:
    """What to send; [] when nothing is to be done. A changed ONU keeps its service ports."""
    if is_so(op, present):
        return []
    if op.kind == "onu":
        return _onu_commands(op, present)
    return _port_commands(op, present)


def _onu_commands(op: ObjectOp, present: Mapping[str, Any] | None) -> list[str]:
    place = f"{op.key['pon']} {op.key['onu']}"
    if op.op == "delete":
        return [f"onu delete {place}"]
    return [f"onu {'set' if present else 'add'} {place} {_pairs(wanted(op))}"]


def _port_commands(op: ObjectOp, present: Mapping[str, Any] | None) -> list[str]:
    fields = wanted(op)
    if op.op == "put" and present and _same_but_state(fields, present):
        return [f"service-port state {present['index']} {fields['state']}"]
    removal = [f"service-port delete {present['index']}"] if present else []
    if op.op == "delete":
        return removal
    place = " ".join(f"{name} {op.key[name]}" for name in ("pon", "onu", "port"))
    return [*removal, f"service-port add auto {place} {_pairs(fields)}"]


def _same_but_state(fields: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    return all(present[name] == value for name, value in fields.items() if name != "state")


def _pairs(fields: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {value}" for name, value in fields.items() if value not in ("", 0))
