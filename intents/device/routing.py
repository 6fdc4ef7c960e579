"""The routing part of a device: OSPF, iBGP, eBGP, static routes."""

from typing import Annotated

import msgspec
from msgspec import Meta

from intents.scalars import Address, Address4, Asn, Count, Id, Line, Prefix, Secret, Word
from intents.structs import Intent

Seconds = Annotated[int, Meta(ge=1, le=65535, description="seconds, 1 to 65535")]
Metric = Annotated[int, Meta(ge=1, le=65535, description="a metric, 1 to 65535")]


class Ospf(Intent, frozen=True, kw_only=True):
    """OSPFv2 and v3 (RFC 2328, 5340); interfaces come from links, `passive` adds ports without neighbours."""

    area: Address4 = msgspec.field(default_factory=lambda: Address4("0.0.0.0"))
    hello: Seconds = 10
    dead: Seconds = 40
    passive: tuple[Word, ...] = ()


class Ibgp(Intent, frozen=True, kw_only=True):
    """iBGP over loopbacks: a client names its reflectors, a reflector says so (RFC 4456), `mesh` names peers."""

    rr: tuple[Id, ...] = ()
    reflector: bool = False
    cluster: Address4 | None = None
    mesh: tuple[Id, ...] = ()


class MaxPrefixes(Intent, frozen=True, kw_only=True):
    """More prefixes than this close the session."""

    v4: Count | None = None
    v6: Count | None = None


class Ebgp(Intent, frozen=True, kw_only=True):
    """A neighbour in another AS: only `accept` comes in and only `announce` goes out (RFC 8212)."""

    address: Address
    asn: Asn
    description: Line | None = None
    secret: Secret | None = None
    accept: tuple[Prefix, ...] = ()
    announce: tuple[Prefix, ...] = ()
    max: MaxPrefixes | None = None


class Static(Intent, frozen=True, kw_only=True):
    """A static route: through an address, out of a port, or nowhere (`discard`)."""

    prefix: Prefix
    via: Address | None = None
    port: Word | None = None
    discard: bool = False
    distance: Annotated[int, Meta(ge=1, le=255, description="a distance, 1 to 255")] | None = None


class Routing(Intent, frozen=True, kw_only=True):
    """Routing of a device."""

    ospf: Ospf | None = None
    ibgp: Ibgp | None = None
    ebgp: tuple[Ebgp, ...] = ()
    statics: tuple[Static, ...] = ()
