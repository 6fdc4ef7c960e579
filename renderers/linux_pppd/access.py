"""What a pppd BNG is told, decided from the device's model: plain values for the templates."""

import ipaddress
from collections.abc import Iterator

import msgspec

from inventory.model import DeviceModel, EdgeSide, PoolPart, RadiusEntry
from renderers.contract import CannotRender, Secrets

GARDEN_WORD = "tl-garden"
"""The Filter-Id that puts a session into the garden whatever its address is (aaa/vendors/pppd.yaml)."""
_LENGTHS = {"wan6": 64, "pd": 56}
MOST_LISTENERS = 64
LONGEST_SECRET = 47
"""pppd's RADIUS library cuts a longer secret without a word (MAX_SECRET_LENGTH is 48 with the closing NUL)."""


class Translation(msgspec.Struct, frozen=True):
    """Source NAT of a subscriber prefix to public addresses (`first-last` or one address)."""

    inside: str
    outside: str


class Listener(msgspec.Struct, frozen=True):
    """A port that answers PPPoE discovery, with the addresses that it may give out."""

    port: str
    addresses: tuple[str, ...]


class Ipv6(msgspec.Struct, frozen=True):
    """IPv6 of the sessions: resolvers, MTU, and (prefix, length of a session's part) of each pool that we give from."""

    dns: tuple[str, ...]
    mtu: int
    pools: dict[str, tuple[tuple[str, int], ...]]


