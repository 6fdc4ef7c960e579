"""What an accel-ppp BNG is told, decided from the device's model: plain values for the templates."""

import ipaddress
from collections.abc import Iterator

import msgspec

from inventory.model import DeviceModel, NasEntry, PoolPart, RadiusEntry
from renderers.accel_ppp.escape import secret
from renderers.accel_ppp.pools import Gateway, Prefixes, Range, gateways_of, prefixes_of, ranges_of
from renderers.accel_ppp.ports import Access, access_of
from renderers.contract import CannotRender, Secrets


class Translation(msgspec.Struct, frozen=True):
    """Source NAT of a subscriber prefix to public addresses (`first-last` or one address)."""

    inside: str
    outside: str


class Garden(msgspec.Struct, frozen=True, kw_only=True):
    """The walled garden: the prefixes of its pool, what stays reachable, and the page's server ("" for none)."""

    prefixes: tuple[str, ...]
    allow: tuple[str, ...]
    page: str = ""


class Bng(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the templates name."""

    name: str
    ac_name: str
    service_name: str
    gateway: str
    mtu: int
    sessions: int
    single_session: str
    accesses: tuple[Access, ...]
    source: str
    secret: str
    servers: tuple[RadiusEntry, ...]
    interim: int
    dae_port: int | None
    dae_allowed: str
    dns: tuple[str, ...]
    dns6: tuple[str, ...]
    ranges: tuple[Range, ...]
    gateways: tuple[Gateway, ...]
    prefixes: tuple[Prefixes, ...]
    subscribers: tuple[str, ...]
    garden: Garden
    nat: tuple[Translation, ...]
    kept: tuple[str, ...]
    """VLANs of the access ports that are not subscribers': links and management of the model."""
    svlan_protocol: str
    cli_port: int

    @property
    def methods(self) -> set[str]:
        """pppoe, ipoe."""
        return {method for access in self.accesses for method in access.methods}


def bng_of(model: DeviceModel, secrets: Secrets) -> Bng:
    """Follow the model. Raises CannotRender for what accel-ppp cannot do or an intent that does not say enough."""
    if model.nas is None or not model.edges:
        raise CannotRender(model.id, "an accel-ppp BNG needs `nas` and an edge that names it")
    offered, options = model.device.bng, model.device.options
    every = list(dict.fromkeys(part for side in model.edges for part in side.pools))
    v4 = [part for part in every if part.family == "ipv4"]
    if not v4:
        raise CannotRender(model.id, "its edges have no IPv4 pool part for it")
    gateways = gateways_of(v4)
    gateway = str((offered and offered.gateway) or gateways[0].address)
    servers = _servers(model, model.nas)
    return Bng(
        name=model.id,
        ac_name=(offered and offered.ac_name) or model.id,
        service_name=(offered and offered.service_name) or "",
        gateway=gateway,
        mtu=offered.mtu if offered else 1492,
        sessions=offered.sessions if offered else 32000,
        single_session=_one_of(model, "single-session", ("replace", "deny", "off")),
        accesses=tuple(access_of(model, side) for side in model.edges),
        source=_source(model, model.nas),
        secret=_secret(model.nas, model, secrets),
        servers=servers,
        interim=model.nas.interim,
        dae_port=model.nas.coa_port,
        dae_allowed=str(options.get("dae-allowed", ",".join(dict.fromkeys(s.address for s in servers)))),
        dns=tuple(address for address in model.dns if _is_v4(address)),
        dns6=tuple(address for address in model.dns if not _is_v4(address)),
        ranges=tuple(ranges_of(v4, {gateway, *(each.address for each in gateways)})),
        gateways=gateways,
        prefixes=tuple(prefixes_of(model, [part for part in every if part.family != "ipv4"])),
        subscribers=_collapsed(v4),
        garden=_garden(model, v4),
        nat=tuple(_translations(v4)),
        kept=_kept(model),
        svlan_protocol=_one_of(model, "svlan-protocol", ("802.1Q", "802.1ad")),
        cli_port=_cli_port(model),
    )


def _one_of(model: DeviceModel, option: str, words: tuple[str, ...]) -> str:
    said = str(model.device.options.get(option, words[0]))
    if said not in words:
        raise CannotRender(model.id, f"options {option} is '{said}'; it is one of {', '.join(words)}")
    return said


def _cli_port(model: DeviceModel) -> int:
    said = model.device.options.get("cli-port", 2001)
    if isinstance(said, bool) or not isinstance(said, int) or not 1 <= said <= 65535:
        raise CannotRender(model.id, f"options cli-port is {said}; it is a port number")
    return said


def _is_v4(text: str) -> bool:
    return ipaddress.ip_interface(text).version == 4


def _source(model: DeviceModel, nas: NasEntry) -> str:
    for address in nas.sources:
        if _is_v4(address):
            return address
    raise CannotRender(model.id, "nas-ip-address of accel-ppp is IPv4 and nas.sources names no IPv4 address")


def _servers(model: DeviceModel, nas: NasEntry) -> tuple[RadiusEntry, ...]:
    found = tuple(server for server in nas.servers if _is_v4(server.address))
    if not found:
        # bind= and NAS-IP-Address are IPv4, and two IPv6 servers on one port are taken for one (serv.c __add_server).
        raise CannotRender(model.id, "it needs a RADIUS server with an IPv4 address (aaa.servers)")
    return found


def _secret(nas: NasEntry, model: DeviceModel, secrets: Secrets) -> str:
    if not nas.secrets:
        raise CannotRender(model.id, "nas.secrets is empty")
    first = nas.secrets[0]
    return secret(secrets.open(first.sealed, first.path, first.key))


def _garden(model: DeviceModel, parts: list[PoolPart]) -> Garden:
    pools = [part for part in parts if part.use == "garden"]
    for side in model.edges:
        if not any(part.use == "garden" and part.allocate == "nas" for part in side.pools):
            why = (
                f"edge {side.edge_id} has no garden pool of `allocate: nas` with a part for it: the pool is all "
                "that accel-ppp knows of the walled garden, without it a hold would do nothing"
            )
            raise CannotRender(model.id, why)
    spoken = [side.edge.garden for side in model.edges if side.edge.garden]
    allow = [prefix for garden in spoken for prefix in garden.allow if _is_v4(prefix)]
    pages = [str(garden.page) for garden in spoken if garden.page and _is_v4(str(garden.page))]
    return Garden(
        prefixes=_collapsed(pools),
        allow=tuple(str(net) for net in ipaddress.collapse_addresses(map(ipaddress.IPv4Network, allow))),
        page=pages[0] if pages else "",
    )


def _collapsed(parts: list[PoolPart]) -> tuple[str, ...]:
    networks = {ipaddress.IPv4Network(prefix) for part in parts for prefix in part.prefixes}
    return tuple(str(network) for network in ipaddress.collapse_addresses(networks))


def _translations(parts: list[PoolPart]) -> Iterator[Translation]:
    for part in parts:
        for n, prefix in enumerate(part.prefixes if part.nat_public else ()):
            public = ipaddress.IPv4Network(part.nat_public[n % len(part.nat_public)])
            outside = str(public[0]) if public.prefixlen == 32 else f"{public[0]}-{public[-1]}"
            yield Translation(prefix, outside)


def _kept(model: DeviceModel) -> tuple[str, ...]:
    access = tuple(f"{side.port}." for side in model.edges)
    return tuple(port.name for port in model.ports if port.name.startswith(access))
