"""Intents -> the files of a pppd BNG; `--regenerate-golden` writes the golden file anew, for review."""

from pathlib import Path

import pytest

from drivers.files_on_device import agent_text
from inventory.resolve import resolve_device
from renderers.contract import CannotRender, Rendered
from renderers.linux_pppd.escape import NotPlain
from renderers.linux_pppd.renderer import FREE_GROUP, HELD_GROUP, render
from renderers.registry import renderer_for
from tests.linux_pppd.network import Opened, documents, reader

GOLDEN = Path(__file__).parent / "golden"
BNG, EDGE, CGN = "network/devices/bng1.yaml", "network/edges/perth-west.yaml", "network/pools/perth-cgn.yaml"


def rendered(**replaced: tuple[str, str]) -> Rendered:
    """The example's BNG after replacing (old, new) in the documents bng, edge, cgn or config."""
    found = documents()
    paths = {"bng": BNG, "edge": EDGE, "cgn": CGN, "config": "trunkline.yaml"}
    for name, (old, new) in replaced.items():
        assert old in found[paths[name]]
        found[paths[name]] = found[paths[name]].replace(old, new)
    return render(resolve_device(reader(found), "bng1"), Opened())


def test_the_example_renders_to_the_golden_files(golden):
    """One text holds every file; the driver loads it as it is."""
    golden.check(GOLDEN / "bng1.txt", rendered().config)


def test_agent_and_rules_name_the_same_groups():
    """The agent puts sessions into them that the rules were not made for."""
    assert f"\nFREE_GROUP={FREE_GROUP} HELD_GROUP={HELD_GROUP} " in agent_text("linux_pppd")


def test_the_registry_finds_the_renderer_for_bngs():
    """Nothing else is edited for a new platform."""
    assert "bng" in renderer_for("linux_pppd").ROLES


def test_every_line_of_the_text_knows_its_template():
    """`trunkline why` follows a line on the device to the template that made it."""
    made = rendered()
    for number, line in enumerate(made.config.splitlines(), start=1):
        if line.strip() and not line.startswith("=== "):
            template, at = made.origins[number]
            assert template.endswith(".j2")
            assert at > 0


def test_text_and_files_say_the_same():
    """`files` is `config` taken apart."""
    made = rendered()
    headings = [line.split(" ")[2] for line in made.config.splitlines() if line.startswith("=== ")]
    assert headings == sorted(made.files)
    assert all(text in made.config for text in made.files.values())


def test_secrets_stand_in_one_file_that_only_root_reads():
    """The RADIUS secret is nowhere else."""
    made = rendered()
    holders = [path for path, text in made.files.items() if "radius-secret" in text]
    assert holders == ["/etc/trunkline/radius/servers"]
    assert "=== 0600 /etc/trunkline/radius/servers" in made.config


def test_each_s_vlan_is_a_listener_with_addresses_of_its_own():
    """Two listeners never give the same address: a pppoe-server knows only what it gave out itself."""
    made = rendered(edge=("methods:", "svlans: [100-102]\nmethods:"))
    pools = [text.split() for path, text in made.files.items() if path.endswith(".pool")]
    assert [path for path in made.files if path.endswith(".args")] == [
        f"/etc/trunkline/access/eth1.{tag}.args" for tag in (100, 101, 102)
    ]
    given = [address for pool in pools for address in pool]
    assert len(given) == len(set(given)) == 30


def test_the_gateway_and_awkward_addresses_are_not_given_out():
    """Some subscribers' equipment cannot live with .0 and .255."""
    pool = rendered(bng=("sessions: 30", "sessions: 400")).files["/etc/trunkline/access/eth1.pool"].split()
    assert len(pool) == 253
    assert not {"100.64.0.0", "100.64.0.1", "100.64.0.255"} & set(pool)


def test_carrier_grade_nat_is_rendered_where_the_pool_asks_for_it():
    """Source NAT to the pool's public addresses, in both rule sets."""
    nat = "use: cgnat\nnat: {public: [203.0.113.128/25]}"
    made = rendered(cgn=("use: cgnat", nat))
    expected = "203.0.113.128-203.0.113.255"
    assert (
        f'ip saddr 100.64.0.0/24 oifname != "ppp*" snat ip to {expected}'
        in made.files["/etc/trunkline/firewall/rules.nft"]
    )
    assert f"--to-source {expected}" in made.files["/etc/trunkline/firewall/rules.v4"]


def test_resolvers_of_the_edge_stay_reachable_in_the_garden():
    """With resolvers the garden asks them; without, its own answers everything with the page."""
    made = rendered(edge=('dns: ["2001:db8::53"]', 'dns: [198.51.100.53, "2001:db8::53"]'))
    assert "elements = { 198.51.100.53 }" in made.files["/etc/trunkline/firewall/rules.nft"]
    assert "ms-dns 198.51.100.53\n" in made.files["/etc/ppp/pppoe-server-options"]


def test_the_page_says_why_and_how_in_the_operator_s_words_and_nothing_escapes_it():
    """Names are text on the page, never markup."""
    page = rendered(config=("Example ISP", "<b>Us & Co</b>")).files["/etc/trunkline/garden/page.html"]
    assert "&lt;b&gt;Us &amp; Co&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<h2>Why</h2>" in page
    assert "<h2>How to pay</h2>" in page
    assert 'href="https://my.example.net/pay"' in page
    assert "Call 1800 555 010" in page


@pytest.mark.parametrize(
    ("replaced", "why"),
    [
        ({"bng": ("enc:v1:radius-secret", "enc:v1:" + "x" * 48)}, "up to 47"),
        ({"bng": ("enc:v1:radius-secret", "enc:v1:has#mark")}, "without spaces"),
        ({"bng": ("sources: [10.255.77.11]", 'sources: ["2001:db8::1"]')}, "IPv4 only"),
        ({"edge": ("methods:", "svlans: [100-199]\nmethods:")}, "accel_ppp"),
        ({"cgn": ("100.64.0.0/24", "100.64.0.0/32")}, "0 addresses"),
    ],
)
def test_what_pppd_cannot_do_is_said_before_a_device_sees_it(replaced, why):
    """CannotRender names the device and the limit."""
    with pytest.raises(CannotRender, match=why):
        rendered(**replaced)


def test_two_pools_that_pppd_would_have_to_choose_from_are_refused():
    """RADIUS names a pool, pppd ignores it: a public service would silently get a shared address."""
    found = documents()
    found[EDGE] = found[EDGE].replace("{cgnat:", "{public: perth-public, cgnat:")
    public = "family: ipv4\nuse: public\nallocate: nas\nsplit: {bng1: [203.0.113.0/26]}\n"
    found["network/pools/perth-public.yaml"] = public
    with pytest.raises(CannotRender, match="perth-cgn, perth-public"):
        render(resolve_device(reader(found), "bng1"), Opened())
    found["network/pools/perth-public.yaml"] = public.replace("nas", "intent")
    assert render(resolve_device(reader(found), "bng1"), Opened()).files


def test_a_name_that_a_shell_would_read_is_refused():
    """Values that end in scripts are one word of letters and digits."""
    with pytest.raises(NotPlain):
        rendered(bng=("ac-name: bng1", 'ac-name: "$(reboot)"'))