class Bng(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the templates name. `garden` and `allow` are IPv4 prefixes, `garden_pools` pool ids."""

    name: str
    operator: str
    ac_name: str
    service_name: str
    gateway: str
    mtu: int
    listeners: tuple[Listener, ...]
    sessions_per_mac: int
    source: str
    secret: str
    servers: tuple[RadiusEntry, ...]
    dns: tuple[str, ...]
    garden: tuple[str, ...]
    garden_pools: tuple[str, ...]
    allow: tuple[str, ...]
    page_url: str
    contact: str
    nat: tuple[Translation, ...]
    ipv6: Ipv6 | None = None
    garden_word: str = GARDEN_WORD

    @property
    def dns4(self) -> tuple[str, ...]:
        """The resolvers; pppd tells subscribers only IPv4 ones."""
        return self.dns


def bng_of(model: DeviceModel, secrets: Secrets) -> Bng:
    """Follow the model. Raises CannotRender for what pppd cannot do or an intent that does not say enough."""
    if model.nas is None or not model.edges:
        raise CannotRender(model.id, "a pppd BNG needs `nas` and an edge that names it")
    offered = model.device.bng
    parts = [part for side in model.edges for part in side.pools if part.family == "ipv4"]
    given = [part for part in parts if part.use != "garden" and part.allocate == "nas"]
    if len({part.pool for part in given}) > 1:
        pools = ", ".join(sorted({part.pool for part in given}))
        why = (
            f"pppd cannot choose between the pools {pools} for a login; let one of them be `allocate: intent`"
        )
        raise CannotRender(model.id, why)
    garden = [part for part in parts if part.use == "garden"]
    gateway = str((offered and offered.gateway) or _gateway(model, parts))
    return Bng(
        name=model.id,
        operator=model.operator,
        ac_name=(offered and offered.ac_name) or model.id,
        service_name=(offered and offered.service_name) or "",
        gateway=gateway,
        mtu=offered.mtu if offered else 1492,
        listeners=_listeners(model, given, gateway, offered.sessions if offered else 32000),
        sessions_per_mac=int(model.device.options.get("sessions-per-mac", 4)),
        source=_v4(model.nas.sources, model, "nas.sources"),
        secret=_secret(model, secrets),
        servers=tuple(server for server in model.nas.servers if _is_v4(server.address)),
        dns=tuple(address for address in model.dns if _is_v4(address)),
        garden=_prefixes(garden),
        garden_pools=tuple(sorted({part.pool for part in garden})),
        allow=tuple(dict.fromkeys(_allowed(model.edges))),
        page_url=next(
            (side.edge.garden.url for side in model.edges if side.edge.garden and side.edge.garden.url), ""
        ),
        contact=str(model.device.options.get("garden-contact", "")),
        nat=tuple(_translations(given)),
        ipv6=_ipv6(model, offered.mtu if offered else 1492),
    )


def _ipv6(model: DeviceModel, mtu: int) -> Ipv6 | None:
    """None where no edge has an IPv6 pool. Pools that RADIUS gives from itself are only named."""
    parts = [part for side in model.edges for part in side.pools if part.family != "ipv4"]
    if not parts:
        return None
    pools = {
        part.pool: tuple((prefix, part.length or _LENGTHS[part.family]) for prefix in part.prefixes)
        for part in parts
        if part.allocate == "nas"
    }
    for pool, given in pools.items():
        for prefix, length in given:
            if ipaddress.IPv6Network(prefix).prefixlen > length:
                raise CannotRender(model.id, f"{prefix} of pool {pool} is smaller than a session's /{length}")
    return Ipv6(tuple(address for address in model.dns if not _is_v4(address)), mtu, pools)


def _is_v4(text: str) -> bool:
    return ipaddress.ip_interface(text).version == 4


def _v4(addresses: tuple[str, ...], model: DeviceModel, key: str) -> str:
    for address in addresses:
        if _is_v4(address):
            return address
    raise CannotRender(model.id, f"pppd's RADIUS client speaks IPv4 only and {key} names no IPv4 address")


def _secret(model: DeviceModel, secrets: Secrets) -> str:
    assert model.nas is not None
    if not model.nas.secrets:
        raise CannotRender(model.id, "nas.secrets is empty")
    first = model.nas.secrets[0]
    clear = secrets.open(first.sealed, first.path, first.key)
    if clear.startswith("<secret:"):
        return clear
    if (
        len(clear.encode()) > LONGEST_SECRET
        or not clear.isascii()
        or any(c.isspace() or c == "#" for c in clear)
    ):
        why = f"pppd's RADIUS client takes secrets of up to {LONGEST_SECRET} ASCII characters without spaces or #"
        raise CannotRender(model.id, why)
    return clear


def _gateway(model: DeviceModel, parts: list[PoolPart]) -> str:
    for part in parts:
        if part.gateway:
            return part.gateway
    for part in parts:
        for prefix in part.prefixes:
            return str(ipaddress.ip_network(prefix)[1])
    raise CannotRender(model.id, "its edges have no IPv4 pool part for it")


def _prefixes(parts: list[PoolPart]) -> tuple[str, ...]:
    networks = {ipaddress.IPv4Network(prefix) for part in parts for prefix in part.prefixes}
    return tuple(str(network) for network in ipaddress.collapse_addresses(networks))


def _allowed(edges: tuple[EdgeSide, ...]) -> Iterator[str]:
    for side in edges:
        if side.edge.garden:
            yield from (prefix for prefix in side.edge.garden.allow if _is_v4(prefix))


def _ports(model: DeviceModel) -> list[str]:
    names = []
    for side in model.edges:
        if side.edge.svlans is None:
            names.append(side.port)
        else:
            names += [f"{side.port}.{tag}" for low, high in side.edge.svlans for tag in range(low, high + 1)]
    if len(names) > MOST_LISTENERS:
        why = f"{len(names)} S-VLANs need a pppoe-server each; above {MOST_LISTENERS} use platform accel_ppp"
        raise CannotRender(model.id, why)
    return sorted(set(names))


def _listeners(model: DeviceModel, parts: list[PoolPart], gateway: str, most: int) -> tuple[Listener, ...]:
    """Every listener has its own addresses: pppoe-server knows only what it gave out itself."""
    ports = _ports(model)
    usable = [address for address in _addresses(parts) if address != gateway][:most]
    share = len(usable) // len(ports)
    if not share:
        raise CannotRender(model.id, f"its pools have {len(usable)} addresses for {len(ports)} listeners")
    return tuple(Listener(port, tuple(usable[n * share : (n + 1) * share])) for n, port in enumerate(ports))


def _addresses(parts: list[PoolPart]) -> Iterator[str]:
    for prefix in _prefixes(parts):
        for address in ipaddress.IPv4Network(prefix):
            if address.packed[3] not in (0, 255):  # some subscribers' equipment cannot live with these
                yield str(address)


def _translations(parts: list[PoolPart]) -> Iterator[Translation]:
    for part in parts:
        for n, prefix in enumerate(part.prefixes if part.nat_public else ()):
            public = ipaddress.IPv4Network(part.nat_public[n % len(part.nat_public)])
            outside = str(public[0]) if public.prefixlen == 32 else f"{public[0]}-{public[-1]}"
            yield Translation(prefix, outside)
