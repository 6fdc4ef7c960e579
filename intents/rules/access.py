"""Access: PONs, sectors and VLANs that exist; services on lines that live; pools that fit their use."""

from collections.abc import Iterator
from typing import Any

from intents.checks import Finding, Scope, check
from intents.kind import Field
from intents.reader import Reader
from intents.rules.references import near


@check("lines")
def lines(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A line's PON or sector exists."""
    for identifier, line in scope.touched(reader, "line", ("device",)):
        if line.type == "gpon":
            olt = getattr(reader.get("device", line.olt), "olt", None)
            if olt is not None and line.pon not in olt.pons:
                hint = near(line.pon, list(olt.pons))
                yield Finding(
                    "line.pon", "line", identifier, ("pon",), f"{line.olt} has no PON '{line.pon}'", hint
                )
        elif line.type == "radio":
            ap = getattr(reader.get("device", line.ap), "ap", None)
            if ap is not None and line.sector not in ap.sectors:
                hint = near(line.sector, list(ap.sectors))
                message = f"{line.ap} has no sector '{line.sector}'"
                yield Finding("line.sector", "line", identifier, ("sector",), message, hint)


@check("services on lines")
def services(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A service that lives is on a line that lives, in VLANs that its access has."""
    for identifier, service in scope.touched(reader, "service", ("line",)):
        line = reader.get("line", service.line) if service.line is not None else None
        if line is None or service.state == "ceased":
            continue
        if line.state == "ceased":
            yield Finding("service.line", "service", identifier, ("line",), f"line {service.line} is ceased")
        if service.attach is not None and service.attach.svlan is not None:
            yield from _vlan(reader, identifier, service.attach, line)


def _vlan(reader: Reader, identifier: str, attach: Any, line: Any) -> Iterator[Finding]:
    allowed = _allowed(reader, line)
    if allowed and attach.svlan not in allowed and not _edge_has(reader, line, attach.svlan):
        known = ", ".join(map(str, sorted(allowed)))
        message = f"S-VLAN {attach.svlan} is not on this line's access"
        yield Finding("service.vlan", "service", identifier, ("attach", "svlan"), message, f"it has {known}")
    pon = _pon(reader, line)
    cvlans = pon.cvlans if pon is not None and attach.svlan == pon.svlan else None
    if cvlans is not None and attach.cvlan is not None and not cvlans.covers(attach.cvlan):
        message = f"C-VLAN {attach.cvlan} is not on PON {line.pon}"
        yield Finding(
            "service.vlan", "service", identifier, ("attach", "cvlan"), message, f"it has {cvlans.text}"
        )


def _pon(reader: Reader, line: Any) -> Any:
    olt = getattr(reader.get("device", line.olt), "olt", None) if line.type == "gpon" else None
    return olt.pons.get(line.pon) if olt is not None else None


def _allowed(reader: Reader, line: Any) -> set[int]:
    """S-VLANs that the line's PON, OLT or sector names; empty when it names none."""
    if line.type == "gpon":
        olt, pon = getattr(reader.get("device", line.olt), "olt", None), _pon(reader, line)
        shared = [vlan.svlan for vlan in olt.shared.values()] if olt is not None else []
        own = [pon.svlan] if pon is not None else []
        return {vlan for vlan in (*own, *shared) if vlan is not None} if any(own) else set()
    if line.type == "radio":
        ap = getattr(reader.get("device", line.ap), "ap", None)
        sector = ap.sectors.get(line.sector) if ap is not None else None
        return {sector.svlan} if sector is not None and sector.svlan is not None else set()
    return {line.svlan}


def _edge_has(reader: Reader, line: Any, svlan: int) -> bool:
    """A handover's VLAN is given; on our own access any VLAN that the edge terminates and no PON owns will do."""
    if line.type != "radio":
        return False
    ap = getattr(reader.get("device", line.ap), "ap", None)
    edge = reader.get("edge", ap.edge) if ap is not None else None
    return edge is not None and edge.svlans is not None and edge.svlans.covers(svlan)


@check("vlans of edges")
def edge_vlans(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """S-VLANs of PONs, sectors and handovers are among those that their edge terminates."""
    for identifier, device in scope.touched(reader, "device", ("edge",)):
        for part, places in (("olt", "pons"), ("ap", "sectors")):
            access = getattr(device, part)
            edge = reader.get("edge", access.edge) if access is not None else None
            if edge is None or edge.svlans is None:
                continue
            for name, place in getattr(access, places).items():
                if place.svlan is not None and not edge.svlans.covers(place.svlan):
                    yield _not_on_edge("device", identifier, (part, places, name, "svlan"), access.edge, edge)
    for identifier, link in scope.touched(reader, "link", ("edge",)):
        edge = reader.get("edge", link.edge) if link.edge is not None else None
        if edge is None or edge.svlans is None or link.svlans is None:
            continue
        if not all(edge.svlans.covers(vlan) for vlan in link.svlans.ids()):
            yield _not_on_edge("link", identifier, ("svlans",), link.edge, edge)


def _not_on_edge(kind: str, identifier: str, field: Field, name: str, edge: Any) -> Finding:
    message = f"edge {name} does not terminate this S-VLAN"
    return Finding("edge.vlan", kind, identifier, field, message, f"it terminates {edge.svlans.text}")


_FAMILIES = {"cgnat": "ipv4", "public": "ipv4", "garden": "ipv4", "pd": "pd", "wan6": "wan6"}


@check("pools of edges")
def edge_pools(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A pool is of the family that its use asks for."""
    for identifier, edge in scope.touched(reader, "edge", ("pool",)):
        for use, family in _FAMILIES.items():
            name = getattr(edge.pools, use)
            pool = reader.get("pool", name) if name is not None else None
            if pool is not None and pool.family != family:
                message = f"pool {name} is of family {pool.family}; `{use}` needs {family}"
                yield Finding("edge.pool", "edge", identifier, ("pools", use), message)


@check("realms")
def realms(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """The realm of a login is known, where trunkline.yaml lists realms."""
    config = reader.get("config", "trunkline")
    known = config.aaa.realms if config is not None else {}
    if not known:
        return
    for identifier, service in scope.of(reader, "service"):
        login = service.session.login if service.session else None
        realm = login.rsplit("@", 1)[1] if login and "@" in login else None
        if realm is not None and realm not in known:
            hint = near(realm, list(known))
            message = f"trunkline.yaml has no realm '{realm}'"
            yield Finding(
                "login.realm", "service", identifier, ("session", "login"), message, hint, "warning"
            )


@check("moving in")
def moving(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A NAS that moves in does so from an old server that trunkline.yaml names."""
    config = reader.get("config", "trunkline")
    if config is None or config.aaa.old is not None:
        return
    whole = scope.changed is not None and ("config", "trunkline") in scope.changed
    devices = reader.all("device") if whole else scope.of(reader, "device")
    for identifier, device in devices:
        if device.nas is not None and device.nas.moving != "none":
            message = f"{identifier} moves in from an old RADIUS server, and trunkline.yaml has no `aaa.old`"
            hint = "add aaa.old: {servers: […], secret: …}"
            yield Finding("nas.moving", "device", identifier, ("nas", "moving"), message, hint)
