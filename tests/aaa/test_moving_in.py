"""Moving in from a real FreeRADIUS: passed on untouched, compared in shadow, cut over by a change of the intent."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from aaa.accounting.store import session_of
from aaa.enforcement import corrections
from aaa.models import moving_difference, session
from aaa.proxy.preview import sections
from aaa.radius.packet import pair
from aaa.view.derived import open_derived
from aaa.view.records import Wanted, decode
from core.preview import Comparison
from tests.aaa.conftest import client_of
from tests.aaa.home import FreeRadius
from tests.aaa.test_proxy import realms
from tests.aaa.test_radius_command import ask
from tests.aaa.test_view import Built
from tests.support import eventually

pytestmark = pytest.mark.real

# s1: the same in other words; s2: other speed and pool; s3: another password.
USERS = """
s1@example.net Cleartext-Password := "pw-1"
    Mikrotik-Rate-Limit := "50M/500M",
    Framed-Pool := "west-cgn",
    Delegated-IPv6-Prefix := "2001:db8:4001:1::/64",
    Acct-Interim-Interval := 600,
    Class := "old-1"
s2@example.net Cleartext-Password := "pw-2"
    Mikrotik-Rate-Limit := "50M/400M",
    Framed-Pool := "old-cgn",
    Delegated-IPv6-Prefix := "2001:db8:4001:2::/64",
    Acct-Interim-Interval := 600
