"""CoA and Disconnect: what a change needs by vendor, true outcomes, and sessions that end up on the wanted policy."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from aaa.accounting.merge import Session
from aaa.accounting.record import START
from aaa.accounting.store import session_of
from aaa.coa import client
from aaa.coa.correct import correct
from aaa.coa.correct import record as record_outcomes
from aaa.coa.decide import Action, decide
from aaa.coa.outcome import Outcome
from aaa.enforcement import Correction, corrections, stale_sessions
from aaa.models import session
from aaa.radius.client import NasStandIn
from aaa.radius.nases import NasEntry, nas_of
from aaa.radius.server import RadiusServer
from aaa.vendors.policy import Policy, hash_of
from aaa.view.builder import ViewBuilder
from aaa.view.derived import open_derived
from aaa.view.records import Wanted
from aaa.view.seal import Seal
from core import clock
from core.db import Database, insert_many
from intents.index import layout
from intents.index.models import index_change, index_state
from tests.aaa.conftest import QUICK, client_of
from tests.aaa.network import SECRET, Network, open_secret, reading
from tests.aaa.test_accounting import record, write
from tests.support import eventually

FREE = Policy(down=500, up=50, pool4="cgn", pd="2001:db8::/56")
SLOW = msgspec.structs.replace(FREE, down=5, up=5)
GARDEN = Policy(down=500, up=50, garden=True, pool4="garden")
BRISK = (0.15, 0.15, 0.15)


@pytest.mark.parametrize(
    ("vendor", "old", "new", "how"),
    [
        ("mikrotik", FREE, SLOW, "coa"),
        ("mikrotik", FREE, GARDEN, "disconnect"),
        ("mikrotik", GARDEN, FREE, "disconnect"),
        ("mikrotik", None, FREE, "disconnect"),
        ("mikrotik", FREE, None, "disconnect"),
        ("mikrotik", FREE, FREE, "none"),
        ("pppd", FREE, SLOW, "end-session"),
        ("pppd", FREE, None, "end-session"),
        ("chillispot", FREE, SLOW, "disconnect"),
        ("juniper", FREE, SLOW, "coa"),
    ],
)
def test_the_vendor_table_decides_how(vendor, old, new, how):
    """CoA where the vendor can change exactly that, Disconnect where not, the driver where the NAS takes neither."""
    assert decide(old, new, vendor).how == how


def test_the_hash_is_over_policy_and_not_over_timers():
    """Another interim interval cuts nobody off; anything else is another hash."""
    assert hash_of(FREE) == hash_of(msgspec.structs.replace(FREE, interim=60, timeout=9))
    assert len({hash_of(one) for one in (FREE, SLOW, GARDEN, None)}) == 4


@pytest.fixture
def stand_in(nas, server):
    """A NAS stand-in at 127.0.0.1 with its sessions on the running server."""
    one = NasStandIn(nas(), SECRET, redial=False).start()
    yield one
    one.stop()


def entry(port: int, secret: bytes = SECRET) -> NasEntry:
    return NasEntry("bng1", "127.0.0.1", "mikrotik", (secret,), True, False, port, 500, 600)


def test_outcomes_are_what_the_nas_said(stand_in):
    """acked, no-session (503), nak(code), timeout for a wrong secret or silence, unreachable for a closed port."""
    _reply, one = stand_in.login("s1@example.net", "pw-1")
    there, target = client.identity_of(entry(1), one.session_id), entry(stand_in.coa_port)
    stand_in.faults.nak = 1.0
    assert client.disconnect(target, there).meaning == "nak (resources unavailable)"
    stand_in.faults.nak = 0.0
    assert client.disconnect(entry(stand_in.coa_port, b"wrong"), there, waits=BRISK).result == "timeout"
    assert client.change(target, there, b"").result == "acked"
    assert client.disconnect(target, there).result == "acked"
    assert client.disconnect(target, there).result == "no-session"
    stand_in.faults.loss = 1.0
    assert client.disconnect(target, there, waits=BRISK).result == "timeout"
    stand_in.stop()
    assert client.disconnect(target, there, waits=BRISK).result == "unreachable"


@pytest.mark.parametrize(
    ("kept", "result"),
    [
        ("s1@example.net", "acked"),  # as the NAS knows it
        (
            "voucher-01M8FK4VDBQRH05WS0X93EESNN",
            "acked",
        ),  # a voucher's id stands for its code, which is kept nowhere
        ("s1\ufffd@example.net", "acked"),  # octets that were no text
        ("somebody@example.net", "no-session"),
    ],
)
def test_a_session_is_named_by_what_its_nas_knows(stand_in, kept, result):
    """Every attribute of an identification must match (RFC 5176 section 3)."""
    _reply, one = stand_in.login("s1@example.net", "pw-1")
    identity = client.identity_of(entry(1), one.session_id, kept)
    assert client.disconnect(entry(stand_in.coa_port), identity).result == result


def test_a_lost_request_is_retransmitted_with_identical_octets(stand_in):
    """With half of the requests lost, every Disconnect is acknowledged in the end and performed once."""
    stand_in.faults.loss = 0.4
    for _round in range(5):
        _reply, one = stand_in.login("s1@example.net", "pw-1")
        there = client.identity_of(entry(1), one.session_id)
        outcome = client.disconnect(entry(stand_in.coa_port), there, waits=(0.1,) * 20)
        assert outcome.result == "acked"
    assert len([line for line in stand_in.log if line.endswith("disconnected")]) == 5


def test_an_ipv6_nas_is_disconnected_too(nas):
    """CoA and Disconnect go to a NAS's IPv6 address with NAS-IPv6-Address as its identification."""
    one = NasStandIn(nas(), SECRET, source="::1").start()
    target = msgspec.structs.replace(entry(one.coa_port), source="::1")
    identity = client.identity_of(target, b"none")
    assert identity.startswith(b"\x5f\x12")
    assert client.disconnect(target, identity).result == "no-session"
    one.stop()


