"""Simultaneous use: a full service refuses elsewhere, the same place replaces its ghost, what proves alive is ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.accounting import store
from aaa.accounting.commit import GroupCommit
from aaa.accounting.journal import Journal
from aaa.accounting.record import INTERIM, ON, START, STOP
from aaa.accounting.store import session_of
from aaa.enforcement import corrections
from aaa.limits import crowd
from aaa.limits.crowd import Open, Rule, judge
from aaa.limits.limit import FULL, Limit, Limits
from aaa.models import session
from aaa.radius.exchange import circuit_attribute
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.vendors.policy import Policy
from aaa.view.records import Wanted
from core import clock
from core.db import Database, DatabaseAway
from tests.aaa.limited import Limited
from tests.aaa.test_accounting import record, stored, write
from tests.support import eventually

A, B, C = ("00:11:22:33:44:0a", "00:11:22:33:44:0b", "00:11:22:33:44:0c")
REJECT = 'method: pppoe, login: s%d@example.net, password: "enc:v1:pw-%d", limit: %d, over: reject'


@pytest.fixture
def limited(database, tmp_path, network):
    network.subscriber(1, session=REJECT % (1, 1, 1))
    network.subscriber(2, session=REJECT % (2, 2, 2))
    made = Limited(database, Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield made
    made.derived.close()


def start(limited: Limited, name: bytes, calling: str = A, kind: int = START, after: int = 0, **more) -> None:
    """A record of a session of S-1 (or `service`), as a worker reads it."""
    known: dict[str, Any] = {"most": 1, "reject": True, "calling": calling, "session_id": name} | more
    lasted = known.pop("lasted", 0)
    write(limited.recorded, record(kind, after, session_time=lasted, **known))
    limited.settle()


def states(limited: Limited) -> dict:
    with limited.recorded.read() as conn:
        rows = conn.execute(sa.select(session)).all()
    return {bytes(row.acct_session_id): (row.state, row.cause, row.stale) for row in rows}


def test_a_full_service_says_where_it_is_and_is_free_again_at_the_stop(limited):
    """`over: reject`: the Start writes `full` with the live places, the Stop lifts it; one of two leaves room."""
    start(limited, b"1", circuit=b"olt1 xpon 0/1/0:1")
    access = limited.access()
    assert (access.status, set(access.live)) == ("full", {b"00112233440a", b"olt1 xpon 0/1/0:1"})
    start(limited, b"1", kind=STOP, after=60)
    assert (limited.access().status, limited.access().live) == ("ok", ())
    start(limited, b"2", service="S-2", most=2)
    assert limited.access("s2@example.net").status == "ok"
    start(limited, b"3", calling=B, service="S-2", most=2)
    assert limited.access("s2@example.net").status == "full"
    assert limited.rows() == limited.cold()


def test_the_same_place_replaces_its_ghost_and_another_is_over_the_limit(limited):
    """A BNG lost a session without a Stop: the Start from the same MAC closes it as inferred, and asks nobody. One from
    elsewhere that raced in is marked for enforcement.
    """
    start(limited, b"1")
    start(limited, b"2", after=600)
    assert states(limited) == {b"1": ("closed", "replaced", False), b"2": ("open", "", False)}
    start(limited, b"3", calling=B, after=700)
    found = states(limited)
    assert (found[b"2"][0], found[b"2"][2], found[b"3"][2]) == ("open", True, True)


def test_a_ghost_that_lives_after_all_is_ended_and_not_its_successor(limited):
    """An interim of the session that was thought a ghost: it is open again, and of the two the older one is ended."""
    start(limited, b"1")
    start(limited, b"2", after=600)
    start(limited, b"1", kind=INTERIM, after=900, lasted=900)
    assert {name: state for name, (state, _c, _s) in states(limited).items()} == {b"1": "open", b"2": "open"}
    wanted = Wanted("p1", Policy(), (), 1, "reject")
    with limited.recorded.read() as conn:
        opened = [session_of(row) for row in conn.execute(sa.select(session))]
    ended = corrections(opened, {"S-1": wanted}, lambda _nas: "mikrotik")
    assert [one.session.acct_session_id for one in ended] == [b"1"]


LINE = b"olt1 xpon 0/1/0:1"


def test_a_line_that_redials_with_another_router_is_let_in_and_replaces_its_ghost(limited):
    """The same login from the same circuit, the ghost is open yet: the login's place is known, and nobody is marked."""
    start(limited, b"1", circuit=LINE)
    assert limited.access().status == "full"
    assert LINE in limited.access().live
    start(limited, b"2", calling=B, circuit=LINE, after=60)
    assert states(limited) == {b"1": ("closed", "replaced", False), b"2": ("open", "", False)}
    assert set(limited.access().live) == {LINE, B.replace(":", "").encode()}


