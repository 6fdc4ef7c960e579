"""Logins against a running server, from the snapshot alone."""

import pytest

from aaa.radius.exchange import circuit_attribute
from aaa.radius.packet import pair


def test_pap_and_chap_get_the_same_policy_of_their_vendor(nas):
    """PAP and CHAP are accepted, with the reply attributes of the NAS's vendor and Message-Authenticator first."""
    for chap in (False, True):
        reply = nas().login("s1@example.net", "pw-1", chap=chap)
        assert reply.accepted
        assert reply.ma_first
        assert "Mikrotik-Rate-Limit = 50000000/500000000" in reply.attributes
        assert any(line.startswith("Class = TL1:") for line in reply.attributes)
    reply = nas("127.0.0.2").login("s1@example.net", "pw-1")
    assert "Filter-Id = 500000/50000" in reply.attributes


@pytest.mark.parametrize("chap", [False, True])
def test_a_realm_is_the_same_in_any_case_and_a_user_is_not(nas, server, recorded, chap):
    """A realm is a domain name: whoever types it in capitals is let in; accounting finds the service, too."""
    reply = nas().login("s1@EXAMPLE.Net", "pw-1", chap=chap)
    assert reply.accepted
    assert any(line.startswith("Class = TL1:") for line in reply.attributes)
    assert not nas().login("S1@example.net", "pw-1", chap=chap).accepted
    assert server_reasons(server) == {"unknown": 1}


@pytest.mark.parametrize("chap", [False, True])
def test_a_wrong_password_is_refused_and_the_caller_learns_nothing(nas, server, recorded, chap):
    """A reject has Message-Authenticator first, no reason for the caller, and one for support."""
    reply = nas().login("s1@example.net", "nonsense", chap=chap)
    assert reply.code == 3
    assert reply.ma_first
    assert reply.attributes == []
    assert server_reasons(server) == {"wrong-credentials": 1}


def test_five_reasons_of_a_refusal_are_told_apart(network, anew):
    """unknown, wrong-credentials, wrong-port, held and no-address, each counted as what it is."""
    network.hold("S-2", "abuse", "block")
    network.subscriber(
        4, session='method: pppoe, login: s4@example.net, password: "enc:v1:pw-4", bind: [circuit]'
    )
    network.put("service", "S-3", network.texts["service", "S-3"].replace("mode: cgnat", "mode: public"))
    network.put("edge", "west", network.texts["edge", "west"].replace("public: west-public, ", ""))
    fresh, client = anew(network)
    assert not client.login("nobody@example.net", "x").accepted
    assert not client.login("s1@example.net", "x").accepted
    assert not client.login("s4@example.net", "pw-4", attributes=circuit_attribute(b"elsewhere")).accepted
    assert client.login(
        "s4@example.net", "pw-4", attributes=circuit_attribute(b"olt1 xpon 0/1/0:4.eth1")
    ).accepted
    assert not client.login("s2@example.net", "pw-2").accepted
    assert not client.login("s3@example.net", "pw-3").accepted
    assert server_reasons(fresh) == {
        "unknown": 1,
        "wrong-credentials": 1,
        "wrong-port": 1,
        "held": 1,
        "no-address": 1,
    }


def test_status_server_is_answered_on_both_ports(nas):
    """Status-Server gets Access-Accept on the one and Accounting-Response on the other port (RFC 5997)."""
    assert nas().status().code == 2
    assert nas().status(accounting=True).code == 5


def test_proxy_state_comes_back_in_order_even_in_a_reject(nas):
    """Proxy-State attributes are echoed unmodified and in their order."""
    states = pair(33, b"one") + pair(33, b"\x00two") + pair(33, b"one")
    for password in ("pw-1", "wrong"):
        reply = nas().login("s1@example.net", password, attributes=states)
        assert reply.packet.all(33) == [b"one", b"\x00two", b"one"]


def test_ipoe_is_known_by_its_circuit_and_never_lets_ppp_in(network, anew):
    """An IPoE line is authorised by Agent-Circuit-Id; the same circuit with PPP and an unknown login is refused."""
    network.subscriber(9, session='method: ipoe, circuit-id: "olt1 0/1/0:9"')
    _fresh, client = anew(network)
    circuit = circuit_attribute(b"olt1 0/1/0:9")
    whole = circuit_attribute(b"\x01\x0colt1 0/1/0:9")
    assert client.login("02:00:5e:10:00:01", "", attributes=circuit, ppp=False).accepted
    assert client.login("02:00:5e:10:00:01", "", attributes=whole, ppp=False).accepted
    assert not client.login("guess@example.net", "x", attributes=circuit, ppp=True).accepted
    assert not client.login("x", "", attributes=circuit_attribute(b"other"), ppp=False).accepted


def test_ipoe_is_known_by_its_mac(network, anew):
    """MAC authorisation takes any usual spelling, as login or as Calling-Station-Id."""
    network.subscriber(9, session='method: ipoe, mac: "02:00:5e:10:00:09"')
    _fresh, client = anew(network)
    for spelling in ("02:00:5E:10:00:09", "02-00-5e-10-00-09", "0200.5e10.0009", "02005e100009"):
        assert client.login(spelling, "", ppp=False).accepted, spelling
    assert client.login("dhcp", "", attributes=pair(31, b"02:00:5e:10:00:09"), ppp=False).accepted
    assert not client.login("02:00:5e:10:00:0a", "", ppp=False).accepted


def test_a_state_that_nobody_gave_is_refused_clearly(nas, server):
    """A conversation that nobody here holds gets a reject with its own reason, not silence."""
    assert nas().login("s1@example.net", "pw-1", attributes=pair(24, b"whose?")).code == 3
    assert server_reasons(server) == {"unsupported-method": 1}


def server_reasons(server) -> dict[str, int]:
    """What a server in this process counted, but for accepts."""
    counted = server.worker.answers.counted
    return {reason: number for reason, number in counted.items() if reason != "accepted"}
