"""What a GPON line and its services want on a virtual OLT."""

import msgspec
import pytest

from intents.line.schema import GponLine, HandoffLine
from intents.scalars import Serial
from intents.service.schema import Attach, Service
from inventory.model import ServiceOnLine
from renderers import registry
from renderers.virtual.objects import objects

LINE = GponLine(
    state="active", olt="olt7", pon="0/1/0", onu=17, serial=Serial("HWTC1A2B3C4D"), model="hg8245"
)


def on_line(name: str, port: str, effect: str = "", on_hold: str = "auto", svlan: int = 101) -> ServiceOnLine:
    service = Service(
        customer="C-1",
        type="internet",
        state="active",
        plan="p",
        attach=Attach(port=port, svlan=svlan, cvlan=1017),
    )
    return ServiceOnLine(name, msgspec.structs.replace(service, on_hold=on_hold), effect)


def states(*services: ServiceOnLine) -> list[str]:
    return [wanted.attributes["state"] for wanted in objects("L-1", LINE, services)[1:]]


def test_an_active_line_wants_its_onu_and_a_service_port_per_service():
    """First the ONU, then its ports: the order of building."""
    found = objects("L-20881", LINE, (on_line("S-2", "pots1"), on_line("S-1", "eth1")))
    assert [(wanted.kind, wanted.owner) for wanted in found] == [
        ("onu", "L-20881"), ("service-port", "S-1"), ("service-port", "S-2"),
    ]  # fmt: skip
    assert found[0].key == {"pon": "0/1/0", "onu": 17}
    assert found[0].attributes == {"serial": "HWTC1A2B3C4D", "model": "hg8245", "mode": "bridge"}
    assert found[1].key == {"pon": "0/1/0", "onu": 17, "port": "eth1"}
    assert found[1].attributes == {"svlan": 101, "cvlan": 1017, "state": "up"}


def test_a_blocked_service_keeps_its_port_switched_off():
    """Release is one short command, and nothing else of the line changes."""
    assert states(on_line("S-1", "eth1", effect="block"), on_line("S-2", "eth2")) == ["down", "up"]


@pytest.mark.parametrize("effect", ["", "throttle", "walled-garden"])
def test_what_radius_does_leaves_the_port_up(effect):
    """The walled garden needs a working port."""
    assert states(on_line("S-1", "eth1", effect=effect)) == ["up"]


def test_emergency_calls_keep_working():
    """A blocked voice service with `emergency-only` keeps its port."""
    assert states(on_line("S-1", "pots1", effect="block", on_hold="emergency-only")) == ["up"]


@pytest.mark.parametrize(
    "change", [{"state": "ceased"}, {"state": "planned"}, {"onu": None}, {"serial": None}], ids=str
)
def test_a_line_that_is_not_up_and_complete_wants_nothing(change):
    """What is no longer wanted is taken away by the reconciler, in reverse order."""
    assert objects("L-1", msgspec.structs.replace(LINE, **change), (on_line("S-1", "eth1"),)) == []


def test_a_service_without_a_port_of_the_line_wants_no_service_port():
    """IPoE over radio, or not allocated yet."""
    bare = on_line("S-1", "eth1")
    service = msgspec.structs.replace(bare.service, attach=None)
    assert len(objects("L-1", LINE, (ServiceOnLine("S-1", service, ""),))) == 1


def test_other_lines_and_other_platforms_have_no_objects():
    """Only GPON lines, only platforms with `objects.py`."""
    handoff = HandoffLine(state="active", link="nni1", svlan=2101)
    assert objects("L-1", handoff, ()) == []
    assert registry.objects_of("virtual", "L-1", LINE, ()) == objects("L-1", LINE, ())
    assert registry.objects_of("frr", "L-1", LINE, ()) == []
