"""Limits on living things: counters that slow a session down by CoA, and a client that we did not write."""

import pytest

from aaa.limits import grant, overrides, vouchers
from aaa.limits.codes import Codes
from aaa.limits.keeper import LimitKeeper
from aaa.limits.limit import FULL, Limit, Limits
from aaa.limits.vouchers import Terms
from aaa.view.builder import ViewBuilder
from aaa.view.seal import Seal
from core import clock
from core.db import Database
from tests.aaa.limited import Limited
from tests.aaa.network import open_secret, reading
from tests.aaa.test_coa import loop, policy_of
from tests.aaa.test_limits import FAIR, more
from tests.aaa.test_radclient import radclient
from tests.aaa.test_vouchers import hotspot
from tests.support import eventually

__all__ = ["loop"]


def test_octets_over_the_quota_slow_the_live_session_down_by_coa(loop, recorded):
    """The whole way: an interim over the quota, counted, followed, enforced: the NAS acknowledges a CoA with the
    smaller rate and the session lives on; more quota gives the speed back the same way.
    """
    network = loop.network
    loop.builder = ViewBuilder(loop.index, lambda: reading(network), open_secret, loop.seal, recorded)
    keeper = LimitKeeper(recorded, lambda: reading(network), "node1")
    loop.changed(more(network, "fibre-500", FAIR % ("1G", "total", "month")))
    eventually(lambda: loop.server.worker.answers._view.seq >= _newest(loop), cap=5)
    _reply, session = loop.nas.login("s1@example.net", "pw-1")
    session.down = 2 * 10**9
    assert loop.nas.account(session, 3)
    assert eventually(keeper.run_once, cap=5)
    loop.builder.run_once()
    assert loop.enforce() == [("coa", "acked")]
    assert "Mikrotik-Rate-Limit = 1000000/2000000" in policy_of(loop)
    assert loop.nas.sessions
    with recorded.write() as conn:
        grant(conn, "S-1", kind="fair-use", octets=5 * 10**9, actor="shop")
    assert eventually(keeper.run_once, cap=5)
    loop.builder.run_once()
    assert loop.enforce() == [("coa", "acked")]
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in policy_of(loop)


def _newest(loop) -> int:
    from aaa.view.models import newest

    with loop.index.read() as conn:
        return newest(conn)


@pytest.mark.real
def test_radclient_uses_a_voucher_an_override_and_is_one_too_many(node, network, recorded, anew):
    """FreeRADIUS's client: a voucher by PAP with any password and by CHAP; held, then overridden; refused elsewhere."""
    hotspot(network, "bng1", "mikrotik", "127.0.0.1")
    network.hold("S-2", "nonpayment", "block")
    limited = Limited(recorded, Database(f"sqlite:///{node.home / 'other.db'}"), network, Seal.of(node.home))
    with recorded.write() as conn:
        (made,) = vouchers.create(conn, Codes.of(node.home), Terms("fibre-100", 3600), 1, "cafe", "kim")
    limited.settle()
    full = Limit("S-3", FULL, "full", data={"live": [b"00112233440a".hex()], "most": 1})
    server, _client = anew(network, Limits({**limited.limits().known, "S-3": (full,)}))

    def ask(login: str, password: str, more: str = "") -> str:
        told = f'User-Name = "{login}"\n{password}\n{more}Message-Authenticator = 0x00\n'
        return str(radclient(server.auth_port, "auth", told).stdout)

    for password in ('User-Password = "guest"', f'CHAP-Password = "{made.code}"'):
        told = ask(made.code, password)
        assert "Access-Accept" in told
        assert "Session-Timeout = 3600" in told
    assert "Access-Reject" in ask("s2@example.net", 'User-Password = "pw-2"')
    now = int(clock.now().timestamp())
    overrides.begin(node.home, "S-2", now + 3600, "", "kim", now * 10**6)
    accepted = 'User-Password = "pw-2"'
    eventually(lambda: "Access-Accept" in ask("s2@example.net", accepted), cap=5)
    assert "Mikrotik-Rate-Limit" in ask("s2@example.net", accepted)
    password = 'User-Password = "pw-3"'
    assert "Access-Reject" in ask("s3@example.net", password, 'Calling-Station-Id = "00:11:22:33:44:0b"\n')
    assert "Access-Accept" in ask("s3@example.net", password, 'Calling-Station-Id = "00:11:22:33:44:0a"\n')
    limited.derived.close()
