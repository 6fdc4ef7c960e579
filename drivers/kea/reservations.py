"""Lane 2 on Kea: a subscriber object as the reservation that Kea reads. Pure."""

import ipaddress
import re
from typing import Any

from drivers.contract import ObjectOp

KINDS = frozenset({"reservation"})
_SHAPES = {
    "circuit": re.compile(r"(?:[0-9a-f]{2}){1,127}"),
    "mac": re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"),
}
_CLASS = re.compile(r"[A-Za-z0-9_.-]{1,127}")
_NAMES = {"circuit": "circuit-id", "mac": "hw-address"}


def unusable(op: ObjectOp) -> str:
    """Why an op cannot be a reservation; "" when it can."""
    if len(op.key) != 1 or not op.key.keys() <= _SHAPES.keys():
        return "a reservation is named by circuit or mac"
    [(name, value)] = op.key.items()
    if not isinstance(value, str) or not _SHAPES[name].fullmatch(value):
        return f"'{value}' is no {name} ({'octets in hex' if name == 'circuit' else 'aa:bb:cc:dd:ee:ff'})"
    if unknown := op.attributes.keys() - {"class", "address"}:
        return f"a reservation has no attribute {', '.join(sorted(unknown))}"
    return _unusable_values(op)


def _unusable_values(op: ObjectOp) -> str:
    named, address = op.attributes.get("class", ""), op.attributes.get("address", "")
    if op.op == "put" and not _CLASS.fullmatch(str(named)):
        return f"'{named}' is no name of a client class"
    try:
        ipaddress.IPv4Address(address or "0.0.0.0")
    except ValueError:
        return f"'{address}' is no IPv4 address"
    return ""


def operation(op: ObjectOp) -> dict[str, Any]:
    """The op as the device takes it: {"op": …, "reservation": …}; a usable op only."""
    [(name, value)] = op.key.items()
    # Kea: octets in hex are written without quotes of their own; a text in quotes would be taken literally.
    reservation: dict[str, Any] = {_NAMES[name]: value}
    if op.op == "put":
        reservation["client-classes"] = [op.attributes["class"]]
    if op.attributes.get("address"):
        reservation["ip-address"] = op.attributes["address"]
    return {"op": op.op, "reservation": reservation}
