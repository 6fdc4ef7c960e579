"""Circuit-id and remote-id (RFC 3046, RFC 4679): wherever a NAS puts them, they are read, found, bound and told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaa.radius.exchange import circuit_attribute
from aaa.radius.option82 import names_of
from aaa.radius.packet import pair, vendor_pairs
from aaa.radius.refusals import last_refusals
from aaa.support import explain, try_login
from aaa.view.records import is_remote, remote
from tests.aaa.test_login import server_reasons
from tests.support import eventually

CIRCUIT, AGENT = b"olt1 0/1/0:9", b"ont-4711"
OPTION = b"\x01\x0c" + CIRCUIT + b"\x02\x08" + AGENT


def vendor(number: int, kind: int, value: bytes) -> tuple[int, int, bytes]:
    """An attribute of a vendor, as it is read out of a Vendor-Specific one."""
    (read,) = vendor_pairs(number.to_bytes(4) + pair(kind, value))
    return read


BOTH = {
    "ADSL-Agent-Circuit-Id and ADSL-Agent-Remote-Id": [vendor(3561, 1, CIRCUIT), vendor(3561, 2, AGENT)],
    "the remote-id first": [vendor(3561, 2, AGENT), vendor(3561, 1, CIRCUIT)],
    "the whole option as circuit-id": [vendor(3561, 1, OPTION)],
    "Cisco's pairs": [vendor(9, 1, b"circuit-id-tag=" + CIRCUIT), vendor(9, 1, b"remote-id-tag=" + AGENT)],
    "Redback's own": [vendor(2352, 97, CIRCUIT), vendor(2352, 96, AGENT)],
    "ERX-Acc-Loop": [vendor(4874, 110, CIRCUIT), vendor(4874, 182, AGENT)],
    "ERX-Dhcp-Option-82": [vendor(4874, 159, OPTION)],
    "among all options of ERX-Dhcp-Options": [
        vendor(4874, 55, b"\x35\x01\x01" + bytes((82, len(OPTION))) + OPTION + b"\x0c\x03cpe")
    ],
}


@pytest.mark.parametrize("where", BOTH)
def test_both_names_are_read_wherever_they_are(where):
    """Of every vendor; the circuit-id is first, as it came where it may be a whole option."""
    names = names_of(BOTH[where])
    assert [name for name in names if name != OPTION] == [CIRCUIT, remote(AGENT)]
    assert not is_remote(names[0])


@given(st.binary(max_size=253))
def test_octets_that_are_no_option_are_the_circuit_id(octets):
    """Any octets are the name of a line as they came, whatever else they may be."""
    names = names_of([vendor(3561, 1, octets)])
    assert octets in names
    assert names_of([vendor(3561, 2, octets)]) == (remote(octets),)


def test_a_remote_id_of_somebodys_circuit_id_is_nobodys():
    """The same octets as circuit-id and as remote-id are two names."""
    assert not set(names_of([vendor(3561, 1, AGENT)])) & set(names_of([vendor(3561, 2, AGENT)]))


def test_an_ipoe_line_is_known_by_its_remote_id(network, anew):
    """Alone, or beside a circuit-id that nobody knows; never by a circuit-id of the same octets."""
    network.subscriber(9, session="method: ipoe, remote-id: ont-4711")
    _fresh, client = anew(network)
    mine = circuit_attribute(remote(AGENT))
    for attributes in (mine, circuit_attribute(b"other") + mine, circuit_attribute(OPTION)):
        assert client.login("dhcp", "", attributes=attributes, ppp=False).accepted
    assert not client.login("dhcp", "", attributes=circuit_attribute(AGENT), ppp=False).accepted
    assert not client.login("dhcp", "", attributes=circuit_attribute(remote(b"ont-4712")), ppp=False).accepted


def test_a_login_may_be_bound_to_both(network, anew):
    """`bind: [circuit, remote]`: from here only, and only with both; support is told where else it came from."""
    network.subscriber(
        9,
        session='method: pppoe, login: s9@example.net, password: "enc:v1:pw-9", remote-id: "hex:6f6e742d34373131", '
        "circuit-id: olt1 0/1/0:9, bind: [circuit, remote]",
    )
    fresh, client = anew(network)
    here, mine = circuit_attribute(CIRCUIT), circuit_attribute(remote(AGENT))
    assert client.login("s9@example.net", "pw-9", attributes=here + mine).accepted
    for attributes in (
        here,
        mine,
        here + circuit_attribute(remote(b"ont-4712")),
        circuit_attribute(b"x") + mine,
    ):
        assert not client.login("s9@example.net", "pw-9", attributes=attributes).accepted
    assert server_reasons(fresh) == {"wrong-port": 4}
    view = fresh.worker.view
    seal = fresh.worker.answers._authenticator._seal
    assert explain(view, seal, "s9@example.net").bound_circuits == ["olt1 0/1/0:9", "remote-id ont-4711"]
    assert try_login(view, seal, "s9@example.net", "bng1").accepted


def test_support_finds_a_line_by_its_remote_id(network, anew):
    """As text and as `hex:`; what is no hexadecimal is a text."""
    network.subscriber(9, session="method: ipoe, remote-id: ont-4711")
    worker = anew(network)[0].worker
    view, seal = worker.view, worker.answers._authenticator._seal
    for name in ("ont-4711", "hex:6f6e742d34373131"):
        found = explain(view, seal, name)
        assert (found.service, found.key) == ("S-9", "remote-id ont-4711")


@pytest.mark.parametrize("login", ["dhcp", ""])
def test_unknown_lines_lock_nobody_else_out(network, anew, login):
    """A BNG sends one login for all its lines, or none: a hundred that nobody knows leave the known ones alone."""
    network.subscriber(9, session='method: ipoe, circuit-id: "olt1 0/1/0:9"')
    fresh, client = anew(network)
    for number in range(30):
        assert not client.login(
            login, "", attributes=circuit_attribute(b"new %d" % number), ppp=False
        ).accepted
    assert client.login(login, "", attributes=circuit_attribute(CIRCUIT), ppp=False).accepted
    assert server_reasons(fresh) == {"unknown": 30}


def test_support_sees_a_refusal_by_the_service_however_it_asked(network, anew, recorded):
    """The MAC of another device at a bound line, and a line at a BNG that does not serve it: found by the service."""
    network.subscriber(
        9, session='method: ipoe, circuit-id: olt1 0/1/0:9, mac: "02:00:5e:10:00:09", bind: [mac]'
    )
    _fresh, client = anew(network)
    other = circuit_attribute(CIRCUIT) + pair(31, b"02-AA-BB-CC-DD-14")
    assert not client.login("", "", attributes=other, ppp=False).accepted

    def told() -> list[tuple[object, object]]:
        with recorded.read() as conn:
            return [(row["login"], row["reason"]) for row in last_refusals(conn, "", "S-9")]

    assert eventually(told, cap=5) == [("02-AA-BB-CC-DD-14", "wrong-port")]


def test_a_mac_alone_is_a_request(network, anew, recorded):
    """Without User-Name and without circuit-id (RFC 2865 section 5.1 asks for none): known by Calling-Station-Id. An
    unknown line without a name is refused, and found by its circuit-id.
    """
    network.subscriber(9, session='method: ipoe, mac: "02:00:5e:10:00:09"')
    _fresh, client = anew(network)
    assert client.login("", "", attributes=pair(31, b"02-00-5E-10-00-09"), ppp=False).accepted
    assert not client.login("", "", attributes=circuit_attribute(b"new 7"), ppp=False).accepted

    def told() -> list[object]:
        with recorded.read() as conn:
            return [row["reason"] for row in last_refusals(conn, "new 7")]

    assert eventually(told, cap=5) == ["unknown"]