@pytest.mark.parametrize("again", [START, INTERIM])
def test_a_session_that_is_reported_twice_is_one(limited, again):
    """Sent again with another Acct-Delay-Time, or to two nodes at once: one session, one place, no crowd."""
    start(limited, b"1", circuit=LINE)
    start(limited, b"2", circuit=LINE, after=60)
    start(limited, b"2", circuit=LINE, after=60)
    start(limited, b"2", kind=again, circuit=LINE, after=90, lasted=30 if again == INTERIM else 0)
    assert states(limited) == {b"1": ("closed", "replaced", False), b"2": ("open", "", False)}


def test_an_id_that_is_used_again_is_no_crowd(limited):
    """The NAS gives the same Acct-Session-Id to the line's next session, and lost the Stop: the older one is over."""
    start(limited, b"1", circuit=LINE)
    start(limited, b"1", calling=B, after=3600)
    with limited.recorded.read() as conn:
        rows = conn.execute(sa.select(session).order_by(session.c.started_at)).all()
    assert [(row.state, row.cause, row.stale) for row in rows] == [
        ("closed", "superseded", False),
        ("open", "", False),
    ]


def test_a_start_behind_its_first_interim_says_whose_ghost_there_is(limited):
    """Without the Start nobody knew the circuit: two sessions are one too many. The Start tells, and they are not."""
    start(limited, b"1", circuit=LINE)
    start(limited, b"2", calling=B, kind=INTERIM, after=900, lasted=300)
    assert {stale for _state, _cause, stale in states(limited).values()} == {True}
    start(limited, b"2", calling=B, after=600, circuit=LINE)
    assert states(limited)[b"1"][:2] == ("closed", "replaced")
    assert states(limited)[b"2"][0] == "open"
    with limited.recorded.read() as conn:
        assert bytes(conn.scalar(sa.select(session.c.circuit).where(session.c.state == "open"))) == LINE


def test_two_sessions_of_one_circuit_are_no_ghosts_where_two_may_be(limited):
    """A household with two PPPoE sessions on one circuit, limit 2: both stay."""
    start(limited, b"1", service="S-2", most=2, circuit=b"x")
    start(limited, b"2", calling=B, service="S-2", most=2, circuit=b"x", after=10)
    assert {state for state, _cause, _stale in states(limited).values()} == {"open"}


def test_a_bng_that_restarted_fills_nobody(limited):
    """Accounting-On closes its sessions: within a slow pass nobody is full any more."""
    start(limited, b"1")
    write(limited.recorded, record(ON, 900, service=""))
    limited.settle()
    assert limited.access().status == "ok"
    with limited.recorded.write() as conn:
        assert (crowd.relievable(conn), crowd.relieve(conn, ["S-1"])) == ([], 0)


