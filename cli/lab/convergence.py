"""Has the lab converged, and does every loopback reach every loopback: counts, not opinions."""

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from cli.lab import frr, namespaces
from cli.lab.ping import reached
from cli.lab.routers import Lab
from drivers.contract import Neighbour
from drivers.frr import getters


class Counts(msgspec.Struct, frozen=True):
    """Neighbours that are up, and all that the routers know, summed over both ends."""

    ospf: int
    ospf6: int
    bgp: int
    ospf_all: int
    ospf6_all: int
    bgp_all: int

    def __str__(self) -> str:
        return (
            f"OSPFv2 {self.ospf}/{self.ospf_all} Full, OSPFv3 {self.ospf6}/{self.ospf6_all} Full, "
            f"BGP {self.bgp}/{self.bgp_all} Established"
        )


class Reach(msgspec.Struct, frozen=True):
    """Ordered loopback pairs that reach each other; `missing` names some that do not."""

    v4: int
    v6: int
    pairs: int
    seconds: float
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Every loopback reaches every loopback, in both families."""
        return self.v4 == self.v6 == self.pairs

    def __str__(self) -> str:
        return f"loopback pairs reached: IPv4 {self.v4}/{self.pairs}, IPv6 {self.v6}/{self.pairs}"


class NotConverged(namespaces.LabFailed):
    """The routers did not find each other in time; the counts say how far they came."""

    def __init__(self, counts: Counts, cap: float) -> None:
        super().__init__(f"converge within {cap:g} s", str(counts))
        self.counts = counts


def neighbours(lab: Lab, router: str) -> list[Neighbour]:
    """What a router says of its neighbours, asked on the spot (not over SSH: this is the referee)."""
    commands = ("show ip ospf neighbor json", "show ipv6 ospf6 neighbor json", "show bgp summary json")
    ospf, ospf6, bgp = frr.ask(lab.namespace(router), *commands)
    return [*getters.ospf(ospf), *getters.ospf6(ospf6), *getters.bgp(bgp)]


def count(lab: Lab) -> Counts:
    """Neighbours of all routers."""
    names = [router.name for router in lab.plan.routers]
    with ThreadPoolExecutor(2) as pool:
        found = [
            neighbour for seen in pool.map(lambda name: neighbours(lab, name), names) for neighbour in seen
        ]
    up = [sum(n.up for n in found if n.protocol == protocol) for protocol in ("ospf", "ospf6", "bgp")]
    known = [sum(n.protocol == protocol for n in found) for protocol in ("ospf", "ospf6", "bgp")]
    return Counts(*up, *known)


def wait_converged(lab: Lab, cap: float, bgp: int, adjacencies: int | None = None) -> tuple[Counts, float]:
    """Wait until all adjacencies are Full and `bgp` session ends are Established; returns counts and seconds.

    `adjacencies` is what to expect per OSPF version, by default two for each cable between routers.
    Raises NotConverged.
    """
    wanted = lab.plan.expected_adjacencies() if adjacencies is None else adjacencies
    begin = time.monotonic()
    while True:
        counts = count(lab)
        if counts.ospf == counts.ospf6 == wanted and counts.bgp == bgp:
            return counts, time.monotonic() - begin
        if time.monotonic() - begin > cap:
            raise NotConverged(counts, cap)
        time.sleep(0.5)


def reach_matrix(lab: Lab, loopbacks: dict[str, tuple[str, str]], wait: float = 1.0) -> Reach:
    """Echo requests between all ordered pairs of loopbacks {router: (IPv4, IPv6)}, from the loopback itself."""
    begin = time.monotonic()
    totals, missing = [0, 0], []
    for name, own in loopbacks.items():
        for family in (0, 1):
            others = {pair[family]: other for other, pair in loopbacks.items() if other != name}
            seen = reached(lab.namespace(name), own[family], list(others), wait)
            totals[family] += len(seen)
            missing += [f"{name} -> {others[address]} {address}" for address in others if address not in seen]
    pairs = len(loopbacks) * (len(loopbacks) - 1)
    return Reach(totals[0], totals[1], pairs, time.monotonic() - begin, tuple(missing[:20]))
