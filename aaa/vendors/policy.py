"""Policy: what a session should have, before any vendor's words for it."""

import hashlib

import msgspec

RATE, GARDEN, ADDRESS, IPV6, VRF = "rate", "garden", "address", "ipv6", "vrf"

GARDEN_NAME = "tl-garden"
"""The address list, filter or service that the walled garden is called on every NAS."""


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """A session's policy. Rates in bit/s from the subscriber's point of view, 0 = unlimited; empty text = none.

    `vrf` is the routing table that the edge puts subscribers into. `interim` and `timeout` (seconds), `octets` (a
    quota's rest, both directions) and `portal` (the garden's page) are of the next login: they are not in the hash,
    nobody is cut off for them.
    """

    down: int = 0
    up: int = 0
    garden: bool = False
    address4: str = ""
    pool4: str = ""
    wan6: str = ""
    pool6: str = ""
    pd: str = ""
    pdpool: str = ""
    interim: int = 300
    timeout: int = 0
    vrf: str = ""
    octets: int = 0
    portal: str = ""


_FIRST = 11
"""So many fields are in every hash; later ones only when they say something: older hashes stay what they were."""


def hash_of(policy: Policy | None) -> str:
    """Sixteen hex digits over everything that decides the session's policy; "blocked" for no session at all."""
    if policy is None:
        return "blocked"
    untimed = msgspec.structs.replace(policy, interim=0, timeout=0, octets=0, portal="")
    decided = list(msgspec.structs.astuple(untimed))
    while len(decided) > _FIRST and not decided[-1]:
        decided.pop()
    return hashlib.sha256(msgspec.msgpack.encode(decided)).hexdigest()[:16]


def changed(old: Policy, new: Policy) -> set[str]:
    """Which aspects differ: `rate`, `garden`, `address`, `ipv6`, `vrf`."""
    aspects = {
        RATE: (old.down, old.up) != (new.down, new.up),
        GARDEN: old.garden != new.garden,
        ADDRESS: (old.address4, old.pool4) != (new.address4, new.pool4),
        IPV6: (old.wan6, old.pool6, old.pd, old.pdpool) != (new.wan6, new.pool6, new.pd, new.pdpool),
        VRF: old.vrf != new.vrf,
    }
    return {aspect for aspect, differs in aspects.items() if differs}
