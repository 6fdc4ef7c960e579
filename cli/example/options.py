"""What may differ between the committed example, the demo, the lab and bench."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from intents.config.schema import Guards, Limit, RadiusServer, Rollout
from intents.device.schema import Management
from intents.scalars import Address, Duration, Window
from inventory.graph import addressing

Seal = Callable[[str, str], str]
"""(path, dotted key) -> a sealed secret. Who seals makes up the secret and remembers it."""

UNUSABLE = "enc:v1:example…"
"""What stands for every secret in the committed example: it can be read, and opens with no key."""


def unusable(_path: str, _key: str) -> str:
    """Seals nothing: for files that only show."""
    return UNUSABLE


def management_of(_device: str, number: int) -> Management:
    """The management network of the committed example."""
    return Management(address=addressing.management(number), login="network")


def sources_of(_device: str, *own: str) -> tuple[str, ...]:
    """A NAS asks RADIUS from its own addresses."""
    return own


def unchanged(_kind: str, _id: str, value: Any) -> Any:
    """The last word on a document: leave it."""
    return value


def nights() -> dict[str, str]:
    """Devices are changed at night, in site time."""
    return {role: Window("02:00-05:00") for role in ("router", "bng", "olt")}


class ExampleOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything has the value of the committed example.

    `management(device id, number)` may give None (not reachable). `nas_sources(device id, *addresses)` gets a
    BNG's loopbacks and an AP's management address. `adjust(kind, id, value)` may change a document, or drop it (None).
    """

    seal: Seal = unusable
    services: int = 300
    router_platform: str = "frr"
    bng_platform: str = "virtual"
    bng_vendor: str = "mikrotik"
    access_platform: str = "virtual"
    access_vendor: str = "ubiquiti"
    management: Callable[[str, int], Management | None] = management_of
    nas_sources: Callable[..., tuple[str, ...]] = sources_of
    coa_port: int = 3799
    message_authenticator: Literal["require", "auto"] = "require"
    redundant: bool = True
    """Each edge on both BNGs; False: an edge has one BNG, which has one access port (eth1). pppd needs False."""
    vlans: bool = True
    """Tagged access; False: subscribers come untagged to the access port (a kernel without 802.1Q)."""
    bind: tuple[Literal["circuit", "mac"], ...] = ("circuit",)
    """What ties PPPoE logins; () where the access node adds no circuit-id."""
    hello: int = 10
    dead: int = 40
    radius: tuple[RadiusServer, ...] = (
        RadiusServer(address=Address("10.255.1.1"), also=Address("2001:db8:ff::1")),
        RadiusServer(address=Address("10.255.1.2"), also=Address("2001:db8:ff::2")),
    )
    guards: Guards = Guards(
        restrict=Limit(percent=20, count=50), devices=Limit(percent=50), deletes=Limit(count=50)
    )
    """A batch of 100 holds trips the guard unless its count is announced."""
    rollout: Rollout = Rollout(canary=1, steps=(25, 100), soak=Duration(120), confirm=Duration(300))
    windows: Mapping[str, str] = msgspec.field(default_factory=nights)
    garden_url: str = "http://pay.example.net/"
    keys: Mapping[str, str] = {}
    """Identity -> its public key; identities without one get an unusable one."""
    adjust: Callable[[str, str, Any], Any] = unchanged
