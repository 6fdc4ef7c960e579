"""Intents -> the files of an accel-ppp BNG; `--regenerate-golden` writes the golden file anew, for review."""

from pathlib import Path

import pytest

from drivers.accel_ppp.conf import mistakes, read
from inventory.resolve import resolve_device
from renderers.accel_ppp.escape import NotForAccelPpp
from renderers.accel_ppp.renderer import render
from renderers.contract import CannotRender, Rendered
from renderers.registry import renderer_for
from tests.accel_ppp import network
from tests.support import need, run

GOLDEN = Path(__file__).parent / "golden"
CONF, RULES = "/etc/accel-ppp.conf", "/etc/trunkline/firewall/rules.nft"


def rendered(**replaced: tuple[str, str]) -> Rendered:
    """The example's BNG after replacing (old, new) in its documents."""
    reader = network.reader(network.documents(**replaced))
    return render(resolve_device(reader, "bng1"), network.Opened())


def conf(**replaced: tuple[str, str]) -> dict[str, list[tuple[str, str]]]:
    """accel-ppp.conf by section."""
    return read(rendered(**replaced).files[CONF])


def values(options: list[tuple[str, str]], name: str) -> list[str]:
    """Every value of an option, in order."""
    return [value for key, value in options if key == name]


def test_the_example_renders_to_the_golden_files(golden):
    """One text holds every file; the driver loads it as it is."""
    golden.check(GOLDEN / "bng1.txt", rendered().config)


def test_the_registry_finds_the_renderer_for_bngs():
    """Nothing else is edited for a new platform."""
    assert "bng" in renderer_for("accel_ppp").ROLES


def test_every_line_of_the_text_knows_its_template():
    """`trunkline why` follows a line on the device to the template that made it."""
    made = rendered()
    for number, line in enumerate(made.config.splitlines(), start=1):
        if line.strip() and not line.startswith("=== "):
            assert made.origins[number][0].endswith(".j2")


def test_the_secret_stands_in_one_file_that_only_root_reads():
    """accel-ppp.conf has mode 0600; the rest may be read by all."""
    made = rendered()
    assert [path for path, text in made.files.items() if "radius-secret" in text] == [CONF]
    assert "=== 0600 /etc/accel-ppp.conf" in made.config


def test_the_driver_finds_no_mistake_in_what_is_rendered():
    """Every section is known, no line is longer than accel-ppp reads."""
    wide = rendered(west=("svlans: [100-102, 200]", "svlans: [1-4000]")).files[CONF]
    assert [*mistakes(rendered().files[CONF]), *mistakes(wide)] == []


def test_two_tags_make_s_vlans_and_watch_c_vlans_on_them():
    """vlan-mon sees one tag: the S-VLAN's interface is made by the agent, its C-VLANs appear by themselves."""
    made = rendered()
    pppoe = read(made.files[CONF])["pppoe"]
    assert values(pppoe, "vlan-mon") == [f"eth1.{tag},1-4094" for tag in (100, 101, 102, 200)]
    assert values(pppoe, "interface") == ["re:^eth1[.][0-9]+[.][0-9]+$"]
    assert "eth1 200 802.1Q\n" in made.files["/etc/trunkline/vlans"]


def test_one_tag_watches_the_s_vlans_themselves():
    """`options: {access-tags: 1}`: nothing to make before, many subscribers share a VLAN."""
    made = rendered(bng1=("manage: full", "manage: full\noptions: {access-tags: 1}"))
    found = read(made.files[CONF])
    assert values(found["pppoe"], "vlan-mon") == ["eth1,100-102,200"]
    assert values(found["pppoe"], "interface") == ["re:^eth1[.](100|101|102|200)$"]
    assert values(found["ipoe"], "interface") == ["re:^eth2[.](300|301)$,shared=1"]
    assert "eth1 100" not in made.files["/etc/trunkline/vlans"]


def test_an_untagged_port_is_an_interface():
    """Without S-VLANs the port itself serves."""
    assert values(conf(west=("svlans: [100-102, 200]\n", ""))["pppoe"], "interface") == ["eth1"]


def test_ipoe_sends_option_82_to_radius():
    """As ADSL-Agent-Circuit-Id and -Remote-Id, the attributes by which our RADIUS server knows the line."""
    ipoe = dict(conf()["ipoe"])
    assert ipoe["vendor"] == "ADSL-Forum"
    assert ipoe["attr-dhcp-opt82-circuit-id"] == "ADSL-Agent-Circuit-Id"


