"""The old server is silent, or compared with, where a node gives the addresses and a person lifted a hold."""

import ipaddress
import time

import msgspec
import pytest
import sqlalchemy as sa

from aaa.limits import overrides
from aaa.models import moving_difference, moving_tally, refusal
from aaa.pools.astheirs import AsTheirs
from aaa.proxy.meaning import meaning
from aaa.proxy.shadow import _pairs
from aaa.radius.packet import ACCESS_ACCEPT, Packet
from aaa.view.pools import PoolRecord, pool_key
from tests.aaa.home import FreeRadius
from tests.aaa.test_moving_in import USERS, moving, old_server
from tests.support import eventually

NODE_CGN = "family: ipv4\nuse: cgnat\nallocate: node\nprefixes: [100.64.0.0/20]\n"


@pytest.fixture
def away(tmp_path):
    """The server that we move in from, which is gone."""
    old = FreeRadius(USERS, secret="oldsecret")
    old.kill()
    return old


@pytest.mark.real
def test_our_own_answer_is_what_it_will_be_after_the_cut_over(anew, network, away, recorded, node):
    """A node gives the address, an override lifts a hold, and a refusal says why, where the NAS is not yet ours."""
    network.put("pool", "west-cgn", NODE_CGN)
    network.hold("S-2", "nonpayment", "block")
    network.put("config", "trunkline", old_server(away, ", fallback: ours"))
    moving(network, "shadow")
    server, client = anew(network)

    def address() -> bool:
        reply = client.login("s1@example.net", "pw-1")
        return reply is not None and any("Framed-IP-Address = 100.64." in one for one in reply.attributes)

    eventually(address, cap=20)
    assert not client.login("s2@example.net", "pw-2").accepted
    now = int(time.time())
    overrides.begin(node.home, "S-2", now + 3600, "paid-in-shop", "kim", now * 10**6)
    eventually(lambda: client.login("s2@example.net", "pw-2").accepted, cap=10)
    assert not client.login("s3@example.net", "wrong").accepted

    def refused() -> set[tuple[str, str, str]]:
        with recorded.read() as conn:
            return {(row.login[:2], row.nas, row.reason) for row in conn.execute(sa.select(refusal))}

    wanted = {("s2", "bng1", "held"), ("s3", "bng1", "wrong-credentials")}
    eventually(lambda: refused() >= wanted, cap=15, says=refused)
    outcomes = server.worker.answers.outcomes
    assert {reason for _nas, reason in outcomes} <= {"accepted", "held", "wrong-credentials", "no-address"}
    assert outcomes["bng1", "accepted"] >= 2


@pytest.mark.real
def test_an_address_that_our_pool_might_have_given_agrees(anew, network, tmp_path, recorded):
    """s1's is one of the pool's, s2's is none of it; nothing is given for the comparison."""
    more = "    Framed-IP-Address := {},\n    Mikrotik-Rate-Limit"
    users = USERS.replace('    Framed-Pool := "west-cgn",\n', "").replace(
        '    Framed-Pool := "old-cgn",\n', ""
    )
    first, second = users.split("s2@")
    first = first.replace("    Mikrotik-Rate-Limit", more.format("100.64.7.9"))
    second = second.replace("    Mikrotik-Rate-Limit", more.format("192.0.2.7")).replace("400M", "500M")
    old = FreeRadius(f"{first}s2@{second}", secret="oldsecret")
    network.put("pool", "west-cgn", NODE_CGN)
    network.put("config", "trunkline", old_server(old))
    moving(network, "shadow")
    server, client = anew(network)
    for login in ("s1", "s2"):
        assert client.login(f"{login}@example.net", f"pw-{login[1]}").accepted

    def compared() -> tuple[set[str], set[tuple[str, str]]]:
        with recorded.read() as conn:
            kinds = set(conn.execute(sa.select(moving_tally.c.what)).scalars())
            rows = conn.execute(sa.select(moving_difference)).all()
        return kinds, {(row.login[:2], row.kind) for row in rows}

    eventually(
        lambda: compared() == ({"agreed", "differed", "address"}, {("s2", "address")}), cap=15, says=compared
    )
    giver = server.worker.addresses.giver
    assert giver is not None
    assert not any(shelf.held for shelf in giver.shelves.values())
    old.kill()


_RECORDS = {
    "four": PoolRecord("ipv4", ("100.64.0.0/20",), 32, "", 600, 900),
    "pd": PoolRecord("pd", ("2001:db8:4000::/40",), 56, "", 600, 900),
    "wan": PoolRecord("wan6", ("2001:db8:5000::/40",), 64, "", 600, 900),
}


class _Pools:
    """A view that has these pools."""

    def lookup(self, key: bytes) -> bytes | None:
        found = {pool_key(name): msgspec.msgpack.encode(record) for name, record in _RECORDS.items()}
        return found.get(key)


def _prefix(text: str) -> bytes:
    network = ipaddress.IPv6Network(text)
    return bytes([0, network.prefixlen]) + network.network_address.packed


@pytest.mark.parametrize(
    ("theirs", "pools", "ours"),
    [
        ([(8, bytes([100, 64, 1, 2]))], ("four",), [(8, bytes([100, 64, 1, 2]))]),
        ([(8, bytes([192, 0, 2, 1]))], ("four",), [(8, bytes([100, 64, 0, 0]))]),
        ([(8, b"odd")], ("four",), [(8, bytes([100, 64, 0, 0]))]),
        ([], ("four", "unknown"), [(8, bytes([100, 64, 0, 0]))]),
        ([(123, _prefix("2001:db8:4000:100::/56"))], ("pd",), [(123, _prefix("2001:db8:4000:100::/56"))]),
        ([(123, _prefix("2001:db8:4000:100::/60"))], ("pd",), [(123, _prefix("2001:db8:4000::/56"))]),
        ([(97, _prefix("2001:db8:5001:2::/64"))], ("wan",), [(97, _prefix("2001:db8:5001:2::/64"))]),
        ([(97, b"\0\xff")], ("wan",), [(97, _prefix("2001:db8:5000::/64"))]),
    ],
)
def test_of_each_family_their_address_if_it_might_be_ours(theirs, pools, ours):
    """By value, whatever octets the vendor writes it in; a longer or damaged one is not ours."""
    reply = Packet(ACCESS_ACCEPT, 1, bytes(16), theirs, b"", 0)
    given = AsTheirs(_Pools(), reply).give(pools, "S-1", b"bng1 x", "generic")  # type: ignore[arg-type]
    wanted = meaning(ours)
    assert given is not None
    assert wanted
    assert meaning(_pairs(given)) == wanted


def test_without_a_pool_nothing_is_given():
    """The pool's record is gone: as a Giver would have it."""
    reply = Packet(ACCESS_ACCEPT, 1, bytes(16), [], b"", 0)
    assert AsTheirs(_Pools(), reply).give(("unknown",), "S-1", b"bng1 x", "generic") is None  # type: ignore[arg-type]
