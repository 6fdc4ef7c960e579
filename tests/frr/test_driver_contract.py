"""FRR's driver keeps every promise of the driver contract, on a real router."""

import re

import pytest

from tests.drivers.contract_suite import DriverContract, Subject

pytestmark = pytest.mark.real

BASE = """\
interface eth0
 description to r2
 ip address 192.0.2.0/31
 ip ospf area 0.0.0.0
 ip ospf cost 10
exit
interface lo
 ip address 198.51.100.1/32
exit
ip route 203.0.113.0/24 blackhole
router ospf
 ospf router-id 198.51.100.1
exit
"""
OTHER = (
    BASE.replace("cost 10", "cost 20").replace("ip route 203.0.113.0/24", "ip route 203.0.113.0/25")
    + """\
ip prefix-list CUSTOMER-in seq 10 permit 198.51.100.192/26
route-map CUSTOMER-in permit 10
 match ip address prefix-list CUSTOMER-in
exit
router bgp 64500
 bgp router-id 198.51.100.1
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64496
 neighbor 192.0.2.1 password not-for-eyes
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 route-map CUSTOMER-in in
 exit-address-family
exit
"""
)


def without_heading(running: str) -> str:
    """Neither version nor hostname belong to what was committed."""
    return re.sub(r"(?m)^(frr version|hostname) .*\n", "", running).strip()


class TestFrr(DriverContract):
    @pytest.fixture
    def subject(self, operator) -> Subject:
        return Subject(
            target=operator.target("r1", timeout=30),
            base=BASE,
            other=OTHER,
            addition="interface eth1\n description added\n ip address 192.0.2.4/31\nexit\n",
            broken=BASE.replace("ip ospf cost 10", "ip ospf cozt 10"),
            normalise=without_heading,
        )


class TestFrrThatFailsHalfWay(TestFrr):
    """The same promises when FRR's parser takes what its daemons then refuse."""

    @pytest.fixture
    def subject(self, operator) -> Subject:
        unknown_at_run_time = OTHER.replace("neighbor 192.0.2.1 remote-as", "neighbor 1.2.3.400 remote-as")
        return Subject(
            target=operator.target("r1", timeout=30),
            base=BASE,
            other=OTHER,
            addition="ip route 203.0.113.128/25 blackhole\n",
            broken=unknown_at_run_time,
            normalise=without_heading,
        )