def test_the_first_server_is_used_while_it_answers_and_the_others_stand_by():
    """`backup` on every server but the first; one server alone is never set aside."""
    servers = values(conf()["radius"], "server")
    assert [server.endswith(",backup") for server in servers] == [False, True]
    second = "    - {address: 10.255.0.2, auth-port: 1812, acct-port: 1813}\n"
    alone = values(conf(trunkline=(second, ""))["radius"], "server")
    assert len(alone) == 1
    assert "fail-timeout=0" in alone[0]


def test_sessions_outlive_a_radius_outage():
    """acct-timeout other than 0 would end every session after so many seconds without an answer."""
    assert dict(conf()["radius"])["acct-timeout"] == "0"


def test_dynamic_authorization_is_bound_to_the_source_and_takes_only_our_servers():
    """Both follow `nas.coa` and `aaa.servers`; an option names other sources."""
    radius = dict(conf()["radius"])
    assert radius["dae-server"] == "10.255.77.12:3799,radius-secret"
    assert radius["dae-allowed"] == "10.255.0.1,10.255.0.2"
    option = ("manage: full", "manage: full\noptions: {dae-allowed: 10.255.0.0/24}")
    assert dict(conf(bng1=option)["radius"])["dae-allowed"] == "10.255.0.0/24"


def test_pools_are_named_and_neither_gateways_nor_awkward_addresses_are_given_out():
    """Named by their ids, which RADIUS sends; .0, .255 and the gateways stay free."""
    pools = conf()["ip-pool"]
    assert ("100.64.0.2-254,name", "west-cgn") in pools
    assert ("100.64.1.1-254,name", "west-cgn") in pools
    moved = conf(east_cgn=("use: cgnat\n", "use: cgnat\ngateway: 100.65.0.9\n"))["ip-pool"]
    assert {"100.65.0.1-8,name", "100.65.0.10-254,name"} <= {name for name, _ in moved}


def test_a_pool_whose_addresses_stand_in_the_intents_is_not_given_out():
    """RADIUS sends Framed-IP-Address; the BNG still is its gateway for DHCP clients."""
    found = conf(west_public=("use: public", "use: public\nallocate: intent"))
    assert "west-public" not in str(found["ip-pool"])
    assert "203.0.113.1/26" in values(found["ipoe"], "gw-ip-address")


def test_ipv6_pools_are_cut_to_their_length():
    """A /64 by announcement, a /56 by DHCPv6."""
    pools = conf()["ipv6-pool"]
    assert ("2001:db8:5000::/48,64,name", "west-wan6") in pools
    assert ("delegate", "2001:db8:4000::/40,56,name=west-pd") in pools


@pytest.mark.parametrize(
    ("replaced", "why"),
    [
        ({"west": (", garden: west-garden", "")}, "garden pool"),
        ({"west": ("port: eth1", "port: enp129s0f0")}, "15 characters"),
        ({"west": ("[pppoe]", "[pppoe, l2tp]")}, "l2tp"),
        ({"west_pd": ("2001:db8:4000::/40", "2001:db8::/29")}, "2\\^24"),
        ({"bng1": ("sources: [10.255.77.12]", 'sources: ["2001:db8::1"]')}, "IPv4"),
        ({"bng1": ("manage: full", "manage: full\noptions: {access-tags: 3}")}, "1 or 2"),
    ],
)
def test_what_accel_ppp_cannot_do_is_said_before_a_device_sees_it(replaced, why):
    """CannotRender names the device and the limit."""
    with pytest.raises(CannotRender, match=why):
        rendered(**replaced)


def test_a_secret_that_accel_ppp_would_cut_is_refused_without_showing_it():
    """A comma ends the secret in `server=`."""
    with pytest.raises(NotForAccelPpp) as caught:
        rendered(bng1=("enc:v1:radius-secret", "enc:v1:top,hidden"))
    assert "hidden" not in str(caught.value)


@pytest.mark.real
def test_nftables_takes_the_rules(tmp_path: Path):
    """Checked by the kernel in a network namespace of its own; nothing is loaded."""
    nft, unshare = need("nft", apt="nftables", root=True), need("unshare", apt="util-linux")
    rules = tmp_path / "rules.nft"
    for replaced in ({}, {"west": ("garden: {page: 198.51.100.80, url", "garden: {url")}):
        rules.write_text(rendered(**replaced).files[RULES])
        run([unshare, "--net", nft, "-c", "-f", str(rules)])
