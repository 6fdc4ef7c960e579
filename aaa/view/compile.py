"""compile_service and compile_nas: intents in, byte records out. Pure: the same documents give the same bytes."""

from typing import Any

import msgspec

from aaa.vendors.policy import Policy, hash_of
from aaa.vendors.registry import reply_block
from aaa.view.access import Attachment, attachment
from aaa.view.entitlement import Restriction, combine, lacks_address, policy_of, pools_of, softened
from aaa.view.records import (
    Access,
    Nas,
    Status,
    ViewRecord,
    Wanted,
    circuit_key,
    class_of,
    encode,
    login_key,
    mac_key,
    nas_key,
    service_key,
)
from aaa.view.seal import OpenSecret, Seal
from intents.kinds import path_of
from intents.reader import Reader

_COA_PORT, _COA_RATE = 3799, 50


class Secrets(msgspec.Struct, frozen=True):
    """How secrets come out of intents and go into the view."""

    open_secret: OpenSecret
    seal: Seal

    def moved(self, text: str, path: str, name: str, place: bytes) -> bytes:
        """A secret of an intent, sealed for the view."""
        clear = self.open_secret(text, path, name)
        return self.seal.close(clear.encode() if isinstance(clear, str) else clear, place)


def compile_service(reader: Reader, service_id: str, secrets: Secrets) -> list[ViewRecord]:
    """The records of one service: none unless it is active and has a session.

    Reads service, holds, plan, line, OLT/AP/link, edge and its BNGs through `reader` only. Raises what
    `secrets.open_secret` raises.
    """
    service = reader.get("service", service_id)
    if service is None or service.state != "active" or service.session is None:
        return []
    place = attachment(reader, service)
    restriction = restriction_of(reader, service_id, service)
    plan = reader.get("plan", service.plan)
    policy = policy_of(service, plan, pools_of(reader, place.edge), restriction)
    records = [_wanted(service_id, service, policy, restriction)]
    status: Status = "held" if policy is None else "no-address" if lacks_address(service, policy) else "ok"
    nas, blocks = _blocks(service_id, place, policy)
    for key in _keys(service, place):
        access = Access(
            service=service_id,
            policy_hash=hash_of(policy),
            ppp=service.session.method != "ipoe",
            status=status,
            credential=_credential(service_id, service, secrets, key),
            circuits=_bound_circuits(service, place),
            macs=_bound_macs(service, place),
            nas=nas,
            blocks=blocks,
            pools=policy.given if policy is not None else (),
        )
        records.append(ViewRecord(key, f"service:{service_id}", encode(access)))
    return sorted(records)


def restriction_of(reader: Reader, service_id: str, service: Any) -> Restriction:
    """The service's holds as one restriction."""
    names = [hold_id for kind, hold_id in reader.referrers("service", service_id) if kind == "hold"]
    holds = [(name, reader.get("hold", name)) for name in names]
    return softened(combine((name, hold) for name, hold in holds if hold is not None), service.on_hold)


def compile_nas(reader: Reader, device_id: str, secrets: Secrets) -> list[ViewRecord]:
    """The records of one device's NAS part: one for each source address; none for a retired device."""
    device = reader.get("device", device_id)
    if device is None or device.nas is None or device.state == "retired":
        return []
    entry, path = device.nas, path_of("device", device_id)
    coa = entry.coa
    records = []
    for source in entry.sources:
        key = nas_key(str(source))
        record = Nas(
            device=device_id,
            vendor=entry.vendor,
            secrets=tuple(secrets.moved(text, path, "nas.secrets", key) for text in entry.secrets),
            require_ma=entry.message_authenticator == "require",
            legacy=entry.legacy,
            coa_port=coa.port if coa else _COA_PORT,
            coa_rate=coa.rate if coa else _COA_RATE,
            interim=entry.interim,
        )
        records.append(ViewRecord(key, f"device:{device_id}", encode(record)))
    return sorted(records)


def _wanted(service_id: str, service: Any, policy: Policy | None, restriction: Restriction) -> ViewRecord:
    session = service.session
    wanted = Wanted(hash_of(policy), policy, restriction.holds, session.limit, session.over)
    return ViewRecord(service_key(service_id), f"service:{service_id}", encode(wanted))


def _blocks(
    service_id: str, place: Attachment, policy: Policy | None
) -> tuple[dict[str, int], tuple[bytes, ...]]:
    nas: dict[str, int] = {}
    blocks: list[bytes] = []
    for device_id, entry in sorted(place.nas, key=lambda pair: pair[0]):
        block = b""
        if policy is not None:
            timed = msgspec.structs.replace(policy, interim=entry.interim)
            block = reply_block(entry.vendor, timed) + class_of(service_id, hash_of(policy))
        if block not in blocks:
            blocks.append(block)
        nas[device_id] = blocks.index(block)
    return nas, tuple(blocks)


def _keys(service: Any, place: Attachment) -> list[bytes]:
    session = service.session
    keys = [login_key(session.login)] if session.login else []
    if keys and session.method != "ipoe":
        return keys
    if place.circuit:
        keys.append(circuit_key(place.circuit))
    mac = mac_key(str(session.mac)) if session.mac else None
    if mac is None and not keys and place.cpe_mac:
        mac = mac_key(place.cpe_mac)
    if mac:
        keys.append(mac)
    return keys


def _credential(service_id: str, service: Any, secrets: Secrets, key: bytes) -> bytes:
    if not service.session.password:
        return b""
    path = path_of("service", service_id)
    return secrets.moved(service.session.password, path, "session.password", key)


def _bound_circuits(service: Any, place: Attachment) -> tuple[bytes, ...]:
    # Bound to a circuit that nobody can name: nothing may pass, rather than everything.
    return (place.circuit or b"\x00",) if "circuit" in service.session.bind else ()


def _bound_macs(service: Any, place: Attachment) -> tuple[bytes, ...]:
    if "mac" not in service.session.bind:
        return ()
    mac = mac_key(str(service.session.mac or place.cpe_mac))
    return (mac[2:] if mac else b"\x00",)
