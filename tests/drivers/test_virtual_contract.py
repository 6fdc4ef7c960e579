"""The virtual device keeps the driver contract, on an OLT and on a BNG."""

import pytest

from drivers.contract import LiveSession, ObjectOp
from tests.drivers.contract_suite import DriverContract, Subject

COMMON = """system
  hostname {name}
interface uplink1
  description to the core
  mtu 9000
  address 192.0.2.1/31
  ospf area 0.0.0.0
router
  router-id 198.51.100.1
"""
PON = """pon 0/1/0
  technology gpon
  svlan 101
"""
ONU = ObjectOp(op="put", kind="onu", key={"pon": "0/1/0", "onu": 17}, attributes={"serial": "HWTC1A2B3C4D"})
PORT = ObjectOp(
    op="put",
    kind="service-port",
    key={"pon": "0/1/0", "onu": 17, "port": "eth1"},
    attributes={"svlan": 101, "cvlan": 1017, "down": 500000, "up": 50000},
)


def subject_on(fleet, name: str, extra: str, live_session) -> Subject:
    base = COMMON.format(name=name) + extra
    return Subject(
        target=fleet.target(name, "net"),
        base=base,
        other=base.replace("9000", "1500").replace("to the core", "to another core"),
        addition="interface uplink2\n  address 2001:db8::1/127\n",
        broken=base + "interface uplink3\n  address 192.0.2.1/31\n",
        live_session=live_session,
        objects=(ONU, PORT),
    )


class TestVirtualOlt(DriverContract):
    @pytest.fixture
    def subject(self, fleet) -> Subject:
        def live_session() -> LiveSession:
            session = LiveSession("81A0001", "s10482@example.net", "uplink1", "100.64.0.9")
            fleet["olt1"].sessions.open(session)
            return session

        return subject_on(fleet, "olt1", PON, live_session)
