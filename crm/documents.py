"""The line and service files of an order. Pure but for the seal's nonce; checked by the strict loader."""

import secrets
from typing import Any

import msgspec
import yaml

from core.crypto import DataKey, seal
from core.problems import Problem
from crm.access import Access, Existing, Gpon, Handoff, Radio
from crm.errors import DataKeyNeeded, NotOrderable
from crm.orders import Order
from crm.resources import Place, Reserved
from intents.dump import to_yaml
from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import Reader

_PORTS = {"internet": "eth1", "voice": "pots1", "iptv": "eth2"}


def line_file(order: Order, reserved: Reserved, line: str) -> bytes | None:
    """The line's file; None where the line is there already. Raises NotOrderable."""
    return None if isinstance(order.access, Existing) else line_of(order.access, reserved, line)


def line_of(access: Access, reserved: Reserved, line: str) -> bytes:
    """The file of a new line. Raises NotOrderable."""
    match access:
        case Existing():
            raise NotOrderable(f"line {line}", "it is there already")
        case Gpon():
            fields: dict[str, Any] = {
                "type": "gpon", "olt": access.olt, "pon": access.pon, "onu": reserved.onu,
                "serial": access.serial, "model": access.model, "mode": access.mode,
            }  # fmt: skip
        case Radio():
            cpe = {"mac": access.mac, "platform": access.platform}
            fields = {"type": "radio", "ap": access.ap, "sector": access.sector, "cpe": _given(cpe)}
        case Handoff():
            fields = {"type": "handoff", **msgspec.to_builtins(access)}
    return _checked("line", line, {**_given(fields), "state": "active"})


def service_file(
    reader: Reader,
    key: DataKey | None,
    order: Order,
    place: Place,
    reserved: Reserved,
    line: str,
    service: str,
) -> bytes:
    """The service's file, its login generated and its password sealed. Raises DataKeyNeeded, NotOrderable."""
    kind = reader.get("plan", order.plan).type
    fields = {
        "customer": order.customer_id, "type": kind, "state": "active", "plan": order.plan, "line": line,
        "attach": _attach(place, reserved, kind),
        "session": _session(reader, key, order, place, service) if kind == "internet" else None,
        "ipv4": _given({"mode": order.options.ipv4, "address": reserved.address}) if kind == "internet" else None,
        "ipv6": {"wan": "slaac", "pd": reserved.prefix} if reserved.prefix else None,
        "sip": _sip(key, order, service) if kind == "voice" else None,
        "on-hold": "emergency-only" if kind == "voice" and order.options.on_hold == "auto" else order.options.on_hold,
    }  # fmt: skip
    return _checked("service", service, _given(fields))


def _attach(place: Place, reserved: Reserved, kind: str) -> dict[str, Any] | None:
    fields: dict[str, Any] = {"svlan": place.svlan, "cvlan": reserved.cvlan}
    if place.split:
        fields = {"port": _PORTS[kind], **fields}
    return _given(fields) or None


def _session(
    reader: Reader, key: DataKey | None, order: Order, place: Place, service: str
) -> dict[str, Any] | None:
    bind = ["circuit"] if place.circuit else []
    if order.options.method == "ipoe":
        access = place.access
        identity = {"mac": access.mac} if isinstance(access, Radio) and access.mac else {}
        if not bind and not identity:
            raise NotOrderable("an ipoe service", "neither a circuit nor a MAC tells who it is; choose pppoe")
        return {"method": "ipoe", "bind": bind or ["mac"], **identity}
    login = service.lower().replace("-", "") + _realm(reader)
    password = _sealed(key, service, "session.password")
    return {"method": order.options.method, "login": login, "password": password, "bind": bind}


def _sip(key: DataKey | None, order: Order, service: str) -> dict[str, Any]:
    login = service.lower().replace("-", "")
    number = _sealed(key, service, "sip.number", order.options.number)
    return {"number": number, "login": login, "password": _sealed(key, service, "sip.password")}


def _sealed(key: DataKey | None, service: str, name: str, plain: str = "") -> str:
    if key is None:
        raise DataKeyNeeded
    return seal(key, plain or secrets.token_urlsafe(15), path_of("service", service), name)


def _realm(reader: Reader) -> str:
    """`@realm` of the first realm that we answer ourselves."""
    config = reader.get("config", "trunkline")
    realms = config.aaa.realms if config is not None else {}
    return next((f"@{name}" for name, realm in realms.items() if not realm.proxy), "")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _checked(kind: str, identifier: str, fields: dict[str, Any]) -> bytes:
    """The canonical file, after the strict loader has read it. Raises NotOrderable with its first complaint."""
    found = load(path_of(kind, identifier), yaml.safe_dump(fields).encode())
    if isinstance(found, Document):
        return to_yaml(kind, found.value)
    complaint: Problem = found[0]
    raise NotOrderable(f"{kind} {identifier}", f"{complaint.message} {complaint.hint}".strip())
