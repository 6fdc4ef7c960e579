"""Vendor tables read from this folder, and the replies that they compile."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import yaml

from aaa.errors import VendorNotKnown, VendorTableNotUsable
from aaa.vendors.attributes import MOST, Attribute, decode, encode
from aaa.vendors.policy import GARDEN_NAME, Policy

_FOLDER = Path(__file__).parent
# The order of a reply: address first, as some NASes stop reading at an unknown attribute.
_ASPECTS = (
    "vrf", "address4", "pool4", "wan6", "address6", "pool6", "pd", "pdpool", "rate", "garden", "portal", "octets",
    "timeout", "interim",
)  # fmt: skip


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attribute of an aspect: a name of the dictionary and a template of its value. `when` names a word that
    must say something (`down`, `old_down`, `in_garden`, …); without it the line is left out.
    """

    name: str
    value: str
    tag: int = 0
    when: str = ""


class Coa(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a live session takes: aspects that a CoA can change, and whether it can be disconnected by RADIUS.

    `closes`: what the garden, put on by CoA, makes harmless by itself. Its filter looks at every packet, IPv6 and
    established flows too, so another address may wait for the next login. An address list does not: those stay open.
    """

    change: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    disconnect: bool = False
    port: int = 3799


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vendor's table. `reply` and `change` map an aspect to its attributes; `change` is for CoA alone."""

    vendor: str
    source: str
    number: int = 0
    attributes: dict[str, Attribute] = {}
    reply: dict[str, tuple[Line, ...]] = {}
    change: dict[str, tuple[Line, ...]] = {}
    coa: Coa = Coa()


@cache
def names() -> list[str]:
    """Every vendor that has a table."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml") if path.stem != "common")


@cache
def vendor(name: str) -> Vendor:
    """A vendor's table over the common one. Raises VendorNotKnown, VendorTableNotUsable."""
    if name not in names():
        raise VendorNotKnown(name, names())
    own, common = _read(name), _read("common")
    return msgspec.structs.replace(
        own, attributes=common.attributes | own.attributes, reply=common.reply | own.reply
    )


def _read(name: str) -> Vendor:
    path = _FOLDER / f"{name}.yaml"
    try:
        table = msgspec.convert(yaml.safe_load(path.read_text()), Vendor)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise VendorTableNotUsable(str(path), str(error)) from error
    named = {
        key: msgspec.structs.replace(value, name=key, number=value.number or table.number)
        for key, value in table.attributes.items()
    }
    return msgspec.structs.replace(table, attributes=named)


@cache
def narrow(name: str) -> bool:
    """Whether a vendor is told a speed in bits by an attribute of 32 bits. Raises VendorNotKnown."""
    table = vendor(name)
    told = [line for line in table.reply.get("rate", ()) if line.value in ("{down}", "{up}")]
    return any(table.attributes[line.name].type == "integer" for line in told)


def reply_block(name: str, policy: Policy) -> bytes:
    """The attributes of an Access-Accept for this policy on this vendor, on the wire."""
    table = vendor(name)
    wanted = [aspect for aspect in _ASPECTS if _has(policy, aspect)]
    if policy.slaac and "slaac" in table.reply:  # a word of its own for the pool of advertised prefixes
        wanted = ["slaac" if aspect == "pool6" else aspect for aspect in wanted]
    return b"".join(_lines(table, table.reply, wanted, policy, policy))


def change_block(name: str, old: Policy, new: Policy, aspects: set[str]) -> bytes:
    """The attributes of a CoA-Request that changes these aspects of a live session; none for an aspect that the
    vendor has no word for in this direction (the end of a speed limit, say).
    """
    table = vendor(name)
    return b"".join(_lines(table, table.reply | table.change, sorted(aspects), old, new))


def _lines(
    table: Vendor, rows: dict[str, tuple[Line, ...]], aspects: list[str], old: Policy, new: Policy
) -> Iterator[bytes]:
    words = _words(new) | {f"old_{key}": value for key, value in _words(old).items()}
    for aspect in aspects:
        for line in rows.get(aspect, ()):
            if not line.when or words[line.when]:
                yield encode(table.attributes[line.name], line.value.format(**words), line.tag)


def _has(policy: Policy, aspect: str) -> bool:
    if aspect == "rate":
        return bool(policy.down or policy.up)
    return bool(getattr(policy, aspect))


def _words(policy: Policy) -> dict[str, object]:
    fields = msgspec.structs.asdict(policy)
    kilo = {f"{key}_k": -(-fields[key] // 1000) for key in ("down", "up")}
    number = policy.vrf if policy.vrf.isdecimal() else ""
    return (
        fields
        | kilo
        | {"octets_low": policy.octets & MOST, "gigawords": policy.octets >> 32}
        | {"garden": GARDEN_NAME, "in_garden": policy.garden, "outside": not policy.garden}
        | {"vrf_number": number}
    )


@cache
def _dictionary() -> dict[tuple[int, int], Attribute]:
    found: dict[tuple[int, int], Attribute] = {}
    for name in ["common", *names()]:
        for attribute in _read(name).attributes.values():
            found.setdefault((0 if attribute.plain else attribute.number, attribute.code), attribute)
    return found


def text_of(block: bytes) -> list[str]:
    """`Name = value` for every attribute of a well-formed block; for previews, `explain` and golden tests."""
    told, at = [], 0
    while at + 2 <= len(block):
        number, kind, value = 0, block[at], block[at + 2 : at + block[at + 1]]
        at += block[at + 1]
        if kind == 26:
            number, kind, value = int.from_bytes(value[:4]), value[4], value[6:]
        attribute = _dictionary().get((number, kind))
        told.append(
            f"{attribute.name} = {decode(attribute, value)}"
            if attribute
            else f"{number or 'Attribute'}:{kind} = 0x{value.hex()}"
        )
    return told
