"""What a lab of routers is made of, and the intents it is read from."""

import ipaddress
from typing import Self

import msgspec

CONTROL = "ctl"
"""The namespace of the operator's side: Trunkline itself runs there, the management network hangs on it."""


class RouterPlan(msgspec.Struct, frozen=True):
    """A router to start, empty; `management` is the address its sshd listens on."""

    name: str
    management: str
    ports: tuple[str, ...] = ()
    """Ports that no link of the lab ends on (customer handoffs): they exist, their other end is ours."""


class Cable(msgspec.Struct, frozen=True):
    """A veth between two ends (router, port). An end whose router is CONTROL lies in the control namespace."""

    a: tuple[str, str]
    b: tuple[str, str]


class LabPlan(msgspec.Struct, frozen=True):
    """Routers, cables and the control side's own addresses on the management network, with prefix length."""

    routers: tuple[RouterPlan, ...]
    cables: tuple[Cable, ...]
    control: tuple[str, ...]

    @classmethod
    def of(cls, routers: dict[str, str], cables: list[tuple[str, str, str, str]], control: str) -> Self:
        """From {name: management address} and [(router, port, router, port)]."""
        return cls(
            tuple(RouterPlan(name, address) for name, address in routers.items()),
            tuple(Cable((a, pa), (b, pb)) for a, pa, b, pb in cables),
            (control,),
        )

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The management network."""
        return ipaddress.ip_interface(self.control[0]).network  # type: ignore[return-value]

    def outside(self) -> dict[tuple[str, str], str]:
        """Ports whose other end is on the operator's side: (router, port) -> the port there."""
        return {cable.a: cable.b[1] for cable in self.cables if cable.b[0] == CONTROL}

    def expected_adjacencies(self) -> int:
        """How many OSPF neighbours all routers together should see, per version: two for every inner cable."""
        return 2 * sum(CONTROL not in (cable.a[0], cable.b[0]) for cable in self.cables)
