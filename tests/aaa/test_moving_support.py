"""What support and `compare` say while a NAS or a realm moves in, and after it was cut over."""

import json

import pytest

from aaa.answered import Answered
from aaa.proxy.movers import Movers, movers
from aaa.proxy.moving import Found, Tally, write
from aaa.support import LoginElsewhere, LoginNotKnown, explain, try_login
from aaa.view.lookup import View
from aaa.view.seal import Seal
from core import clock
from tests.aaa.network import write_snapshot
from tests.aaa.test_moving_in import moving
from tests.aaa.test_proxy import realms
from tests.aaa.test_radius_command import ask

OLD = 'old: {{servers: [192.0.2.9, 192.0.2.10], secret: "enc:v1:old"}}\nrealms: {{{}}}'


@pytest.mark.parametrize("how", ["proxy", "shadow"])
@pytest.mark.parametrize("by", ["nas", "realm"])
def test_support_says_that_the_old_server_answers(node, network, by, how):
    """While a NAS or a realm moves in, test-login and explain name the old server and say what ours would be; where
    nothing moves, and once it is cut over, ours is the answer.
    """
    network.put(
        "config", "trunkline", realms(OLD.format(f"example.net: {{moving: {how}}}" if by == "realm" else ""))
    )
    if by == "nas":
        moving(network, how)
    network.subscriber(9, session='method: pppoe, login: s9@other.net, password: "enc:v1:pw-9"')
    write_snapshot(network, node)
    view, seal = View.load(node.home / "radius" / "view"), Seal.of(node.home)
    old = Answered(["192.0.2.9", "192.0.2.10"], how)
    trial = try_login(view, seal, "s1@Example.net", "bng1")
    assert (trial.answered_by, trial.accepted) == (old, True)
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in trial.attributes
    assert try_login(view, seal, "S-1", "bng2").answered_by == (old if by == "realm" else None)
    assert try_login(view, seal, "s9@other.net", "bng1").answered_by == (old if by == "nas" else None)
    both = {"bng1": old, "bng2": old} if by == "realm" else {"bng1": old}
    assert explain(view, seal, "S-1").answered_by == both
    told = rf"answered by the old server 192.0.2.9, 192.0.2.10 \(moving: {how}\)"
    with pytest.raises(LoginElsewhere if by == "realm" else LoginNotKnown, match=told):
        explain(view, seal, "nobody@example.net")
    whose = "NAS bng1" if by == "nas" else "realm example.net"
    with pytest.raises(LoginElsewhere, match=f"the logins of {whose} are {told}"):
        try_login(view, seal, "nobody@example.net", "bng1")
    network.put("config", "trunkline", realms(OLD.format("example.net: {}")))
    network.bng("bng1", "mikrotik", "127.0.0.1")
    write_snapshot(network, node)
    view = View.load(node.home / "radius" / "view")
    assert try_login(view, seal, "S-1", "bng1").answered_by is None
    assert explain(view, seal, "S-1").answered_by == {}


def test_a_login_of_ours_in_a_proxied_realm_is_not_ours_to_answer(node, network):
    """Its home server answers, though we know the login."""
    proxy = 'realms: {example.net: {proxy: [192.0.2.9], secret: "enc:v1:eA=="}}'
    network.put("config", "trunkline", realms(proxy))
    write_snapshot(network, node)
    view, seal = View.load(node.home / "radius" / "view"), Seal.of(node.home)
    trial = try_login(view, seal, "s1@example.net")
    assert str(trial.answered_by) == "answered by 192.0.2.9 (proxied realm)"