s3@example.net Cleartext-Password := "else-3"
"""


@pytest.fixture
def old(tmp_path) -> Iterator[FreeRadius]:
    """The server that we move in from."""
    one = FreeRadius(USERS, secret="oldsecret")
    yield one
    one.kill()


def old_server(old: FreeRadius, more: str = "", realm: str = "") -> str:
    """trunkline.yaml that names it."""
    return realms(
        f'old: {{servers: ["{old.address}"], secret: "enc:v1:oldsecret"{more}}}\nrealms: {{example.net: {{{realm}}}}}'
    )


def moving(network, how: str, nas: str = "bng1") -> None:
    """The NAS has not moved in."""
    text = network.texts["device", nas]
    network.put("device", nas, text.replace("  vendor:", f"  moving: {how}\n  vendor:"))


def test_the_old_server_answers_a_nas_that_has_not_moved_in(anew, network, old, recorded):
    """Its reply passes untouched, Class and pool too; its sessions are recorded with our service, not corrected."""
    network.put("config", "trunkline", old_server(old))
    moving(network, "proxy")
    server, client = anew(network)
    reply = client.login("s2@example.net", "pw-2")
    assert "Framed-Pool = old-cgn" in reply.attributes
    assert client.login("s1@example.net", "pw-1").packet.first(25) == b"old-1"
    assert not client.login("s3@example.net", "pw-3").accepted
    told = {("bng1", "accepted"): 2, ("bng1", "refused-elsewhere"): 1}
    eventually(lambda: server.worker.answers.outcomes == told, cap=5)
    start = (
        pair(40, struct.pack(">I", 1)) + pair(44, b"moved") + pair(1, b"s1@example.net") + pair(25, b"old-1")
    )
    assert client.account(start) is not None
    eventually(lambda: "moved" in old.detail(), cap=10)
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(session)).all()
    assert (row.service, row.policy_hash, row.stale) == ("S-1", "", False)
    wanted = {"S-1": Wanted("other", None, ("S-1.abuse",), 1, "replace")}
    assert corrections([session_of(row)], wanted, {"bng1": "mikrotik"}.get) == []
    other = client_of(server, "127.0.0.2")
    assert other.login("s3@example.net", "pw-3").accepted  # bng2 has moved in
    other.close()


def test_shadow_compares_by_meaning_and_says_what_is_ready(anew, network, old, node, recorded):
    """The old server answers, ours is compared: words do not matter, speed, pool and decision do; what agrees later is
    forgotten, and a realm without open differences is ready.
    """
    network.put("config", "trunkline", old_server(old, realm="moving: shadow"))
    _server, client = anew(network)
    for number, password in ((1, "pw-1"), (2, "pw-2"), (3, "pw-3")):
        client.login(f"s{number}@example.net", password)

    def compared() -> set[tuple[str, str]]:
        with recorded.read() as conn:
            return {(row.login[:2], row.kind) for row in conn.execute(sa.select(moving_difference))}

    eventually(
        lambda: compared() == {("s2", "pool"), ("s2", "rate"), ("s3", "decision")}, cap=10, says=compared
    )
    done = ask(node, "compare", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema"], told["ready"]) == (1, "trunkline.radius-compare/1", [])
    assert (
        told["realm"][0] | {"name": "example.net", "agreed": 1, "differed": 2, "open": 2} == told["realm"][0]
    )
    assert told["kinds"] == {"decision": 1, "pool": 1, "rate": 1}
    rate = next(one for one in told["logins"] if one["kind"] == "rate")
    assert (rate["ours"], rate["theirs"]) == ("down 500000000, up 50000000", "down 400000000, up 50000000")
    assert "reject" in next(one["theirs"] for one in told["logins"] if one["kind"] == "decision")
    (old.folder / "users").write_text(
        USERS.replace("400M", "500M").replace("old-cgn", "west-cgn").replace("else", "pw")
    )
    old.kill()
    old.start()
    client.login("s2@example.net", "pw-2")
    client.login("s3@example.net", "no")  # both refuse: that is agreement
    eventually(lambda: compared() == set(), cap=10, says=compared)
    done = ask(node, "compare", "--nas", "bng1")
    assert done.returncode == 0
    assert "realm example.net: 60 % agree (5 compared), 0 logins differ" in done.stdout
    assert done.stdout.endswith("ready to cut over: realm example.net\n")


def given(recorded) -> str:
    """The policy hash of the only session."""
    with recorded.read() as conn:
        return str(conn.execute(sa.select(session.c.policy_hash)).scalar_one())


def hash_wanted(server) -> str:
    """What the view wants for S-2."""
    found = decode(server.worker.view.lookup(b"s:S-2"), Wanted)
    assert found is not None
    return found.policy_hash


@pytest.mark.parametrize("by", ["nas", "realm"])
def test_cutting_over_is_a_change_of_the_intent(node, network, old, recorded, by):
    """From the old server to ours by NAS or realm, and back, while we serve: the view is all that changes."""
    from aaa.radius.server import RadiusServer
    from aaa.view.seal import Seal
    from tests.aaa import test_view
    from tests.aaa.conftest import QUICK

    network.put("config", "trunkline", old_server(old, realm="moving: proxy" if by == "realm" else ""))
    plain = network.texts["device", "bng1"]
    if by == "nas":
        moving(network, "proxy")
    there = network.texts["device", "bng1"], network.texts["config", "trunkline"]
    test_view.SEAL, kept = Seal.of(node.home), test_view.SEAL
    try:
        built = Built(open_derived(node), network)
        with RadiusServer(node, limits=QUICK, in_process=True) as server:
            client = client_of(server)

            def pool() -> Any:
                return next(
                    line
                    for line in client.login("s2@example.net", "pw-2").attributes
                    if "Framed-Pool" in line
                )

            def now(device: str, config: str, answered: str) -> None:
                network.put("device", "bng1", device)
                network.put("config", "trunkline", config)
                built.changed(("device", "bng1"), ("config", "trunkline"))
                eventually(lambda: pool() == f"Framed-Pool = {answered}", cap=5)

            eventually(lambda: pool() == "Framed-Pool = old-cgn", cap=5)
            start = pair(40, struct.pack(">I", 1)) + pair(44, b"lives") + pair(1, b"s2@example.net")
            assert client.account(start) is not None
            assert given(recorded) == ""
            now(plain, old_server(old), "west-cgn")
            interim = start.replace(struct.pack(">I", 1), struct.pack(">I", 3))
            assert client.account(interim) is not None
            assert given(recorded) == hash_wanted(server)  # ours from now on, and what it should be
            now(*there, "old-cgn")
            client.close()
        built.db.close()
    finally:
        test_view.SEAL = kept


def test_the_old_server_is_silent(anew, network, old):
    """By default so are we; `fallback: ours` answers from the view, and counts it."""
    network.put("config", "trunkline", old_server(old))
    moving(network, "proxy")
    old.kill()
    server, _client = anew(network)
    client = client_of(server, patience=0.5, attempts=1)
    assert client.login("s1@example.net", "pw-1") is None
    client.close()
    network.put("config", "trunkline", old_server(old, ", fallback: ours"))
    server, client = anew(network)
    assert client.login("s1@example.net", "pw-1").accepted
    assert not client.login("s1@example.net", "no").accepted
    assert server.worker.elsewhere.errands.counted["fallback"] == 2


def test_after_the_cut_over_the_old_server_may_have_a_copy(anew, network, old, recorded):
    """`accounting: copy`: our sessions are ours, and its billing goes on from what it gets as a copy."""
    network.put("config", "trunkline", old_server(old, ", accounting: copy"))
    _server, client = anew(network)
    reply = client.login("s1@example.net", "pw-1")
    classes = b"".join(pair(25, one) for one in reply.packet.all(25))
    start = pair(40, struct.pack(">I", 1)) + pair(44, b"copied") + pair(1, b"s1@example.net") + classes
    assert client.account(start) is not None
    eventually(lambda: "copied" in old.detail(), cap=10)
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(session)).all()
    assert row.service == "S-1"
    assert row.policy_hash != ""


def test_a_cut_over_is_previewed(network):
    """The pull request says who answers before and after, for realms and NASes, and that nobody is dropped."""
    text = 'old: {servers: [192.0.2.1], secret: "enc:v1:eA=="}\nrealms: {example.net: {%s}}'
    network.put("config", "trunkline", realms(text % "moving: shadow"))
    moving(network, "proxy")
    base = network.reader()
    network.put("config", "trunkline", realms(text % ""))
    network.bng("bng1", "mikrotik", "127.0.0.1")
    changed = frozenset({("config", "trunkline"), ("device", "bng1"), ("device", "bng2")})
    (section,) = sections(Comparison(base=base, head=network.reader(), changed=changed))
    assert section.markdown.splitlines()[:2] == [
        "- realm example.net: the old server answers, we are compared → we answer",
        "- NAS bng1: the old server answers → we answer",
    ]
    assert [one["name"] for one in section.data["moved"]] == ["example.net", "bng1"]
