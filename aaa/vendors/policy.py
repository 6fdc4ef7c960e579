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
    nobody is cut off for them. Nor is `slaac`, which older versions did not tell.
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
    node4: str = ""
    """Pools whose addresses the node that answers gives itself: no vendor's words, but part of the policy."""
    node6: str = ""
    nodepd: str = ""
    address6: str = ""
    """The one address of the subscriber's router (DHCPv6)."""
    slaac: bool = False
    """`pool6` is of prefixes that the NAS advertises (RFC 4862), not of addresses that it leases by DHCPv6."""

    @property
    def given(self) -> tuple[str, ...]:
        """The pools that the node gives from, IPv4 first."""
        return tuple(name for name in (self.node4, self.node6, self.nodepd) if name)


_FIRST = 11
"""So many fields are in every hash; later ones only when they say something: older hashes stay what they were."""


def hash_of(policy: Policy | None) -> str:
    """Sixteen hex digits over everything that decides the session's policy; "blocked" for no session at all."""
    if policy is None:
        return "blocked"
    untimed = msgspec.structs.replace(policy, interim=0, timeout=0, octets=0, portal="", slaac=False)
    decided = list(msgspec.structs.astuple(untimed))
    while len(decided) > _FIRST and not decided[-1]:
        decided.pop()
    return hashlib.sha256(msgspec.msgpack.encode(decided)).hexdigest()[:16]


def changed(old: Policy, new: Policy) -> set[str]:
    """Which aspects differ: `rate`, `garden`, `address`, `ipv6`, `vrf`."""
    aspects = {
        RATE: (old.down, old.up) != (new.down, new.up),
        GARDEN: old.garden != new.garden,
        ADDRESS: (old.address4, old.pool4, old.node4) != (new.address4, new.pool4, new.node4),
        IPV6: _ipv6(old) != _ipv6(new),
        VRF: old.vrf != new.vrf,
    }
    return {aspect for aspect, differs in aspects.items() if differs}


def _ipv6(policy: Policy) -> tuple[str, ...]:
    given = policy.node6, policy.nodepd, policy.address6
    return policy.wan6, policy.pool6, policy.pd, policy.pdpool, *given
