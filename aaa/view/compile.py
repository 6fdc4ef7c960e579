"""compile_service and compile_nas: intents in, byte records out. Pure: the same documents give the same bytes."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from aaa.limits.limit import FULL, NONE, VOUCHER, VOUCHER_ID, Limits, live_places
from aaa.vendors.policy import Policy, hash_of
from aaa.vendors.registry import reply_block
from aaa.view import cpe
from aaa.view.entitlement import (
    UNRESTRICTED,
    Entitled,
    Restriction,
    at_edge,
    combine,
    entitled,
    pools_of,
    softened,
)
from aaa.view.records import (
    OLD,
    Access,
    Free,
    Nas,
    ViewRecord,
    Wanted,
    circuit_key,
    class_of,
    encode,
    login_key,
    mac_key,
    nas_key,
    radsec_source,
    remote,
    service_key,
    voucher_key,
)
from aaa.view.seal import OpenSecret, Seal
from intents.kinds import path_of
from intents.reader import Reader
from inventory.access import Attachment, attachment, circuit_octets

_COA_PORT, _COA_RATE = 3799, 50
RADSEC_SECRET = b"radsec"
"""RFC 6614 section 2.3: TLS protects; the shared secret is this word."""


class Secrets(msgspec.Struct, frozen=True):
    """How secrets come out of intents and go into the view."""

    open_secret: OpenSecret
    seal: Seal

    def moved(self, text: str, path: str, name: str, place: bytes) -> bytes:
        """A secret of an intent, sealed for the view."""
        clear = self.open_secret(text, path, name)
        return self.seal.close(clear.encode() if isinstance(clear, str) else clear, place)


def compile_service(
    reader: Reader, service_id: str, secrets: Secrets, limits: Limits = NONE
) -> list[ViewRecord]:
    """The records of one service: none unless it is active and has a session. `limits` are the recorded ones: the
    clock is never read. A voucher's id gives the voucher's records.

    Reads service, holds, plan, line, OLT/AP/link, edge, its BNGs and the line's site through `reader` only. Raises
    what `secrets.open_secret` raises.
    """
    if service_id.startswith(VOUCHER_ID):
        return compile_voucher(reader, service_id, limits, hotspots(reader))
    service = reader.get("service", service_id)
    if service is None or service.state != "active" or service.session is None:
        return []
    place, plan = attachment(reader, service), reader.get("plan", service.plan)
    found = entitled(
        service, plan, pools_of(reader, place.edge), restriction_of(reader, service_id, service),
        limits.of(service_id), limits.slot(service.plan, place.zone),
    )  # fmt: skip
    found = at_edge(found, place.edge)
    session = service.session
    access = _access(service_id, found, place.nas, ppp=session.method != "ipoe")
    access = msgspec.structs.replace(
        access, circuits=_bound_circuits(service, place), macs=_bound_macs(service, place),
        ports=(session.port.encode(),) if "port" in session.bind and session.port else (),
    )  # fmt: skip
    door = cpe.door_of(reader, service, place.nas)
    if door and access.status == "full" and found.live_at_door is None and (mac := mac_key(place.cpe_mac)):
        # One record for both sides: who is not full at the AP comes in there by the CPE.
        access = msgspec.structs.replace(access, live=(*access.live, mac[2:]))
    records = [_wanted(service_id, found, session.limit, session.over, _metered(plan), door)]
    for key in _keys(service, place):
        credential = _credential(service_id, service, secrets, key)
        sealed = msgspec.structs.replace(access, credential=credential)
        records.append(ViewRecord(key, f"service:{service_id}", encode(sealed)))
    live = found.live_at_door if door else found.live if found.status == "full" else None
    return sorted([*records, *cpe.of_service(reader, service_id, service, records, live, secrets.moved)])


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
    records = []
    for source in entry.sources:
        key = nas_key(str(source))
        sealed = tuple(secrets.moved(text, path, "nas.secrets", key) for text in entry.secrets)
        records.append(_nas(device_id, entry, key, sealed))
    if entry.radsec is not None:
        key = nas_key(radsec_source(entry.radsec))
        records.append(_nas(device_id, entry, key, (secrets.seal.close(RADSEC_SECRET, key),)))
    return sorted(records)


def _nas(device_id: str, entry: Any, key: bytes, sealed: tuple[bytes, ...]) -> ViewRecord:
    coa, by_tls = entry.coa, key[2:3] == b"@"
    moving: Any = "" if entry.moving == "none" else entry.moving
    record = Nas(
        device=device_id,
        vendor=entry.vendor,
        secrets=sealed,
        # TLS has authenticated every octet already.
        require_ma=entry.message_authenticator == "require" and not by_tls,
        legacy=entry.legacy or by_tls,
        coa_port=coa.port if coa else _COA_PORT,
        coa_rate=coa.rate if coa else _COA_RATE,
        interim=entry.interim,
        moving=moving,
        old=OLD if moving else "",
    )
    return ViewRecord(key, f"device:{device_id}", encode(record))


def _wanted(
    service_id: str,
    found: Entitled,
    limit: int,
    over: Literal["replace", "reject"],
    metered: bool,
    door: str = "",
) -> ViewRecord:
    policy, restriction = found.wanted, found.restriction
    wanted = Wanted(
        hash_of(policy), policy, restriction.holds, limit, over, found.limits, metered, found.released, door
    )
    return ViewRecord(service_key(service_id), f"service:{service_id}", encode(wanted))


def _metered(plan: Any) -> bool:
    return plan is not None and (plan.fair_use is not None or plan.prepaid is not None)


def _access(service_id: str, found: Entitled, nases: Iterable[tuple[str, Any]], ppp: bool) -> Access:
    """What each NAS gets, and beside each block the free one, so that one index finds both."""
    nas: dict[str, int] = {}
    pairs: list[tuple[bytes, bytes]] = []
    for device_id, entry in sorted(nases, key=lambda pair: pair[0]):
        pair = _block(service_id, found.policy, entry), _block(service_id, found.free, entry)
        if pair not in pairs:
            pairs.append(pair)
        nas[device_id] = pairs.index(pair)
    free = None
    if found.free is not None:
        free = Free(hash_of(found.free), tuple(pair[1] for pair in pairs), found.free.given)
    return Access(
        service=service_id, policy_hash=hash_of(found.policy), ppp=ppp, status=found.status, credential=b"",
        circuits=(), macs=(), nas=nas, blocks=tuple(pair[0] for pair in pairs), until=found.until,
        live=found.live, free=free, released=found.released if free is not None else 0,
        pools=found.policy.given if found.policy is not None else (),
    )  # fmt: skip


def _block(service_id: str, policy: Policy | None, entry: Any) -> bytes:
    if policy is None:
        return b""
    timed = msgspec.structs.replace(policy, interim=entry.interim)
    return reply_block(entry.vendor, timed) + class_of(service_id, hash_of(policy))


def compile_voucher(
    reader: Reader, voucher_id: str, limits: Limits, nases: Iterable[tuple[str, Any]]
) -> list[ViewRecord]:
    """The records of a voucher: its NASes are the hotspots, its reply is its plan's. None for one that is gone.

    Before its first use `data.seconds` is how long it will last; afterwards `until` is its end. `data.left` are its
    octets left, as counted when a session ended. `data.over` says that it is too early, used up or cancelled: it is
    still known, so that support reads `held` and not `unknown`.
    """
    limit = limits.one(voucher_id, VOUCHER)
    if limit is None:
        return []
    told, plan = limit.data, reader.get("plan", limit.data["plan"])
    # A row of an older version does not say what is left: all of it, or nobody knows.
    left = told.get("left", 0 if told.get("begun") else told.get("octets", 0))
    rate = plan.rate if plan is not None else None
    spent = bool(told.get("over")) or plan is None
    policy = None if spent else Policy(
        down=int(rate.down) if rate else 0, up=int(rate.up) if rate else 0,
        timeout=0 if told.get("begun") else int(told.get("seconds", 0)),
        octets=int(left),
    )  # fmt: skip
    full = limits.one(voucher_id, FULL)
    found = Entitled(
        policy, "held" if spent else "full" if full is not None else "ok", UNRESTRICTED, until=limit.until,
        live=live_places(full.data) if full is not None else (),
    )  # fmt: skip
    access = _access(voucher_id, found, nases, ppp=False)
    devices, macs = int(told.get("devices", 1)), tuple(mac.encode() for mac in told.get("macs", ()))
    # As soon as as many devices as may be have shown themselves, it is theirs.
    access = msgspec.structs.replace(access, macs=macs if len(macs) >= devices else ())
    key, owner = voucher_key(bytes.fromhex(told["digest"])), f"service:{voucher_id}"
    wanted = _wanted(voucher_id, found, devices, "reject", metered=bool(told.get("octets")))
    return sorted([ViewRecord(key, owner, encode(access)), wanted])


def hotspots(reader: Reader) -> list[tuple[str, Any]]:
    """(device id, its Nas) of every NAS that takes vouchers."""
    found = ((name, reader.get("device", name)) for name in reader.ids("device"))
    return [
        (name, device.nas) for name, device in found
        if device is not None and device.nas is not None and device.nas.hotspot and device.state != "retired"
    ]  # fmt: skip


def _keys(service: Any, place: Attachment) -> list[bytes]:
    session = service.session
    keys = [login_key(session.login)] if session.login else []
    if keys and session.method != "ipoe":
        return keys
    if place.circuit:
        keys.append(circuit_key(place.circuit))
    if session.remote_id:
        keys.append(circuit_key(_remote(session)))
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
    circuit = (place.circuit or b"\x00",) if "circuit" in service.session.bind else ()
    return (*circuit, _remote(service.session)) if "remote" in service.session.bind else circuit


def _remote(session: Any) -> bytes:
    return remote(circuit_octets(session.remote_id))


def _bound_macs(service: Any, place: Attachment) -> tuple[bytes, ...]:
    if "mac" not in service.session.bind:
        return ()
    mac = mac_key(str(service.session.mac or place.cpe_mac))
    return (mac[2:] if mac else b"\x00",)