def test_a_slow_pass_looks_before_it_writes(limited, monkeypatch):
    """While nothing is due, services that are full and vouchers that are fresh keep nobody from writing."""
    start(limited, b"1")
    asked: list[str] = []
    written: list[str] = []
    write_to = limited.recorded.write

    @contextmanager
    def writing() -> Iterator[Any]:
        with write_to() as conn:
            before = len(asked)
            yield conn
            written.extend(asked[before:])

    sa.event.listen(limited.recorded.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    monkeypatch.setattr(limited.recorded, "write", writing)
    limited.keeper._slowly(clock.now())
    assert len(asked) > len(written) > 0
    assert all("service_limit_change" in one for one in written)


def test_a_batch_of_interims_asks_nothing(limited):
    """Interims of services without quota touch no table of limits."""
    start(limited, b"1", most=1, reject=False)
    asked: list[str] = []
    sa.event.listen(limited.recorded.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    write(limited.recorded, record(INTERIM, 300, 10, 10, session_id=b"1", calling=A))
    assert not [one for one in asked if "service_limit" in one or "usage_change" in one]


sessions_strategy = st.lists(
    st.builds(
        Open,
        ref=st.uuids().map(str),
        service=st.just("S-1"),
        started=st.integers(0, 20).map(float),
        circuit=st.sampled_from([b"", b"c1", b"c2"]),
        mac=st.sampled_from([b"", b"m1", b"m2"]),
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(sessions_strategy, st.integers(1, 3), st.booleans())
def test_never_more_ghosts_than_are_too_many_and_never_the_newest(sessions, most, all_new):
    """Whatever sessions there are: a ghost shares a place with a newer one, the newest stays, and no fewer than the
    limit are left.
    """
    new = frozenset(one.ref for one in sessions) if all_new else frozenset()
    judged = judge(sessions, Rule(most, True), new)
    assert len(judged.live) >= min(most, len(sessions))
    assert len(judged.live) + len(judged.ghosts) == len(sessions)
    assert not judged.ghosts or all_new
    if sessions:
        assert max(sessions, key=lambda one: (one.started, one.ref)) in judged.live
    for ghost in judged.ghosts:
        assert any(
            one.places & ghost.places for one in sessions if one.started >= ghost.started and one is not ghost
        )


def test_a_login_elsewhere_is_refused_and_one_from_the_same_place_is_not(anew, network):
    """The server itself: too-many-sessions for another MAC and circuit; accepted from one that is live."""
    network.subscriber(1, session=REJECT % (1, 1, 1))
    live = [b"00112233440a".hex(), b"olt1 xpon 0/1/0:1".hex()]
    limit = Limit("S-1", FULL, "full", data={"live": live, "most": 1})
    server, client = anew(network, Limits({"S-1": (limit,)}))

    def login(mac: str, circuit: bytes = b"") -> bool:
        more = pair(31, mac.encode()) + (circuit_attribute(circuit) if circuit else b"")
        return bool(client.login("s1@example.net", "pw-1", attributes=more).accepted)

    assert not login(B)
    assert not login(B, b"olt1 xpon 0/1/0:2")
    assert login(A)
    assert login(B, b"olt1 xpon 0/1/0:1")
    assert server.worker.answers.counted["too-many-sessions"] == 2


def test_a_login_is_bound_to_its_port(anew, network):
    """`bind: [port]`: the BNG's NAS-Port-Id must be the one in the service; any other, or none, is the wrong port."""
    network.subscriber(
        1,
        session='method: pppoe, login: s1@example.net, password: "enc:v1:pw-1", port: "bond1:101-1001", bind: [port]',
    )
    server, client = anew(network)
    told = [
        client.login("s1@example.net", "pw-1", attributes=attributes).accepted
        for attributes in (pair(87, b"bond1:101-1001"), pair(87, b"bond1:101-1002"), b"")
    ]
    assert told == [True, False, False]
    assert server.worker.answers.counted["wrong-port"] == 2


def test_every_refusal_looks_the_same_to_the_caller(anew, network):
    """Unknown, wrong password, wrong port, held, no address, full: the same packet but for its authenticators."""
    for number in range(1, 6):
        network.subscriber(number)
    network.hold("S-2", "abuse", "block")
    network.subscriber(
        3, session='method: pppoe, login: s3@example.net, password: "enc:v1:pw-3", bind: [circuit]'
    )
    network.put("service", "S-4", network.texts["service", "S-4"].replace("mode: cgnat", "mode: public"))
    network.put("edge", "west", network.texts["edge", "west"].replace("public: west-public, ", ""))
    full = Limit("S-5", FULL, "full", data={"live": [], "most": 1})
    server, client = anew(network, Limits({"S-5": (full,)}))
    asked = [
        ("nobody@example.net", "x"),
        ("s1@example.net", "wrong"),
        *((f"s{n}@example.net", f"pw-{n}") for n in (2, 3, 4, 5)),
    ]
    replies = [client.login(login, password) for login, password in asked]
    assert {
        (one.code, tuple(kind for kind, _v in one.packet.pairs), len(one.packet.raw)) for one in replies
    } == {(3, (80,), 38)}
    reasons = {"unknown", "wrong-credentials", "held", "wrong-port", "no-address", "too-many-sessions"}
    assert set(server.worker.answers.counted) == reasons


def test_a_crowd_whose_mark_died_with_its_worker_is_found_again(database):
    """Killed between the commit of the sessions and the look for crowds: who starts next finds what is one too many,
    and nothing else; twice is as good as once.
    """
    rules = {"S-1": Rule(1, False), "S-2": Rule(2, True), "S-7": Rule(1, False, "ap1")}
    some = [
        ("S-1", "bng1"),
        ("S-1", "bng1"),
        ("S-2", "bng1"),
        ("S-2", "bng2"),
        ("S-7", "ap1"),
        ("S-7", "bng1"),
    ]
    some += [("S-3", "bng1"), ("S-9", "bng1"), ("S-9", "bng2")]  # S-9 has left the view
    with database.write() as conn:
        store.write(
            conn,
            [
                record(START, number, session_time=0, service=service, nas=nas, session_id=b"%d" % number)
                for number, (service, nas) in enumerate(some)
            ],
        )
    for _ in range(2):
        assert crowd.recall(database, rules.get) == 1
        with database.read() as conn:
            stale = conn.scalars(sa.select(session.c.service).where(session.c.stale == sa.true())).all()
        assert stale == ["S-1", "S-1"]


def test_a_worker_that_starts_looks_for_crowds(node, recorded):
    """By the rules of its view, a moment after it has begun."""
    with recorded.write() as conn:
        store.write(conn, [record(START, session_id=name) for name in (b"1", b"2")])
    with RadiusServer(node, in_process=True):
        eventually(lambda: [row.stale for row in stored(recorded)] == [True, True], cap=10)


def test_what_is_no_mac_is_no_place():
    """A Calling-Station-Id that is no MAC (a phone number, an address) is no place."""
    assert crowd.mac_of("0011.2233.440A") == b"00112233440a"
    assert crowd.mac_of("61 8 9555 0100") == b""
    assert Open("r", "s", 0.0, b"", b"").places == frozenset()


def test_a_commit_whose_answer_was_lost_leaves_no_ghost(database, tmp_path, monkeypatch):
    """The journal does it again, and finds the session there: that it began was noted the first time."""
    commit, committed = GroupCommit(database, Journal(tmp_path)), store.commit
    write(database, record(START, session_id=b"1", calling=A))

    def lost(conn):
        committed(conn)
        raise DatabaseAway("postgresql://there", "the line broke")

    with monkeypatch.context() as patched:
        patched.setattr("aaa.accounting.commit.commit", lost)
        assert commit._durable([record(START, 600, session_id=b"2", calling=A)])
    commit._away_until = 0.0
    assert commit.drain() == 1
    commit._look_for_crowds()
    with database.read() as conn:
        rows = conn.execute(sa.select(session)).all()
    ended = {bytes(row.acct_session_id): (row.state, row.cause) for row in rows}
    assert ended == {b"1": ("closed", "replaced"), b"2": ("open", "")}
