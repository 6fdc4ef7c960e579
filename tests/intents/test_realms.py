"""Whose logins another RADIUS server answers, as intents say it: spelled in one way, and refused where it cannot be."""

import pytest

from aaa.view.compile import Secrets
from aaa.view.realms import compile_realms
from aaa.view.records import OLD, Realm, decode, realm_key
from aaa.view.seal import Seal
from intents.homes import Home
from intents.reader import MemoryReader
from tests.intents.files import documents, network, problems, text_of, told


def config(aaa: str) -> str:
    """trunkline.yaml with another `aaa`."""
    lines = text_of("config", "trunkline").splitlines()
    at = lines.index("aaa:")
    return "\n".join(
        [*lines[: at + 2], *(f"  {line}" for line in aaa.strip().splitlines()), *lines[at + 3 :], ""]
    )


SPELLINGS = {
    "10.9.0.1": ("udp", "10.9.0.1", 1812, 1813, "10.9.0.1"),
    "10.9.0.1:1812": ("udp", "10.9.0.1", 1812, 1813, "10.9.0.1"),
    "10.9.0.2:1645": ("udp", "10.9.0.2", 1645, 1646, "10.9.0.2:1645"),
    "10.9.0.2:1645/1700": ("udp", "10.9.0.2", 1645, 1700, "10.9.0.2:1645/1700"),
    "[2001:db8::1]:1645": ("udp", "2001:db8::1", 1645, 1646, "[2001:db8::1]:1645"),
    "2001:db8::1": ("udp", "2001:db8::1", 1812, 1813, "2001:db8::1"),
    "radsec:radius.example": ("radsec", "radius.example", 2083, 2083, "radsec:radius.example"),
    "radsec:[2001:db8::1]:9": ("radsec", "2001:db8::1", 9, 9, "radsec:[2001:db8::1]:9"),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_server_has_one_spelling(text):
    """Address, ports and transport are read off it, and written back it reads the same."""
    home = Home.parse(text)
    assert (home.transport, home.host, home.auth_port, home.acct_port, home.text) == SPELLINGS[text]
    assert Home.parse(home.text) == home


@pytest.mark.parametrize(
    "text",
    ["radius.example", "10.9.0.1:", "10.9.0.1:0", "10.9.0.1:70000", "10.9.0.1:1/", "[::1", "[::1]x", "radsec:",
     "radsec:a:1/2", "radsec:-a", "fe80::1%eth0", "10.9.0.1 ", "", 1812, None],
)  # fmt: skip
def test_what_is_no_server_is_said_to_be_none(text):
    """A host name needs TLS (nothing else proves who answers); anything odd is one sentence."""
    with pytest.raises(ValueError, match="expected a RADIUS server such as"):
        Home.parse(text)


GUEST, SERVER = (
    'guest.example: {proxy: [10.3.0.1], secret: "enc:v1:eA=="',
    'old: {servers: [10.9.0.1], secret: "enc:v1:eA=="}',
)
MISTAKES = {
    "no secret": ('realms: {a.example: {proxy: [10.3.0.1]}}', "realm.secret"),
    "one of our own servers": ('realms: {a.example: {proxy: ["10.1.0.1:2812"], secret: "enc:v1:eA=="}}', "realm.loop"),
    "moving and proxied at once": (f"{SERVER}\nrealms: {{{GUEST}, moving: shadow}}}}", "realm.moving"),
    "moving from nowhere": ("realms: {a.example: {moving: proxy}}", "realm.moving"),
    "strip without proxy": ("realms: {a.example: {strip: true}}", "realm.server"),
    "an unknown mode": (f"{SERVER}\nrealms: {{a.example: {{moving: half}}}}", "value.choice"),
    "an old server without a secret": ("old: {servers: [10.9.0.1]}", "realm.secret"),
    "an old server nowhere": ('old: {servers: [], secret: "enc:v1:eA=="}', "realm.server"),
    "an old server that is ours": ('old: {servers: ["10.1.0.2"], secret: "enc:v1:eA=="}', "realm.loop"),
    "a secret in clear": ('realms: {a.example: {proxy: [10.3.0.1], secret: tea}}', "value.secret"),
    "a server that is none": ('realms: {a.example: {proxy: [radius.example], secret: "enc:v1:eA=="}}', "value.format"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_realm_that_cannot_be_asked_for_is_told_where_it_stands(tmp_path, mistake):
    """One problem, with its code, in trunkline.yaml."""
    aaa, code = MISTAKES[mistake]
    found = problems(tmp_path, network(config_trunkline=config(aaa)))
    mine = [one for one in told(found) if one[0] != "login.realm"]
    assert [one[:2] for one in mine] == [(code, "trunkline.yaml")], "\n".join(map(str, found))
    assert mine[0][2] > 3


def test_a_nas_that_moves_in_from_nowhere(tmp_path):
    """`moving` of a NAS needs `aaa.old`, whichever of the two files came last."""
    text = text_of("device", "gw1").replace("nas: {vendor:", "nas: {moving: shadow, vendor:")
    assert [one.code for one in problems(tmp_path, network(device_gw1=text))] == ["nas.moving"]


def test_records_are_sealed_for_their_realm_and_open_nowhere_else():
    """A realm of another server, one that moves, and the old server each have a record; ours have none."""
    moving = "island.example: {moving: shadow}}"
    aaa = f"{SERVER[:-1]}, fallback: ours}}\nrealms: {{ours.example: {{}}, {GUEST}, strip: true}}, {moving}"
    reader = MemoryReader(documents(network(config_trunkline=config(aaa))))
    seal, asked = Seal(bytes(range(64))), []

    def opened(text: str, path: str, name: str) -> str:
        asked.append((path, name))
        return text

    records = {one.key: one.record for one in compile_realms(reader, Secrets(opened, seal))}
    assert sorted(records) == [realm_key(OLD), realm_key("guest.example"), realm_key("island.example")]
    guest, island = (decode(records[realm_key(name)], Realm) for name in ("guest.example", "island.example"))
    assert guest is not None
    assert island is not None
    assert (guest.servers, guest.strip, guest.old) == ((("10.3.0.1", 1812, 1813, "udp"),), True, False)
    assert (island.servers[0][0], island.mode, island.old, island.fallback) == (
        "10.9.0.1",
        "shadow",
        True,
        True,
    )
    assert seal.open(guest.secret, realm_key("guest.example")) == b"enc:v1:eA=="
    assert ("trunkline.yaml", "aaa.realms.guest.example.secret") in asked
    assert ("trunkline.yaml", "aaa.old.secret") in asked