def test_a_login_of_a_nas_that_moves_in_is_said_to_be_the_old_servers(node, network):
    """test-login and explain say who answers and what ours would be, also in JSON; the status is that of ours."""
    network.put("config", "trunkline", realms('old: {servers: [192.0.2.9], secret: "enc:v1:old"}'))
    moving(network, "shadow")
    write_snapshot(network, node)
    told = "bng1: answered by the old server 192.0.2.9 (moving: shadow); ours would be:"
    done = ask(node, "test-login", "S-1", "--nas", "bng1")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"{told} accepted")
    done = ask(node, "test-login", "S-1", "--nas", "bng1", "--password", "x", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["answered_by"] == {"servers": ["192.0.2.9"], "moving": "shadow"}
    assert json.loads(ask(node, "test-login", "S-1", "--nas", "bng2", "--json").stdout)["answered_by"] is None
    lines = ask(node, "explain", "S-1").stdout.splitlines()
    assert f"  {told}" in lines
    assert "  bng2 gets" in lines
    explained = json.loads(ask(node, "explain", "S-1", "--json").stdout)["answered_by"]
    assert explained == {"bng1": {"servers": ["192.0.2.9"], "moving": "shadow"}}


def compared(recorded, realm: str, nas: str, what: str = "differed") -> None:
    """One login of the realm was compared today."""
    now = clock.now()
    rows = [Found(nas, f"s1@{realm}", realm, "rate", "o", "t", 1, now)] if what == "differed" else []
    with recorded.write() as conn:
        write(conn, {Tally(now.date(), realm, nas, what): 1}, rows, [])


def test_compare_lets_go_of_what_was_cut_over(node, network, recorded):
    """A realm whose `moving` was taken out is named in one line, without its open differences, and the status is that
    of what still moves: 0 when that is ready, or when nothing moves any more.
    """
    network.put(
        "config", "trunkline", realms(OLD.format("example.net: {moving: shadow}, b.net: {moving: shadow}"))
    )
    write_snapshot(network, node)
    compared(recorded, "example.net", "bng1")
    compared(recorded, "b.net", "bng2", "agreed")
    done = ask(node, "compare", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["cut_over"]) == (1, [])
    assert told["ready"] == [{"what": "realm", "name": "b.net"}]
    network.put("config", "trunkline", realms(OLD.format("example.net: {}, b.net: {moving: shadow}")))
    write_snapshot(network, node)
    done = ask(node, "compare")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "realm b.net: 100 % agree (1 compared), 0 logins differ",
            "nas bng2 (as a realm moves): 100 % agree (1 compared), 0 logins differ",
            "ready to cut over: realm b.net",
            "cut over: realm example.net, nas bng1",
        ],
    )
    done = ask(node, "compare", "--realm", "Example.net")
    assert (done.returncode, done.stdout) == (0, "cut over: realm example.net, nas bng1\n")
    network.put("config", "trunkline", realms(OLD.format("c.net: {moving: shadow}")))
    write_snapshot(network, node)
    done = ask(node, "compare")
    assert done.returncode == 1
    assert done.stdout.startswith("nothing of what still moves was compared: set `moving: shadow`")
    network.put("config", "trunkline", realms(OLD.format("")))
    write_snapshot(network, node)
    done = ask(node, "compare", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["realm"], told["nas"], told["logins"]) == (0, [], [], [])
    assert [one["name"] for one in told["cut_over"]] == ["b.net", "example.net", "bng1", "bng2"]


def test_compare_knows_who_moves(node, network, recorded):
    """An unknown NAS or realm is told with those that there are; one that was not compared yet is no mistake."""
    network.put("config", "trunkline", realms(OLD.format("example.net: {moving: shadow}")))
    write_snapshot(network, node)
    done = ask(node, "compare", "--nas", "nope")
    assert (done.returncode, "no NAS 'nope' in the view; it has bng1, bng2" in done.stderr) == (3, True)
    done = ask(node, "compare", "--realm", "nope.net")
    assert (done.returncode, "no realm 'nope.net' moves in" in done.stderr) == (3, True)
    assert "there are example.net" in done.stderr
    for known in (("--nas", "bng1"), ("--realm", "Example.net")):
        done = ask(node, "compare", *known)
        assert (done.returncode, done.stdout.startswith("nothing was compared yet")) == (1, True)


def test_a_nas_moves_only_from_an_old_server(node, network):
    """`moving` of a NAS counts while trunkline.yaml names the old server; the mode is told."""
    moving(network, "proxy")
    write_snapshot(network, node)
    folder = node.home / "radius" / "view"
    assert movers(View.load(folder)) == Movers({}, {}, frozenset({"bng1", "bng2"}))
    network.put("config", "trunkline", realms(OLD.format("example.net: {moving: shadow}")))
    write_snapshot(network, node)
    found = movers(View.load(folder))
    assert (found.realms, found.nases) == ({"example.net": "shadow"}, {"bng1": "proxy"})