class Loop:
    """The whole of lane 1 but Git: network -> view -> worker -> session -> correction."""

    def __init__(self, node, network: Network, recorded) -> None:
        self.network, self.recorded = network, recorded
        self.index = open_derived(node)
        layout.prepare(self.index)
        with self.index.write() as conn:
            conn.execute(sa.update(index_state).values(commit_id="c"))
        self.seal = Seal.of(node.home)
        self.builder = ViewBuilder(self.index, lambda: reading(network), open_secret, self.seal)
        self.server = RadiusServer(node, limits=QUICK, in_process=True)
        self.nas = NasStandIn(client_of(self.server), SECRET)
        device = network.texts["device", "bng1"].replace("port: 3799", f"port: {self.nas.coa_port}")
        network.put("device", "bng1", device)
        self.changed(("device", "bng1"))
        self.server.start()
        self.nas.start()
        eventually(lambda: self.server.worker.view.seq >= 1, cap=5)

    def changed(self, *names: tuple[str, str]) -> None:
        rows = [
            {"commit_id": "c", "path": "-", "kind": kind, "id": one, "op": "put", "changed_at": clock.now()}
            for kind, one in names
        ]
        with self.index.write() as conn:
            insert_many(conn, index_change, rows)
        self.builder.run_once()

    def enforce(self, marked: bool = False) -> list[tuple[str, str]]:
        """One pass of the lane; (how, result) of each correction."""
        from aaa.enforcement import acknowledged
        from aaa.view.models import newest

        with self.index.read() as conn:
            seq = newest(conn)
        assert acknowledged(self.index, seq, self.server.workers, cap=5) == []
        return [
            (
                one.action.how,
                correct(self.recorded, one, nas_of(self.index, self.seal, one.session.source)).result,
            )
            for one in stale_sessions(self.recorded, self.index, marked=marked)
        ]

    def end(self) -> None:
        self.nas.stop()
        self.server.stop()
        self.index.close()


@pytest.fixture
def loop(node, network, recorded):
    made = Loop(node, network, recorded)
    yield made
    made.end()


def policy_of(loop: Any, login: str = "s1@example.net") -> Any:
    """The policy of the login's one live session, as soon as there is exactly one."""
    eventually(lambda: len(loop.nas.of(login)) == 1, cap=5)
    return loop.nas.of(login)[0].policy


def test_held_and_released_the_session_lands_where_it_should(loop):
    """Hold: Disconnect acknowledged, the redial is in the garden. Release: Disconnect, the redial is free again."""
    loop.nas.login("s1@example.net", "pw-1")
    assert loop.enforce() == []
    loop.network.hold("S-1", "nonpayment", "walled-garden")
    loop.changed(("hold", "S-1.nonpayment"))
    assert loop.enforce() == [("disconnect", "acked")]
    assert eventually(lambda: "Mikrotik-Address-List = tl-garden" in policy_of(loop), cap=5)
    assert loop.enforce() == []
    loop.network.drop("hold", "S-1.nonpayment")
    loop.changed(("hold", "S-1.nonpayment"))
    assert loop.enforce() == [("disconnect", "acked")]
    assert eventually(lambda: "Framed-Pool = west-cgn" in policy_of(loop), cap=5)


