"""The hooks of a session: free only when they have done all, in the garden with a line in the log when they fail."""

import re

import pytest

from renderers.linux_pppd.renderer import FREE_GROUP
from tests.linux_pppd.host_bng import FREE, HostBng, fetch

pytestmark = pytest.mark.real

UP, DOWN = "ip-pre-up.d/trunkline-up", "ip-down.d/trunkline-down"
RATE = 'Filter-Id "20000/5000"'
HELD = f'{RATE}\nFilter-Id "tl-garden"'
NOTE, REPLY, LOG = "/run/trunkline/sessions/ppp0", "/run/radattr.ppp0", "/run/log"

_NOT_FREE = f"""cat >/run/bin/ip <<'END' && chmod 755 /run/bin/ip
#!/bin/sh
case $* in *{FREE_GROUP}) exit 1 ;; esac
exec /usr/sbin/ip "$@"
END"""


@pytest.fixture
def bng(booted: HostBng) -> HostBng:
    """With a new interface, RADIUS's answer for a session that is free, and programs that work; `tc` only says so."""
    booted.must("rm -rf /run/bin/* /run/log /run/trunkline/sessions/* /run/radattr.*")
    booted.replug()
    booted.program("tc", "cat >/run/shaping")
    booted.program("logger", f'echo "$*" >>{LOG}')
    answers(booted, RATE)
    return booted


def answers(bng: HostBng, reply: str) -> None:
    """What radattr.so wrote down of RADIUS's answer."""
    bng.must(f"cat >{REPLY} <<END\n{reply}\nEND")


def logged(bng: HostBng) -> str:
    """The log."""
    return bng.run(f"cat {LOG}").stdout


def test_a_free_subscriber_is_there_as_soon_as_the_hook_is_done(bng: HostBng):
    """Nothing else is waited for, and the rate limits are in place before."""
    bng.program("tc", "cat >/run/shaping /sys/class/net/ppp0/netdev_group -")
    assert fetch(cap=1) == 0
    assert bng.hook(UP).returncode == 0
    assert fetch() == 200
    group, *shaping = bng.must("cat /run/shaping").splitlines()
    assert group == "0"
    assert [re.findall("rate [0-9]+kbit", line) for line in shaping if "rate" in line] == [
        ["rate 20000kbit"],
        ["rate 5000kbit"],
    ]
    assert "garden=leave" in bng.must(f"cat {NOTE}")
    assert logged(bng) == ""


@pytest.mark.parametrize(
    ("reply", "noted"),
    [
        (f"Class x\n{RATE}\nFilter-Id 1/1", {"rate": "20000/5000", "wan6": "", "pd": ""}),
        ("Filter-Id 0/5000", {"rate": "0/5000"}),
        ("Filter-Id 1/2/3\nFilter-Id /3\nFilter-Id 3/\nFilter-Id some-filter", {"rate": ""}),
        ('Framed-Pool "x"\nFramed-IPv6-Prefix 2001:db8:1::/64\nDelegated-IPv6-Prefix "2001:db8:2::/56"',
         {"wan6": "2001:db8:1::/64", "pd": "2001:db8:2::/56"}),
        ('Framed-IPv6-Pool "p-wan"\nDelegated-IPv6-Prefix-Pool p_pd', {"wan6": "p-wan", "pd": "p_pd"}),
        ("Framed-IPv6-Pool a b\nDelegated-IPv6-Prefix 2001:db8::", {"wan6": "", "pd": ""}),
        ('Reply-Message "Filter-Id tl-garden"\nFramed-IPv6-Pool p-wan\nFramed-IPv6-Prefix 2001:db8:1::/64',
         {"wan6": "2001:db8:1::/64"}),
    ],
)  # fmt: skip
def test_the_note_says_what_radius_said(bng: HostBng, reply: str, noted: dict[str, str]):
    """A prefix before a pool, the first of each; what is none of its kind is left out. All these are free."""
    answers(bng, reply)
    assert bng.hook(UP).returncode == 0
    found = dict(line.split("=", 1) for line in bng.must(f"cat {NOTE}").splitlines())
    own = {"pid": "1", "access": "eth1", "number": "1", "mac": "02-00-00-00-00-01", "id": "id"}
    own |= {"address": FREE, "garden": "leave", "login": "s1@example.net"}
    assert found | own | noted == found
    assert set(found) == {*own, "rate", "wan6", "pd"}


@pytest.mark.parametrize("reply", [HELD, f'{RATE}\nFramed-Pool "perth-garden"'])
def test_the_first_answer_that_a_held_subscriber_gets_is_the_page(bng: HostBng, reply: str):
    """By either word of RADIUS's; that is no failure."""
    answers(bng, reply)
    assert fetch(cap=1) == 0
    assert bng.hook(UP).returncode == 0
    assert fetch() == 511
    assert "garden=join" in bng.must(f"cat {NOTE}")
    assert logged(bng) == ""


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        ("printf '#!/bin/sh\\nexit 1\\n' >/run/bin/tc", "it is not shaped to 20000/5000"),
        (f"rm {REPLY}", f"{REPLY} does not say what RADIUS answered"),
        (f": >{REPLY}", f"{REPLY} does not say what RADIUS answered"),
        (f"mkdir -p {NOTE}.new", f"its note {NOTE} cannot be written"),
        (_NOT_FREE, "its group cannot be set"),
        ("printf '#!/bin/sh\\nkill $PPID\\n' >/run/bin/tc", "its hook was cut off"),
    ],
)
def test_a_hook_that_fails_leaves_the_subscriber_in_the_garden_and_says_so(
    bng: HostBng, breaks: str, says: str
):
    """Whatever fails: he is not free, and not shaped either perhaps."""
    bng.must(breaks)
    assert bng.hook(UP).returncode != 0
    assert fetch() == 511
    assert (
        logged(bng)
        == f"-p daemon.err -t trunkline the session of s1@example.net on ppp0 is in the garden: {says}\n"
    )


def test_a_hook_that_is_killed_frees_nobody(bng: HostBng):
    """It can say nothing then; nothing passes."""
    bng.program("tc", "kill -9 $PPID")
    bng.hook(UP)
    assert fetch(cap=1) == 0
    bng.agent("firewall")
    assert fetch(cap=1) == 0


def test_nobody_is_free_any_more_when_ipv4_goes_down(bng: HostBng):
    """pppd may go on with the interface: IPCP is negotiated again."""
    bng.hook(UP)
    assert fetch() == 200
    bng.hook(DOWN)
    assert fetch(cap=1) == 0
    bng.agent("firewall")
    assert fetch(cap=1) == 0
    bng.hook(UP)
    assert fetch() == 200


def test_a_late_end_of_the_session_before_leaves_the_next_one_alone(bng: HostBng):
    """Hooks of one interface wait for each other, and an end knows its own session by pppd's number."""
    bng.hook(UP, pid=1)
    bng.replug()
    bng.hook(UP, pid=2)
    bng.hook(DOWN, pid=1)
    assert fetch() == 200
    assert "pid=2" in bng.must(f"cat {NOTE}")
