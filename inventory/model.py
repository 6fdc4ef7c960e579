"""The shapes of a resolved device: everything a renderer needs, with every reference followed.

Addresses are canonical text, rates integers of bit/s, lengths of time integers of seconds. Everything is ordered
(by port name, by neighbour id …) so that the same repository gives the same model and the same rendering.
"""

import msgspec

from intents.device.schema import Device
from intents.edge.schema import Edge
from intents.service.schema import Service
from intents.site.schema import Site
from inventory.access import Attachment


class SecretRef(msgspec.Struct, frozen=True):
    """A sealed value with the place it belongs to: `path` and dotted `key` are its associated data.

    A key has no positions of lists (`nas.secrets`), so that a rotation may move a secret down its list.
    """

    sealed: str
    path: str
    key: str


class FarEnd(msgspec.Struct, frozen=True):
    """The other end of a link; `device` is "" where there is none (a handoff)."""

    device: str
    port: str
    v4: str | None = None
    v6: str | None = None


class OspfPort(msgspec.Struct, frozen=True):
    """OSPF on a port: `cost` None leaves the platform's default; `passive` has no neighbours."""

    cost: int | None
    passive: bool
    hello: int
    dead: int


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port or a VLAN of one, as it should be. `v4` and `v6` are addresses with prefix length."""

    name: str
    description: str = ""
    parent: str = ""
    svlan: int | None = None
    cvlan: int | None = None
    members: tuple[str, ...] = ()
    mtu: int | None = None
    enabled: bool = True
    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    link: str = ""
    link_type: str = ""
    far: FarEnd | None = None
    svlans: tuple[tuple[int, int], ...] = ()
    bfd: bool = False
    ospf: OspfPort | None = None
    service: str = ""


class IbgpNeighbour(msgspec.Struct, frozen=True):
    """A neighbour in our AS over loopbacks (addresses without length); `client` of us as its reflector."""

    device: str
    v4: str | None
    v6: str | None
    client: bool


class EbgpNeighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A neighbour in another AS. `accept` and `announce` list exactly what passes (RFC 8212).

    `send`: `listed` = only `announce`; `default` = a default route; `full` = everything; `none`.
    """

    address: str
    asn: int
    description: str
    secret: SecretRef | None
    accept: tuple[str, ...]
    announce: tuple[str, ...]
    send: str
    max_v4: int | None
    max_v6: int | None
    service: str = ""
    backup: bool = False
    """Used only while the neighbour's primary session is away."""


class StaticRoute(msgspec.Struct, frozen=True):
    """A static route; exactly one of `via`, `port`, `discard`."""

    prefix: str
    via: str | None
    port: str | None
    discard: bool
    distance: int | None


class PoolPart(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a pool that this BNG gives out. `use` as in the edge: cgnat, public, garden, pd, wan6."""

    pool: str
    use: str
    family: str
    allocate: str
    prefixes: tuple[str, ...]
    length: int | None
    gateway: str | None
    nat_public: tuple[str, ...] = ()
    nat_ports: int = 1024


class EdgeSide(msgspec.Struct, frozen=True, kw_only=True):
    """An access area that this BNG terminates, on `port` with `priority` among `peers` (device, priority)."""

    edge_id: str
    edge: Edge
    port: str
    priority: int
    peers: tuple[tuple[str, int], ...]
    pools: tuple[PoolPart, ...]


class DhcpSide(msgspec.Struct, frozen=True, kw_only=True):
    """An edge and a BNG of it that relays to this DHCP server: `relays` are the addresses it may relay from."""

    edge_id: str
    edge: Edge
    bng: str
    relays: tuple[str, ...]
    pools: tuple[PoolPart, ...]


class RadiusEntry(msgspec.Struct, frozen=True):
    """A RADIUS server as a NAS must know it."""

    address: str
    auth_port: int
    acct_port: int


class NasEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The device as RADIUS sees it; `secrets[0]` is sent and rendered, all are accepted."""

    vendor: str
    sources: tuple[str, ...]
    secrets: tuple[SecretRef, ...]
    message_authenticator: str
    legacy: bool
    interim: int
    coa_port: int | None
    coa_rate: int
    servers: tuple[RadiusEntry, ...]


class RoutingModel(msgspec.Struct, frozen=True, kw_only=True):
    """Routing of a device; `asn` 0 where the operator has none."""

    asn: int
    router_id: str
    area: str | None
    ibgp: tuple[IbgpNeighbour, ...] = ()
    reflector: bool = False
    cluster: str | None = None
    ebgp: tuple[EbgpNeighbour, ...] = ()
    statics: tuple[StaticRoute, ...] = ()
    aggregates: tuple[str, ...] = ()
    """Prefixes that this device originates into BGP (its parts of the pools)."""


class DeviceModel(msgspec.Struct, frozen=True, kw_only=True):
    """A device with every reference followed. `device` is its intent; `ports` ordered by name."""

    id: str
    device: Device
    site_id: str
    site: Site | None
    operator: str
    timezone: str
    loopback_v4: str | None
    loopback_v6: str | None
    ports: tuple[Port, ...]
    routing: RoutingModel | None
    nas: NasEntry | None
    edges: tuple[EdgeSide, ...]
    dns: tuple[str, ...]
    login: SecretRef | None = None
    dhcp: tuple[DhcpSide, ...] = ()

    @property
    def path(self) -> str:
        """The path of the device's intent: the place its secrets belong to."""
        return f"network/devices/{self.id}.yaml"


class ServiceOnLine(msgspec.Struct, frozen=True):
    """A service with what restricts it now: effect "" | throttle | walled-garden | block.

    `place` and `pools` (whole, not a BNG's part) are filled for IPoE: what a DHCP server must know of the line.
    """

    service_id: str
    service: Service
    effect: str
    place: Attachment = Attachment()
    pools: tuple[PoolPart, ...] = ()
