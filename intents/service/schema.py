"""services/<aa>/<bb>/<id>.yaml: what a customer has on a line, or on a router's port."""

import datetime
from typing import Annotated, Literal

from msgspec import Meta

from intents.device.routing import MaxPrefixes
from intents.scalars import (
    Address,
    Address4,
    Address6,
    Asn,
    Id,
    Interface4,
    Interface6,
    Line,
    Mac,
    Prefix,
    Prefix6,
    Secret,
    Vlan,
    Word,
)
from intents.structs import Intent

OnHold = Literal["auto", "emergency-only", "manual"]


class Attach(Intent, frozen=True, kw_only=True):
    """Where it leaves the line, and its VLANs; allocated."""

    port: Word | None = None
    svlan: Vlan | None = None
    cvlan: Vlan | None = None


class Session(Intent, frozen=True, kw_only=True):
    """How it authenticates. `circuit_id` and `remote_id` are the access node's names of the line (RFC 3046, RFC 4679):
    text, or `hex:…`. `bind` ties a login to its circuit, remote-id, MAC or port (`port`: the BNG's NAS-Port-Id, RFC
    2869); `over` says what a session beyond `limit` does: end the oldest, or be refused.
    """

    method: Literal["pppoe", "ipoe", "l2tp"]
    login: Word | None = None
    password: Secret | None = None
    circuit_id: Line | None = None
    remote_id: Line | None = None
    mac: Mac | None = None
    port: Line | None = None
    bind: tuple[Literal["circuit", "remote", "mac", "port"], ...] = ()
    limit: Annotated[int, Meta(ge=1, le=100, description="sessions at once, 1 to 100")] = 1
    over: Literal["replace", "reject"] = "replace"


class ServiceIpv4(Intent, frozen=True, kw_only=True):
    """IPv4: the pool comes from the edge; a fixed address stands here."""

    mode: Literal["cgnat", "public", "fixed", "none"]
    address: Address4 | None = None


class ServiceIpv6(Intent, frozen=True, kw_only=True):
    """IPv6: the WAN address and the delegated prefix. A fixed `address` is given by DHCPv6 with `wan: dhcp` (RFC 6911);
    with `wan: slaac` the line has the /64 that it lies in (RFC 3162).
    """

    wan: Literal["slaac", "dhcp", "none"] = "none"
    pd: Prefix6 | None = None
    address: Address6 | None = None


class Sip(Intent, frozen=True, kw_only=True):
    """A voice account; the number is sealed under the customer's own key."""

    number: Secret
    login: Word
    password: Secret


class HandoffV4(Intent, frozen=True, kw_only=True):
    """Our and their IPv4 address on the handoff."""

    us: Interface4
    them: Interface4


class HandoffV6(Intent, frozen=True, kw_only=True):
    """Our and their IPv6 address on the handoff."""

    us: Interface6
    them: Interface6


class Handoff(Intent, frozen=True, kw_only=True):
    """A router's port, or a VLAN of it, that is the customer's."""

    role: Literal["primary", "backup"] = "primary"
    router: Id
    port: Word
    svlan: Vlan | None = None
    cvlan: Vlan | None = None
    v4: HandoffV4 | None = None
    v6: HandoffV6 | None = None


class ServiceBgp(Intent, frozen=True, kw_only=True):
    """BGP with the customer: what we send, what we accept."""

    asn: Asn
    secret: Secret | None = None
    send: Literal["default", "full", "none"] = "default"
    prefixes: tuple[Prefix, ...] = ()
    max: MaxPrefixes | None = None


class Route(Intent, frozen=True, kw_only=True):
    """A static route to the customer; without `via` it follows the session or the handoffs."""

    prefix: Prefix
    via: Address | None = None


class Service(Intent, frozen=True, kw_only=True):
    """A service. `on_hold` protects: emergency-only keeps emergency calls, manual is never automatic."""

    customer: Id
    type: Literal["internet", "voice", "iptv", "l3", "l2"]
    state: Literal["planned", "active", "ceased"]
    plan: Id
    start: datetime.date | None = None
    line: Id | None = None
    attach: Attach | None = None
    session: Session | None = None
    ipv4: ServiceIpv4 | None = None
    ipv6: ServiceIpv6 | None = None
    sip: Sip | None = None
    handoffs: tuple[Handoff, ...] = ()
    bgp: ServiceBgp | None = None
    routes: tuple[Route, ...] = ()
    on_hold: OnHold = "auto"


__all__ = [
    "Attach", "Handoff", "HandoffV4", "HandoffV6", "OnHold", "Route", "Service", "ServiceBgp", "ServiceIpv4",
    "ServiceIpv6", "Session", "Sip",
]  # fmt: skip
