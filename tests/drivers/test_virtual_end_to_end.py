"""Intent -> rendering -> a virtual device over SSH -> the same again changes nothing, for every role."""

import pytest

from drivers import registry
from drivers.contract import ObjectOp
from drivers.virtual.device import DeviceSpec
from drivers.virtual.fleet import VirtualFleet
from intents.line.schema import GponLine
from intents.scalars import Serial
from intents.service.schema import Attach, Service
from inventory.model import ServiceOnLine
from inventory.resolve import resolve_device
from renderers.registry import objects_of, renderer_for
from tests.drivers.conftest import LOGINS
from tests.renderers.network_of_files import Opened, network

ROLES = {"core1": "router", "core2": "router", "bng1": "bng", "olt7": "olt", "ap-hill": "ap"}


@pytest.fixture
def devices(tmp_path):
    """A fleet as the intents name it."""
    specs = [DeviceSpec(name=name, role=role, logins=LOGINS) for name, role in ROLES.items()]
    with VirtualFleet(tmp_path, specs) as started:
        yield started


@pytest.mark.parametrize("name", ROLES)
def test_a_rendering_runs_and_a_second_apply_is_empty(name, devices):
    """The whole way of lane 3 on every role, undone at the end."""
    config = renderer_for("virtual").render(resolve_device(network(), name), Opened()).config
    with registry.opened(devices.target(name, "net")) as driver:
        before = driver.get_config()["running"]
        driver.load_replace_candidate(config=config)
        driver.commit_config(revert_in=60)
        driver.confirm_commit()
        driver.load_replace_candidate(config=config)
        assert driver.compare_config() == ""
        driver.discard_config()
        driver.rollback()
        assert driver.get_config()["running"] == before


def test_the_neighbours_of_a_bng_are_those_of_its_intent(devices):
    """What the gates look at comes from the rendering."""
    model = resolve_device(network(), "bng1")
    with registry.opened(devices.target("bng1", "net")) as driver:
        driver.load_replace_candidate(config=renderer_for("virtual").render(model, Opened()).config)
        driver.commit_config()
        seen = driver.observe().neighbours or ()
    assert sum(neighbour.protocol == "bgp" for neighbour in seen) == 4
    assert {neighbour.protocol for neighbour in seen if neighbour.neighbour == "sfp28-1"} == {"ospf", "ospf6"}
    assert all(neighbour.up for neighbour in seen)


def test_a_line_is_activated_suspended_released_and_removed(devices):
    """Lane 2: what the line wants, put on the OLT; what it no longer wants, taken away in reverse."""
    line = GponLine(state="active", olt="olt7", pon="0/1/0", onu=17, serial=Serial("HWTC1A2B3C4D"))
    service = Service(
        customer="C-1", type="internet", state="active", plan="p", attach=Attach(port="eth1", svlan=101, cvlan=1017)
    )  # fmt: skip
    config = renderer_for("virtual").render(resolve_device(network(), "olt7"), Opened()).config
    with registry.opened(devices.target("olt7", "net")) as driver:
        driver.load_replace_candidate(config=config)
        driver.commit_config()
        for effect, state in (("", "up"), ("block", "down"), ("", "up")):
            assert all(result.ok for result in driver.apply_objects(_puts(line, service, effect)))
            (port,) = devices["olt7"].objects.table.ports.values()
            assert (port.state, port.cvlan) == (state, 1017)
        gone = [ObjectOp(op="delete", kind=op.kind, key=op.key) for op in reversed(_puts(line, service, ""))]
        assert [(result.ok, result.changed) for result in driver.apply_objects(gone)] == [(True, True)] * 2


def _puts(line: GponLine, service: Service, effect: str) -> list[ObjectOp]:
    wanted = objects_of("virtual", "L-1", line, (ServiceOnLine("S-1", service, effect),))
    return [ObjectOp(op="put", kind=each.kind, key=each.key, attributes=each.attributes) for each in wanted]