def test_a_new_speed_is_a_coa_and_the_session_lives_on(loop):
    """A throttle changes the live session by CoA: same session, new rate, and an interim with the old Class does not
    make it stale again.
    """
    _reply, one = loop.nas.login("s1@example.net", "pw-1")
    loop.network.hold("S-1", "abuse", "throttle", "rate: {down: 1M, up: 1M}")
    loop.changed(("hold", "S-1.abuse"))
    assert loop.enforce() == [("coa", "acked")]
    assert "Mikrotik-Rate-Limit = 1000000/1000000" in policy_of(loop)
    assert loop.nas.of("s1@example.net") == [one]
    loop.nas.account(one, 3)
    assert loop.enforce() == []
    assert loop.enforce(marked=True) == []


def test_what_a_nas_did_not_acknowledge_stays_stale(loop):
    """A NAK changes nothing: the next pass asks again, and only an ACK ends it."""
    loop.nas.login("s1@example.net", "pw-1")
    loop.network.hold("S-1", "admin", "block")
    loop.changed(("hold", "S-1.admin"))
    loop.nas.faults.nak = 1.0
    assert loop.enforce() == [("disconnect", "nak")]
    loop.nas.faults.nak = 0.0
    assert loop.enforce() == [("disconnect", "acked")]
    assert loop.enforce() == []
    assert eventually(lambda: loop.nas.log[-1].endswith("refused"), cap=5)


def test_a_second_session_replaces_the_first(loop):
    """`limit: 1, over: replace`: the ghost is marked at the new Start and disconnected, the new session lives."""
    _reply, ghost = loop.nas.login("s1@example.net", "pw-1")
    loop.nas._redial = False
    _reply, fresh = loop.nas.login("s1@example.net", "pw-1")
    # The ghost is marked behind the answer: nobody waits for that.
    assert eventually(lambda: loop.enforce(marked=True), cap=10) == [("disconnect", "acked")]
    assert loop.nas.of("s1@example.net") == [fresh]
    assert loop.enforce(marked=True) == []
    assert ghost.session_id != fresh.session_id


def test_a_session_of_a_service_that_is_gone_ends(loop):
    """A ceased service has no wanted policy: its session is disconnected."""
    loop.nas.login("s2@example.net", "pw-2")
    loop.network.drop("service", "S-2")
    loop.changed(("service", "S-2"))
    assert loop.enforce() == [("disconnect", "acked")]


def test_a_pppd_session_is_for_the_driver(loop, recorded):
    """pppd takes no Disconnect: the correction asks the driver's end_session, and says what that answered."""
    from aaa.accounting.record import START
    from tests.aaa.test_accounting import record, write

    write(recorded, record(START, nas="bng2", session_id=b"ppp0", service="S-3", policy_hash="old"))
    (one,) = stale_sessions(recorded, loop.index, ["S-3"])
    assert one.action.how == "end-session"
    assert correct(recorded, one, None).result == "unreachable"
    ended: list[bytes] = []

    def end(gone: Session) -> bool:
        ended.append(gone.acct_session_id)
        return True

    outcome = correct(recorded, one, None, end_session=end)
    assert (outcome.result, ended) == ("acked", [b"ppp0"])
    assert stale_sessions(recorded, loop.index, ["S-3"]) == []


def test_corrections_are_pure(loop):
    """The decision needs no database: sessions and wanted policies in, corrections out."""
    wanted = {"S-1": Wanted(hash_of(FREE), FREE, (), 1, "replace")}
    assert corrections([], wanted, lambda _device: "mikrotik") == []


def test_outcomes_and_the_stops_that_they_bring_do_not_wait_in_a_circle(postgres):
    """Accounting writes sessions in the order of their refs; so does whoever records what became of them."""
    with postgres.fresh_database() as url:
        db = Database(url)
        write(db, record(START, session_id=b"1"), record(START, session_id=b"2", service="S-2"))
        with db.read() as conn:
            chosen = sa.select(session).order_by(session.c.session_ref)
            found = [session_of(row) for row in conn.execute(chosen)]
        done = [
            (Correction(one, "gone", None, Action("disconnect")), Outcome("acked")) for one in reversed(found)
        ]

        def touch(conn: Any, one: Session) -> None:
            mine = session.c.session_ref == one.session_ref
            conn.execute(sa.update(session).where(mine).values(up_octets=1))

        def waits() -> bool:
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            return bool(postgres.sql(waiting) == "1")

        with ThreadPoolExecutor(1) as pool, db.write() as conn:
            touch(conn, found[0])
            recorded = pool.submit(_recorded, db, done)
            eventually(waits, cap=5)
            touch(conn, found[1])
            conn.commit()
            recorded.result(timeout=10)
        with db.read() as conn:
            assert set(conn.execute(sa.select(session.c.cause, session.c.up_octets))) == {("corrected", 1)}
        db.close()


def _recorded(db: Database, done: list[tuple[Correction, Outcome]]) -> None:
    with db.write() as conn:
        record_outcomes(conn, done)
