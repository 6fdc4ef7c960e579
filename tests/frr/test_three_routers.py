"""Three real routers, configured from nothing over SSH, as one network: the order of the tests is its story."""

import pytest

from cli.lab import namespaces
from cli.lab.apply import apply, apply_all
from cli.lab.convergence import neighbours, reach_matrix, wait_converged
from cli.lab.plan import plan_of
from cli.lab.routers import start_routers
from drivers import registry
from drivers.contract import CommitFailed, SectionDriver
from drivers.frr.driver import FrrDriver
from inventory.resolve import resolve_device
from renderers.frr.renderer import render
from tests.frr.network import BGP_ENDS, LOOPBACKS, ROUTERS, Opened, reader
from tests.support import eventually, need

pytestmark = pytest.mark.real
CAP = 90.0


def configurations(**network) -> dict[str, str]:
    read = reader(**network)
    return {router: render(resolve_device(read, router), Opened()).config for router in ROUTERS}


@pytest.fixture(scope="module")
def ring():
    """A lab of its own: nothing of it is configured before the first test of this file."""
    need("/usr/lib/frr/frr-reload.py", apt="frr frr-pythontools", root=True)
    with start_routers(plan_of(reader(extras=True))) as lab:
        yield lab


@pytest.fixture
def operator(ring):
    with ring.inside():
        yield ring


def running(lab, router: str) -> str:
    with registry.opened(lab.target(router)) as driver:
        return str(driver.get_config(retrieve="running")["running"])


def test_empty_routers_become_a_network(ring):
    """All OSPF adjacencies Full, all iBGP sessions Established, every loopback reaches every loopback."""
    applied = apply_all(ring, configurations(), workers=2)
    assert all(done.difference for done in applied.values())
    counts, _ = wait_converged(ring, CAP, bgp=BGP_ENDS)
    assert (counts.ospf, counts.ospf6, counts.bgp) == (6, 6, 8)
    eventually(lambda: reach_matrix(ring, LOOPBACKS).complete, cap=CAP, says=ring.logs)


def test_a_second_apply_finds_nothing_to_do(ring):
    """Rendering and applying again changes nothing: the difference is empty on every router."""
    assert [done.difference for done in apply_all(ring, configurations(), workers=2).values()] == [""] * 3


def test_another_cost_is_two_lines_on_each_end_and_keeps_adjacencies(ring):
    """One changed intent touches two lines (OSPFv2 and v3) of two routers, and the third not at all."""
    applied = apply_all(ring, configurations(cost=30), workers=2)
    wanted = (
        " interface eth0\n- ip ospf cost 10\n+ ip ospf cost 30\n- ipv6 ospf6 cost 10\n+ ipv6 ospf6 cost 30\n"
    )
    differences = {router: sorted(done.difference.splitlines()) for router, done in applied.items()}
    assert differences == {"r1": sorted(wanted.splitlines()), "r2": sorted(wanted.splitlines()), "r3": []}
    assert sum(n.up for n in neighbours(ring, "r1") if n.protocol == "ospf") == 2


def test_the_driver_observes_its_neighbours(operator):
    """observe() names every OSPF, OSPFv3 and BGP neighbour, with its state.

    A neighbour that was heard under another router id while its daemon came up stays listed, not Full, until
    its dead interval (40 s) ends.
    """
    wanted = [("bgp", True)] * 4 + [("ospf", True)] * 2 + [("ospf6", True)] * 2
    with registry.opened(operator.target("r1")) as driver:
        assert isinstance(driver, FrrDriver)
        eventually(
            lambda: sorted((n.protocol, n.up) for n in driver.observe().neighbours or ()) == wanted,
            cap=60, every=0.5, says=lambda: driver.observe().neighbours,
        )  # fmt: skip
        peers = driver.get_bgp_neighbors()["global"]["peers"]
        ports = driver.get_interfaces()
    assert (ports["eth0"]["is_up"], ports["eth0"]["description"]) == (True, "to r2 eth0")
    assert {name: peer["is_up"] for name, peer in peers.items()} == {
        "198.51.100.2": True, "198.51.100.3": True, "2001:db8:ffff::2": True, "2001:db8:ffff::3": True,
    }  # fmt: skip


