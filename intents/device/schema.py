"""network/devices/<id>.yaml: a device, its role, and what the role needs."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.config.schema import Role
from intents.device.roles import Ap, Bng, Nas, Olt
from intents.device.routing import Routing
from intents.scalars import Address, Id, Interface4, Interface6, Line, Mtu, Platform, Port, Vlan, Word
from intents.structs import Intent

DeviceState = Literal["planned", "active", "maintenance", "retired"]
Manage = Literal["observe", "partial", "full"]
Section = Literal["system", "interfaces", "routing", "subscriber", "access"]


class Management(Intent, frozen=True, kw_only=True):
    """How we reach it. The host key is pinned here; `login` names one of `logins` in trunkline.yaml."""

    address: Address
    port: Port = 22
    login: Id | None = None
    host_key: Line | None = None


class Loopback(Intent, frozen=True, kw_only=True):
    """The device's own addresses."""

    v4: Interface4 | None = None
    v6: Interface6 | None = None


class Interface(Intent, frozen=True, kw_only=True):
    """A port. Addresses of links stand in the link; `v4` and `v6` here are for ports without one."""

    description: Line | None = None
    members: tuple[Word, ...] = ()
    parent: Word | None = None
    svlan: Vlan | None = None
    mtu: Mtu | None = None
    enabled: bool = True
    v4: Interface4 | None = None
    v6: Interface6 | None = None


OptionName = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="an option's name in lower case")
]


class Device(Intent, frozen=True, kw_only=True):
    """A device. New ones are only observed until `manage` says more."""

    site: Id
    role: Role
    platform: Platform
    state: DeviceState = "active"
    manage: Manage = "observe"
    sections: tuple[Section, ...] = ()
    pair: Id | None = None
    ring: Id | None = None
    management: Management | None = None
    loopback: Loopback | None = None
    interfaces: dict[Word, Interface] = {}
    routing: Routing | None = None
    nas: Nas | None = None
    bng: Bng | None = None
    olt: Olt | None = None
    ap: Ap | None = None
    options: dict[OptionName, bool | int | Line] = {}
