"""Links as a kind: their ends claim ports, their prefixes claim addresses."""

import ipaddress
from collections.abc import Iterator

from intents import claims as spelling
from intents.kind import Claim, Complaint, Kind, Reference
from intents.link.schema import Link


def references(_id: str, link: Link) -> Iterator[Reference]:
    """The devices at its ends, and the edge of a handover."""
    for index, end in enumerate(link.ends):
        yield Reference("device", end.device, ("ends", index, "device"))
    if link.edge is not None:
        yield Reference("edge", link.edge, ("edge",))


def claims(_id: str, link: Link) -> Iterator[Claim]:
    """Ports (whole, or the VLANs it carries) and the networks on it."""
    for index, end in enumerate(link.ends):
        scope, field = f"port:{end.device}/{end.port}", ("ends", index, "port")
        if end.svlan is not None:
            yield spelling.vlan(scope, end.svlan, None, field)
        else:
            yield from spelling.vlans(scope, link.svlans, field)
    yield from _networks(link)


def _networks(link: Link) -> Iterator[Claim]:
    seen: set[str] = set()
    for index, end in enumerate(link.ends):
        for family in ("v4", "v6"):
            own = getattr(end, family)
            network = str(ipaddress.ip_interface(own).network) if own is not None else ""
            if own is not None and network not in seen:
                seen.add(network)
                yield spelling.prefix("net", own, ("ends", index, family))


def complaints(link: Link) -> Iterator[Complaint]:
    """What each type needs: two ends, one network on both, VLANs."""
    if link.type == "handoff":
        if link.partner is None:
            yield Complaint("link.type", ("type",), "a handoff link needs `partner`")
    elif len(link.ends) != 2:
        yield Complaint("link.type", ("ends",), f"a {link.type} link needs two ends")
    if len(link.ends) == 2:
        yield from _pairs(link)


def _pairs(link: Link) -> Iterator[Complaint]:
    first, second = link.ends
    if (first.device, first.port, first.svlan) == (second.device, second.port, second.svlan):
        yield Complaint("link.loop", ("ends", 1), f"both ends are {first.device} {first.port}")
    for family in ("v4", "v6"):
        one, other = getattr(first, family), getattr(second, family)
        if (one is None) != (other is None):
            place = ("ends", 0 if one is None else 1)
            yield Complaint("link.address", place, f"one end has {family} and the other has not")
        elif one is not None and ipaddress.ip_interface(one).network != ipaddress.ip_interface(other).network:
            yield Complaint("link.address", ("ends", 1, family), f"{other} is not in the network of {one}")
        elif one is not None and one == other:
            yield Complaint("link.address", ("ends", 1, family), f"both ends have {one}")


KIND = Kind(
    name="link",
    struct=Link,
    pattern="network/links/{id}.yaml",
    plural="links",
    references=references,
    claims=claims,
    complaints=complaints,
)