def test_a_rollback_brings_the_old_cost_back(operator):
    """The network before the last commit, to the letter."""
    before = running(operator, "r1")
    apply(operator, "r1", configurations(cost=77)["r1"])
    assert "cost 77" in running(operator, "r1")
    with registry.opened(operator.target("r1")) as driver:
        driver.rollback()
    assert running(operator, "r1") == before


def test_a_commit_that_fails_half_way_is_undone_on_the_router(operator):
    """FRR runs the lines before the one it refuses; afterwards the old configuration runs and sessions stand."""
    before = running(operator, "r1")
    broken = configurations(cost=88)["r1"].replace(
        "neighbor 198.51.100.2 remote-as", "neighbor 1.2.3.400 remote-as"
    )
    with pytest.raises(CommitFailed, match="the old configuration is running") as caught:
        apply(operator, "r1", broken)
    assert caught.value.restored
    assert running(operator, "r1") == before
    wait_converged(operator, CAP, bgp=BGP_ENDS)


def test_an_unparsable_configuration_is_refused_with_its_line(operator):
    """Nothing is run; the sentence has FRR's words and the line."""
    before = running(operator, "r2")
    broken = configurations()["r2"].replace("ip ospf cost", "ip ospf cozt", 1)
    line = broken[: broken.index("cozt")].count("\n") + 1
    with pytest.raises(CommitFailed, match=f"line {line}: % Unknown command"):
        apply(operator, "r2", broken)
    assert running(operator, "r2") == before


def test_customers_and_upstreams_are_configured_too(ring):
    """eBGP with policies and passwords, statics, VLANs that this kernel lacks: taken, and stable afterwards."""
    apply_all(ring, configurations(cost=30, extras=True), workers=2)
    again = apply_all(ring, configurations(cost=30, extras=True), workers=2)
    assert [done.difference for done in again.values()] == [""] * 3
    assert "enc:v1" not in running_all(ring)


def running_all(lab) -> str:
    with lab.inside():
        return "".join(running(lab, router) for router in ROUTERS)


def test_a_password_is_never_in_a_difference(operator):
    """What the plan shows and stores has no secret in it."""
    changed = configurations(cost=30, extras=True)["r1"].replace("password transit", "password another1")
    with registry.opened(operator.target("r1")) as driver:
        driver.load_replace_candidate(config=changed)
        shown = driver.compare_config()
        driver.discard_config()
    assert "password <secret>" in shown
    assert "another1" not in shown
    assert "transit" not in shown


def test_a_section_of_somebody_elses_stays_as_it_runs(operator):
    """Owning only the interfaces: our description comes, the cost that somebody set by hand stays."""
    before = running(operator, "r3")
    wanted = configurations(cost=30, extras=True)["r3"].replace("to r1 eth1", "to r1, port eth1")
    wanted = wanted.replace("cost 10", "cost 99").replace("neighbor 198.51.100.1 ", "neighbor 198.51.100.9 ")
    with registry.opened(operator.target("r3")) as driver:
        assert isinstance(driver, SectionDriver)
        driver.load_sections_candidate(wanted, ["interfaces"])
        difference = driver.compare_config()
        driver.commit_config()
    assert difference == " interface eth1\n- description to r1 eth1\n+ description to r1, port eth1\n"
    assert running(operator, "r3") == before.replace("to r1 eth1", "to r1, port eth1")


def test_left_overs_of_a_killed_lab_are_removed(ring):
    """A namespace whose pid is gone goes at the next start; those of living processes stay."""
    gone = "tl4194303-r1"  # above the kernel's default pid_max
    namespaces.run(["ip", "netns", "add", gone])
    namespaces.remove_stale()
    assert not (namespaces.RUN / gone).exists()
    assert (namespaces.RUN / ring.control).exists()
