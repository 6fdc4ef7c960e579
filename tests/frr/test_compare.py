"""What FRR's reload tool prints becomes a small difference without its noise."""

from drivers.frr.compare import difference, masked

ALWAYS = "\nLines To Delete\n===============\nno hostname vm\n\nLines To Add\n============\nhostname r1\nline vty\n"

CHANGED = """
Lines To Delete
===============
no hostname vm
interface eth0
 no ip ospf cost 10
router bgp 64500
 bgp default ipv4-unicast
router bgp 64500
 address-family ipv4 unicast
  no neighbor 192.0.2.1 route-map OLD in
no route-map OLD permit 10

Lines To Add
============
no ip route 10.9.0.0/24 192.0.2.1
interface eth0
 ip ospf cost 20
interface spare
router bgp 64500
router bgp 64500
 neighbor 192.0.2.1 password s3cret
"""


def test_what_the_tool_always_reports_is_no_difference():
    """Hostname, version and `line vty` come up every time."""
    assert difference(ALWAYS, "hostname r1\n") == ""


def test_a_difference_names_contexts_and_both_sides():
    """Deletions are shown as the line that goes, negated lines as they stand, removed routes as removals."""
    assert difference(CHANGED, "") == (
        " interface eth0\n"
        "- ip ospf cost 10\n"
        "+ ip ospf cost 20\n"
        "+router bgp 64500\n"
        "- no bgp default ipv4-unicast\n"
        "  address-family ipv4 unicast\n"
        "-  neighbor 192.0.2.1 route-map OLD in\n"
        "+ neighbor 192.0.2.1 password <secret>\n"
        "-route-map OLD permit 10\n"
        "-ip route 10.9.0.0/24 192.0.2.1\n"
    )


def test_a_merge_deletes_nothing():
    """What the candidate does not name stays, so it is not shown; a `no` line of the candidate is."""
    shown = difference(CHANGED, "no ip route 10.9.0.0/24 192.0.2.1\n", merge=True)
    assert "-" not in {line[0] for line in shown.splitlines()}
    assert "+no ip route 10.9.0.0/24 192.0.2.1\n" in shown


def test_a_line_removed_and_added_in_one_go_is_no_difference():
    """The tool does that to change an order that does not matter."""
    removed, added = "interface eth0\n no ip ospf cost 10\n", "interface eth0\n ip ospf cost 10\n"
    shown = f"\nLines To Delete\n==\n{removed}\nLines To Add\n==\n{added}"
    assert difference(shown, "") == ""


def test_passwords_are_masked_everywhere():
    """Sanitised configuration shows that there is a password, not which."""
    text = " neighbor 192.0.2.1 password s3cret\n ip ospf message-digest-key 1 md5 s3cret\n"
    assert (
        masked(text) == " neighbor 192.0.2.1 password <secret>\n ip ospf message-digest-key 1 md5 <secret>\n"
    )
