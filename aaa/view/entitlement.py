"""What a service is entitled to right now: plan, holds, limits, addresses and edge joined into one Policy. Pure."""

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from aaa.limits.limit import AT_DOOR, BEHIND, FAIR_USE, FULL, PREPAID, Limit, full_sides, live_places
from aaa.vendors.policy import Policy
from aaa.view.records import Status
from intents.reader import Reader

_STRENGTH = {"throttle": 1, "walled-garden": 2, "block": 3}
_NOTHING = (0, 0)


class Restriction(msgspec.Struct, frozen=True):
    """All holds and limits of a service as one: the strictest effect, the smallest rate per direction (0: none)."""

    effect: str = ""
    down: int = 0
    up: int = 0
    holds: tuple[str, ...] = ()


UNRESTRICTED = Restriction()


class Entitled(msgspec.Struct, frozen=True):
    """What a service gets. `policy` None: nothing. `free` is what it would get without holds and limits, where that
    is something else. `released`, `until`: epoch seconds until which an override frees it, its credit lasts. `live`:
    with status "full", where its sessions are; `live_at_door`: the same when its AP's side is full, else None.
    """

    policy: Policy | None
    status: Status
    restriction: Restriction
    free: Policy | None = None
    released: int = 0
    until: int = 0
    live: tuple[bytes, ...] = ()
    live_at_door: tuple[bytes, ...] | None = None
    limits: tuple[str, ...] = ()

    @property
    def wanted(self) -> Policy | None:
        """What every session should have: while an override is recorded, the free policy."""
        return self.free if self.released and self.free is not None else self.policy


def entitled(
    service: Any, plan: Any, pools: "Pools", holds: Restriction, limits: tuple[Limit, ...], slot: Limit | None
) -> Entitled:
    """Join everything. A schedule's open slot is the plan's rate meanwhile; fair use takes the smaller of that and
    its own; holds and limits restrict what is left, the strictest first; a full service keeps its policy.
    """
    by_cause = {one.cause: one for one in limits}
    credit = by_cause.get(PREPAID) if plan is not None and plan.prepaid is not None else None
    restriction = restricted(service, plan, holds, limits)
    free = policy_of(service, _rate(plan, slot, None), pools, UNRESTRICTED)
    policy = policy_of(service, _rate(plan, slot, by_cause.get(FAIR_USE)), pools, restriction)
    full = by_cause.get(FULL)
    status: Status = "held" if policy is None else "no-address" if lacks_address(service, policy) else "ok"
    taken = full_sides(full.data) if full is not None and status == "ok" else ()
    live = live_places(full.data) if full is not None else ()
    if BEHIND in taken:
        status = "full"
    seconds = int(credit.data.get("seconds", 0)) if credit is not None and policy is not None else 0
    return Entitled(
        policy=msgspec.structs.replace(policy, timeout=seconds) if policy and seconds else policy,
        status=status,
        restriction=restriction,
        free=free if free != policy or taken or status not in ("ok", "no-address") else None,
        released=max((one.until for one in limits if one.effect == "release"), default=0),
        until=credit.until if credit is not None and policy is not None else 0,
        live=live if status == "full" else (),
        live_at_door=live if AT_DOOR in taken else None,
        limits=tuple(one.cause for one in limits if one.cause != FULL),
    )


def restricted(service: Any, plan: Any, holds: Restriction, limits: tuple[Limit, ...]) -> Restriction:
    """Holds and recorded limits as one; a prepaid service without credit is restricted as its plan says."""
    credit = next((one for one in limits if one.cause == PREPAID), None)
    found = [holds, *(Restriction(one.effect, one.down, one.up) for one in limits if one.effect in _STRENGTH)]
    if plan is not None and plan.prepaid is not None and credit is None:
        found.append(Restriction(plan.prepaid.exhausted))
    together = Restriction(
        effect=max((one.effect for one in found), key=lambda word: _STRENGTH.get(word, 0)),
        down=min((one.down for one in found if one.down), default=0),
        up=min((one.up for one in found if one.up), default=0),
        holds=holds.holds,
    )
    return softened(together, service.on_hold)


def _rate(plan: Any, slot: Limit | None, fair_use: Limit | None) -> tuple[int, int]:
    """(down, up) in bit/s, 0: as much as there is."""
    rate = plan.rate if plan is not None else None
    down, up = (int(rate.down), int(rate.up)) if rate is not None else _NOTHING
    if slot is not None and plan is not None and plan.schedule:
        down, up = slot.down, slot.up
    if fair_use is not None and plan is not None and plan.fair_use is not None:
        then = plan.fair_use.then
        down, up = _lower(down, int(then.down)), _lower(up, int(then.up))
    return down, up


def combine(holds: Iterable[tuple[str, Any]]) -> Restriction:
    """The strictest wins: block > walled-garden > throttle; throttles combine by the minimum per direction."""
    effect, names = "", []
    rates: list[tuple[int, int]] = []
    for name, hold in sorted(holds, key=lambda pair: pair[0]):
        names.append(name)
        effect = max(effect, hold.effect, key=lambda word: _STRENGTH.get(word, 0))
        if hold.effect == "throttle" and hold.rate is not None:
            rates.append((int(hold.rate.down), int(hold.rate.up)))
    down = min((rate[0] for rate in rates), default=0)
    up = min((rate[1] for rate in rates), default=0)
    return Restriction(effect, down, up, tuple(names))


