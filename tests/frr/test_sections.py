"""`manage: partial`: a section of ours is replaced, a section of somebody else's stays as it runs."""

from drivers.frr.sections import combined

RUNNING = """\
frr version 8.4.4
hostname vm
log syslog informational
!
ip route 10.9.0.0/24 blackhole
!
interface eth0
 description by hand
 ip address 192.0.2.0/31
 ip ospf area 0.0.0.0
 ip ospf cost 10
exit
!
interface gone
 ip address 192.0.2.8/31
exit
!
router bgp 64500
 bgp router-id 198.51.100.1
 !
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
 exit-address-family
exit
!
end
"""
CANDIDATE = """\
hostname r1
interface eth0
 description ours
 ip address 192.0.2.0/31
 ip ospf area 0.0.0.0
 ip ospf cost 20
exit
interface eth1
 description new
exit
router ospf
 ospf router-id 198.51.100.1
exit
end
"""


def test_owning_interfaces_leaves_routing_as_it_runs():
    """Descriptions and addresses are ours, a port that left the intent goes; cost, routes and BGP are not ours."""
    text = combined(CANDIDATE, RUNNING, ["interfaces"])
    assert " description ours\n ip address 192.0.2.0/31\n ip ospf area 0.0.0.0\n ip ospf cost 10\n" in text
    assert "interface eth1\n description new\nexit\n" in text
    assert "interface gone" not in text
    assert "ip route 10.9.0.0/24 blackhole\n" in text
    assert "  neighbor 192.0.2.1 activate\n exit-address-family\nexit\n" in text
    assert "router ospf" not in text


def test_owning_routing_leaves_ports_as_they_run():
    """The cost is ours and BGP goes; descriptions and addresses are not ours."""
    text = combined(CANDIDATE, RUNNING, ["routing"])
    assert " description by hand\n ip address 192.0.2.0/31\n ip ospf area 0.0.0.0\n ip ospf cost 20\n" in text
    assert "interface gone\n ip address 192.0.2.8/31\n" in text
    assert "eth1" not in text
    assert "router ospf\n ospf router-id 198.51.100.1\nexit\n" in text
    assert "router bgp" not in text
    assert "ip route" not in text


def test_owning_both_is_the_candidate():
    """Nothing of what runs is left but the host's own lines, which the router itself keeps."""
    text = combined(CANDIDATE, RUNNING, ["interfaces", "routing"])
    assert text == "".join(
        [CANDIDATE[CANDIDATE.index("interface") : CANDIDATE.index("router ospf")], "hostname r1\n",
         CANDIDATE[CANDIDATE.index("router ospf") : CANDIDATE.index("end")]]
    )  # fmt: skip
