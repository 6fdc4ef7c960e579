"""The virtual device: a resolved router, BNG, OLT or AP -> its whole configuration. Pure."""

from collections.abc import Iterator

import jinja2
import msgspec

from inventory.model import DeviceModel, OspfPort, Port, SecretRef, StaticRoute
from renderers.contract import CannotRender, Rendered, Secrets
from renderers.environment import environment, rendered
from renderers.virtual import escape

PLATFORM = "virtual"
ROLES = frozenset({"router", "bng", "olt", "ap"})


class IbgpPeer(msgspec.Struct, frozen=True):
    """An iBGP session between two loopbacks of one family."""

    device: str
    address: str
    source: str
    client: bool


def render(model: DeviceModel, secrets: Secrets) -> Rendered:
    """The whole configuration. Raises CannotRender where the intent asks for what the device cannot do."""
    role = model.device.role
    _check(model, role)

    def opened(ref: SecretRef) -> str:
        return secrets.open(ref.sealed, ref.path, ref.key)

    try:
        return rendered(
            environment(PLATFORM, escape.text, escape.secret, escape.word, escape.span, escape.number),
            f"{role}.j2",
            model=model,
            ports=[*_loopback(model), *model.ports],
            statics=[_static(route) for route in model.routing.statics] if model.routing else [],
            ibgp=list(_ibgp(model)),
            ebgp=model.routing.ebgp if model.routing else (),
            opened=opened,
        )
    except (ValueError, jinja2.UndefinedError) as error:
        raise CannotRender(model.id, str(error)) from error


def _check(model: DeviceModel, role: str) -> None:
    if role not in ROLES:
        raise CannotRender(
            model.id, f"platform virtual has no role {role}; it has {', '.join(sorted(ROLES))}"
        )
    if role in ("olt", "ap") and getattr(model.device, role) is None:
        raise CannotRender(model.id, f"a device of role {role} needs a section '{role}' in its file")
    if model.nas and not model.nas.secrets:
        raise CannotRender(model.id, "a NAS needs a secret: give nas.secrets")


def _loopback(model: DeviceModel) -> Iterator[Port]:
    v4, v6 = model.loopback_v4, model.loopback_v6
    if v4 is None and v6 is None:
        return
    has_ospf = bool(model.routing and model.routing.area)
    yield Port(
        name="lo",
        v4=(v4,) if v4 else (),
        v6=(v6,) if v6 else (),
        ospf=OspfPort(cost=None, passive=True, hello=10, dead=40) if has_ospf else None,
    )


def _ibgp(model: DeviceModel) -> Iterator[IbgpPeer]:
    """A session per family: a lost IPv6 path must not take IPv4 routes away."""
    for peer in model.routing.ibgp if model.routing else ():
        for address, own in ((peer.v4, model.loopback_v4), (peer.v6, model.loopback_v6)):
            if address and own:
                yield IbgpPeer(peer.device, address, own.split("/")[0], peer.client)


def _static(route: StaticRoute) -> str:
    if route.discard:
        return f"{route.prefix} discard"
    way = f"via {route.via}" if route.via else f"port {route.port}"
    return f"{route.prefix} {way}" + (f" distance {route.distance}" if route.distance else "")