def softened(restriction: Restriction, on_hold: str) -> Restriction:
    """`emergency-only`: a block becomes the walled garden, where emergency services are reachable."""
    if on_hold == "emergency-only" and restriction.effect == "block":
        return msgspec.structs.replace(restriction, effect="walled-garden")
    return restriction


def _lower(plan: int, hold: int) -> int:
    return min(plan, hold) if plan and hold else plan or hold


class Pools(msgspec.Struct, frozen=True):
    """The edge's pools that a NAS gives addresses from, by name; empty where there is none."""

    cgnat: str = ""
    public: str = ""
    pd: str = ""
    wan6: str = ""
    garden: str = ""
    by_node: frozenset[str] = frozenset()
    """Those of them whose addresses the node that answers gives itself."""


_USES = ("cgnat", "public", "pd", "wan6", "garden")


def pools_of(reader: Reader, edge: Any) -> Pools:
    """Pools with `allocate: nas` or `node`. From `intent` pools addresses stand in the service."""
    if edge is None:
        return Pools()
    named = {use: getattr(edge.pools, use) or "" for use in _USES}
    ways = {use: _allocate(reader, name) for use, name in named.items() if name}
    found = {use: named[use] for use, way in ways.items() if way != "intent"}
    return Pools(**found, by_node=frozenset(named[use] for use, way in ways.items() if way == "node"))


def _allocate(reader: Reader, name: str) -> str:
    pool = reader.get("pool", name)
    return "nas" if pool is None else str(pool.allocate)


def _handed(policy: Policy, pools: Pools) -> Policy:
    """The policy with each pool in the field of whoever gives its addresses: the NAS, or the node."""
    pairs = (("pool4", "node4"), ("pool6", "node6"), ("pdpool", "nodepd"))
    moved = {there: getattr(policy, here) for here, there in pairs if getattr(policy, here) in pools.by_node}
    empty = {here: "" for here, there in pairs if there in moved}
    return msgspec.structs.replace(policy, **moved, **empty)


def policy_of(service: Any, rate: tuple[int, int], pools: Pools, restriction: Restriction) -> Policy | None:
    """The service's Policy; None while it is blocked. In the garden IPv6 and the usual pool are gone:
    a new address closes the established flows, and no filter of the garden has to know IPv6.
    """
    if restriction.effect == "block":
        return None
    down, up = _lower(rate[0], restriction.down), _lower(rate[1], restriction.up)
    if restriction.effect == "walled-garden":
        return _handed(Policy(down=down, up=up, garden=True, **_garden_address(service, pools)), pools)
    return _handed(Policy(down=down, up=up, **_address4(service, pools), **_address6(service, pools)), pools)


def _garden_address(service: Any, pools: Pools) -> dict[str, Any]:
    return {"pool4": pools.garden} if pools.garden else _address4(service, pools)


def _address4(service: Any, pools: Pools) -> dict[str, Any]:
    ipv4 = service.ipv4
    if ipv4 is None or ipv4.mode == "none":
        return {}
    if ipv4.mode == "fixed":
        return {"address4": str(ipv4.address)} if ipv4.address else {}
    return {"pool4": {"cgnat": pools.cgnat, "public": pools.public}[ipv4.mode]}


def _address6(service: Any, pools: Pools) -> dict[str, Any]:
    ipv6 = service.ipv6
    if ipv6 is None:
        return {}
    found: dict[str, Any] = {}
    if ipv6.pd is not None:
        found["pd"] = str(ipv6.pd)
    elif ipv6.wan != "none":
        found["pdpool"] = pools.pd
    if ipv6.address is not None and ipv6.wan == "dhcp":
        found["address6"] = str(ipv6.address)
    elif ipv6.address is not None and ipv6.wan == "slaac":
        found["wan6"] = str(ipaddress.IPv6Network((str(ipv6.address), 64), strict=False))
    elif ipv6.wan != "none":
        found |= {"pool6": pools.wan6, "slaac": ipv6.wan == "slaac"}
    return found


def at_edge(found: Entitled, edge: Any) -> Entitled:
    """What the edge adds: the VRF that it puts subscribers into, and in the garden the page that says why."""
    if edge is None:
        return found
    page = edge.garden.url if edge.garden is not None else None
    policies = [
        one and msgspec.structs.replace(one, vrf=edge.vrf or "", portal=(page or "") if one.garden else "")
        for one in (found.policy, found.free)
    ]
    return msgspec.structs.replace(found, policy=policies[0], free=policies[1])


def lacks_address(service: Any, policy: Policy | None) -> bool:
    """Whether the service should get IPv4 and none to give: no pool, or one whose addresses stand in services."""
    if policy is None or service.ipv4 is None or service.ipv4.mode == "none":
        return False
    return not (policy.address4 or policy.pool4 or policy.node4)
