"""What only one document may have: serials, ONU ids, logins, circuits, NAS sources, ports and VLANs, ids."""

from collections.abc import Iterator
from typing import NamedTuple

from intents import kinds
from intents.checks import Finding, Scope, check
from intents.kind import Claim
from intents.reader import Claimed, Reader


class Rule(NamedTuple):
    """The code, and a sentence that begins with what there is twice."""

    code: str
    what: str


RULES = {
    "serial": Rule("serial.twice", "this ONU serial number"),
    "onu": Rule("onu.twice", "this ONU id on the PON"),
    "cpe": Rule("cpe.twice", "this CPE"),
    "login": Rule("login.twice", "this login"),
    "sip": Rule("sip.twice", "this SIP login"),
    "circuit-id": Rule("circuit-id.twice", "this circuit-id"),
    "remote-id": Rule("remote-id.twice", "this remote-id"),
    "mac": Rule("mac.twice", "this MAC address"),
    "nas": Rule("nas.twice", "this NAS source address"),
    "management": Rule("management.twice", "this management address and port"),
    "attach": Rule("attach.twice", "this port and VLAN of the line"),
    "handoff": Rule("vlan.twice", "this VLAN of the link"),
    "port": Rule("vlan.twice", "this port and VLAN"),
}


@check("unique")
def unique(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """Claims of which two overlap."""
    for kind in kinds.KINDS:
        for identifier, value in scope.of(reader, kind):
            for claim in kinds.claims(kind, identifier, value):
                rule = RULES.get(claim.scope.split(":", 1)[0])
                if rule is not None:
                    yield from _collisions(reader, scope, Claimed(kind, identifier, claim.field), claim, rule)


def _collisions(reader: Reader, scope: Scope, own: Claimed, claim: Claim, rule: Rule) -> Iterator[Finding]:
    for other in others(reader, scope, own, claim):
        code, what = rule
        if (
            claim.scope.startswith("port:")
            and "link" in (own.kind, other.kind)
            and _whole(reader, own, other)
        ):
            code, what = "port.twice", "this port"
        message = f"{other.kind} {other.id} has {what} already"
        yield Finding(code, own.kind, own.id, claim.field, message, others=((other.kind, other.id),))


def others(reader: Reader, scope: Scope, own: Claimed, claim: Claim) -> Iterator[Claimed]:
    """The owners of overlapping claims that are to be told at this document; claims of its own count once."""
    mine = (own.kind, own.id)
    for other in sorted(reader.claims_overlapping(claim.scope, claim.low, claim.high), key=_order):
        theirs = (other.kind, other.id)
        told_here = _order(other) < _order(own) if theirs == mine else scope.reported_at(mine, theirs)
        if told_here:
            yield other


def _order(claimed: Claimed) -> tuple[str, str, tuple[str, ...]]:
    return (
        claimed.kind,
        claimed.id,
        tuple(f"{part:06d}" if isinstance(part, int) else part for part in claimed.field),
    )


def _whole(reader: Reader, *owners: Claimed) -> bool:
    """Whether a link among them takes the whole port."""
    for owner in owners:
        link = reader.get("link", owner.id) if owner.kind == "link" else None
        if link is not None and link.svlans is None and link.ends[int(owner.field[1])].svlan is None:
            return True
    return False


@check("ids")
def ids(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """Ids that differ only in case."""
    for kind in kinds.KINDS:
        for identifier, _ in scope.of(reader, kind):
            spelled = identifier.lower()
            for other in reader.claims_overlapping(f"id:{kind}", spelled, spelled):
                if other.id != identifier and scope.reported_at((kind, identifier), (other.kind, other.id)):
                    message = f"{kind} {identifier} and {kind} {other.id} differ only in case"
                    yield Finding("id.case", kind, identifier, (), message, others=((kind, other.id),))


@check("cvlans")
def cvlans(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """One S-VLAN and C-VLAN twice on an edge: the BNG could not tell the two apart."""
    for identifier, service in scope.of(reader, "service"):
        for claim in kinds.KINDS["service"].claims(identifier, service):
            if claim.scope != "cvlan":
                continue
            edge = edge_of(reader, service.line)
            own = Claimed("service", identifier, claim.field)
            for other in others(reader, scope, own, claim):
                rival = reader.get("service", other.id)
                if edge is not None and rival is not None and edge_of(reader, rival.line) == edge:
                    message = f"service {other.id} has this S-VLAN and C-VLAN on edge {edge} already"
                    yield Finding(
                        "cvlan.twice", "service", identifier, claim.field, message, others=(other[:2],)
                    )


def edge_of(reader: Reader, line_id: str | None) -> str | None:
    """The edge that terminates a line; None when it cannot be told."""
    line = reader.get("line", line_id) if line_id is not None else None
    if line is None:
        return None
    if line.type == "handoff":
        link = reader.get("link", line.link)
        return link.edge if link is not None else None
    part = "olt" if line.type == "gpon" else "ap"
    device = reader.get("device", getattr(line, part))
    access = getattr(device, part, None)
    return access.edge if access is not None else None
