"""Overrides: on a node alone at once, by the clock, journaled through kills, brought home, ended from anywhere."""

import json
import multiprocessing
import os
import signal
import struct
import time
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from aaa.accounting.journal import Journal
from aaa.accounting.record import START, STOP, AccountingRecord
from aaa.limits import counting, overrides, quota, store
from aaa.limits.limit import OVERRIDE, Limit, Limits
from aaa.limits.overrides import Overrides, fold
from aaa.models import quota_use, usage_change
from aaa.radius.authenticate import with_timeout
from aaa.radius.client import NasStandIn
from aaa.radius.packet import pair
from aaa.radius.worker import load_view
from aaa.support import access_of
from aaa.vendors.registry import text_of
from aaa.view import builder
from aaa.view.records import Wanted, decode, service_key
from cli.commands.radius import app
from core import clock, events, faults
from core.db import Database
from tests.aaa.conftest import client_of
from tests.aaa.limited import Limited
from tests.aaa.network import SECRET, reading, write_snapshot
from tests.aaa.test_limits import FAIR, more
from tests.aaa.test_radius_command import ask
from tests.support import eventually

DAY = 86400


@pytest.fixture
def held(node, network):
    """A node's network in which S-1 is blocked and S-2 in the garden."""
    network.hold("S-1", "nonpayment", "block")
    network.hold("S-2", "nonpayment", "walled-garden")
    write_snapshot(network, node)
    return node


def now() -> int:
    return int(time.time())


def begin(node, service: str = "S-1", length: int = DAY) -> overrides.Override:
    return overrides.begin(node.home, service, now() + length, "paid-in-shop", "kim", time.time_ns() // 1000)


def timeout_of(reply) -> int:
    value = reply.packet.first(27)
    return 0 if value is None else struct.unpack(">I", value)[0]


def test_a_node_alone_frees_a_held_service_and_stops_by_the_clock(held, server, nas):
    """No derived database, no builder: within a fifth of a second after the journal has it, the held login gets its
    free policy for as long as the override lasts; nobody else does; after its end it is held again.
    """
    client = nas()
    assert not client.login("s1@example.net", "pw-1").accepted
    begin(held)
    reply = eventually(lambda: (r := client.login("s1@example.net", "pw-1")) and r.accepted and r, cap=0.5)
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in reply.attributes
    assert DAY - 60 < timeout_of(reply) <= DAY
    assert "Mikrotik-Address-List = tl-garden" in client.login("s2@example.net", "pw-2").attributes
    assert not client.login("s1@example.net", "wrong").accepted
    begin(held, length=1)
    eventually(lambda: not client.login("s1@example.net", "pw-1").accepted, cap=3)


def test_an_override_opens_no_other_place(held, network, anew):
    """Bound to a circuit, held and overridden: elsewhere it stays the wrong port."""
    network.subscriber(
        1, session='method: pppoe, login: s1@example.net, password: "enc:v1:pw-1", bind: [circuit]'
    )
    server, client = anew(network)
    begin(held)
    assert not client.login("s1@example.net", "pw-1").accepted
    assert server.worker.answers.counted["wrong-port"] == 1


def test_when_the_database_is_back_every_node_knows_and_it_is_told_once(held, recorded):
    """The journal's override becomes a row with its actor and an event; once more changes nothing; `end` lifts it."""
    made = begin(held)
    assert overrides.drain(held.home, recorded, now()) == 1
    assert overrides.drain(held.home, recorded, now()) == 0
    with recorded.read() as conn:
        (limit,) = store.of_cause(conn, OVERRIDE)
        told = events.recent(conn, ["service.overridden"])
    assert (limit.service, limit.effect, limit.until) == ("S-1", "release", made.until)
    assert [(one.subject, one.actor, one.data["reason"]) for one in told] == [("S-1", "kim", "paid-in-shop")]
    assert Overrides(held.home).get("S-1", 0) == made.until
    overrides.end(held.home, "S-1", "lee", time.time_ns() // 1000)
    assert Overrides(held.home).get("S-1", 0) == 0
    overrides.drain(held.home, recorded, now())
    with recorded.read() as conn:
        assert store.of_cause(conn, OVERRIDE) == []
        assert [one.actor for one in events.recent(conn, ["service.override-ended"])] == ["lee"]
    assert overrides.path_of(held.home).read_bytes() == b""


def test_what_another_node_ended_ends_here(held, recorded):
    """The database no longer has it: this node's copy is over, too, and one that only this node knows is not."""
    begin(held)
    overrides.drain(held.home, recorded, now())
    with recorded.write() as conn:
        store.lift(conn, [("S-1", OVERRIDE)])
    begin(held, "S-2")
    overrides.drain(held.home, recorded, now())
    here = Overrides(held.home)
    assert (here.get("S-1", 0), here.get("S-2", 0) > now()) == (0, True)


def test_the_journal_is_private_and_ends_at_a_tear(held):
    """Mode 0600; a torn line is no override, and the next one is written where the last whole line ends."""
    begin(held)
    path = overrides.path_of(held.home)
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:11])
    begin(held, "S-2")
    assert set(overrides.read(held.home)) == {"S-1", "S-2"}


def test_the_last_word_on_a_service_counts():
    """Begin, done, begin again: not recorded; a `done` of an older line says nothing of a newer."""
    line = overrides.Line("begin", "S-1", 100, "", "kim", 1)
    done = msgspec.structs.replace(line, what="done")
    again = msgspec.structs.replace(line, until=200, at=2)
    assert fold(iter([line, done]))["S-1"].recorded
    assert not fold(iter([line, done, again]))["S-1"].recorded
    assert not fold(iter([line, again, done]))["S-1"].recorded
    assert fold(iter([line, msgspec.structs.replace(line, what="end", at=3)]))["S-1"].ended


def test_a_session_timeout_is_the_earliest_end():
    """Credit for an hour, an override's end in a day or in a minute: never longer than either."""
    block = pair(88, b"cgn") + pair(27, (3600).to_bytes(4))
    assert text_of(with_timeout(block, DAY)) == ["Framed-Pool = cgn", "Session-Timeout = 3600"]
    assert text_of(with_timeout(block, 60))[-1] == "Session-Timeout = 60"


@pytest.fixture
def alone(held, network):
    """A held node whose database cannot be reached, with a NAS stand-in as bng1."""
    stand_in = NasStandIn(client_of(_Ports()), SECRET, redial=False)
    device = network.texts["device", "bng1"].replace("port: 3799", f"port: {stand_in.coa_port}")
    network.put("device", "bng1", device)
    write_snapshot(network, held)
    (held.home / "settings.toml").write_text('database_url = "postgresql+psycopg://127.0.0.1:1/nobody"\n')
    yield held, stand_in.start()
    stand_in.stop()


def told_by(node, *args: str) -> str:
    """What the command prints, run in this process."""
    done = CliRunner().invoke(app, [*args, "--home", str(node.home)])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return str(done.stdout)


class _Ports:
    """Where nobody answers: the stand-in only listens."""

    auth_port = acct_port = 9


def journalled(
    node, *kinds: int, nas: str = "bng1", source: str = "127.0.0.1", name: bytes = b"live-1",
    service: str = "S-1", policy: str = "",
) -> None:  # fmt: skip
    journal = Journal(node.home / "radius" / "journal")
    for kind in kinds:
        told = AccountingRecord(kind, nas, source, name, time.time(), service=service, policy_hash=policy)
        journal.append([told])
    journal.close()


def test_the_command_works_with_everything_down_and_says_what_it_could_not(alone):
    """The database away: the override counts here, the session that this node journalled is disconnected as its NAS
    says, one on a NAS without Disconnect is said to stay, and one that stopped is nobody's.
    """
    node, _stand_in = alone
    journalled(node, START)
    journalled(node, START, nas="bng2", source="127.0.0.2", name=b"live-2")
    journalled(node, START, STOP, name=b"over")
    done = told_by(node, "override", "s1@example.net", "--for", "24h", "--reason", "paid-in-shop", "--json")
    told = json.loads(done)
    assert (told["service"], told["recorded"]) == ("S-1", False)
    outcomes = {one["session"]: one["outcome"] for one in told["sessions"]}
    assert outcomes["live-1"] == "no-session (session context not found)"
    assert outcomes["live-2"].startswith("not ended: pppd takes no Disconnect-Request")
    assert set(outcomes) == {"live-1", "live-2"}
    assert Overrides(node.home).get("S-1", 0) > now() + DAY - 60
    listed = told_by(node, "override", "--list")
    assert "the database is away: only what this node itself keeps is listed" in listed
    assert "S-1" in listed
    assert "this node alone" in listed
    assert told_by(node, "test-login", "s1@example.net").startswith("bng1: accepted")
    assert "overridden no longer" in told_by(node, "override", "S-1", "--end")
    assert Overrides(node.home).get("S-1", 0) == 0


def test_on_a_node_alone_a_name_is_resolved_before_anything_ends(alone):
    """The database away: a name that nobody has is refused and leaves no line, and one that an older version ended by
    mistake still means its service; a service that left the network may be named while its override is on.
    """
    node, _stand_in = alone
    done = ask(node, "override", "s1@example.nett", "--end")
    assert (done.returncode, "is no login" in " ".join(done.stderr.split())) == (3, True)
    assert not overrides.path_of(node.home).exists()
    overrides.end(node.home, "s1@example.net", "kim", time.time_ns() // 1000)
    told_by(node, "override", "S-1", "--for", "1h")
    assert told_by(node, "override", "s1@example.net", "--end").startswith("S-1 is overridden no longer")
    assert told_by(node, "override", "--list").startswith("no overrides")
    begin(node, "S-99")
    assert "S-99 is overridden no longer" in told_by(node, "override", "S-99", "--end")
    assert ask(node, "override", "S-99", "--end").returncode == 3


def test_where_nothing_is_overridden_the_command_says_so(alone):
    """Status 0, the truth, and no line in the journal; twice ended is once."""
    node, _stand_in = alone
    told = json.loads(told_by(node, "override", "S-3", "--end", "--json"))
    assert (told["service"], told["ended"]) == ("S-3", False)
    assert not overrides.path_of(node.home).exists()
    begin(node)
    assert "S-1 is overridden no longer" in told_by(node, "override", "S-1", "--end")
    assert told_by(node, "override", "S-1", "--end").startswith("S-1 has no override; the database is away")


def test_a_recorded_override_that_ends_on_a_node_alone_ends_there(alone, network):
    """The view has it, the database is away: the login is held at once here, and `explain` tells of no override."""
    node, _stand_in = alone
    limit = Limit("S-1", OVERRIDE, "release", until=now() + DAY)
    write_snapshot(network, node, limits=Limits({"S-1": (limit,)}))
    assert told_by(node, "test-login", "s1@example.net").startswith("bng1: accepted")
    assert "S-1 is overridden no longer" in told_by(node, "override", "s1@example.net", "--end")
    assert ask(node, "test-login", "s1@example.net").stdout.startswith("bng1: refused: held")
    assert "overridden until" not in told_by(node, "explain", "S-1")
    assert told_by(node, "override", "S-1", "--end").startswith("S-1 has no override")
    begin(node)
    assert told_by(node, "test-login", "s1@example.net").startswith("bng1: accepted")


def test_a_session_that_has_the_free_policy_is_not_disturbed(alone):
    """Of a service that nothing restricts, and of one that was freed before; one with less is ended."""
    node, _stand_in = alone
    view = load_view(node)
    wanted, free = decode(view.lookup(service_key("S-3")), Wanted), access_of(view, "S-1").free
    assert wanted is not None
    assert free is not None
    unheld, freed = wanted.policy_hash, free.policy_hash
    journalled(node, START, name=b"fine", service="S-3", policy=unheld)
    journalled(node, START, name=b"old", service="S-3", policy="garden")
    journalled(node, START, name=b"freed", policy=freed)
    for service, ended in (("S-3", ["old"]), ("S-1", [])):
        told = json.loads(told_by(node, "override", service, "--for", "1h", "--json"))
        assert [one["session"] for one in told["sessions"]] == ended


@pytest.mark.parametrize(
    ("args", "status", "why"),
    [
        (("override", "S-1", "--for", "30d"), 3, "at most 7 days"),
        (("override", "S-1", "--for", "1h", "--reason", "Paid, she says"), 2, "a code, no story"),
        (("override", "nobody@example.net", "--for", "1h"), 3, "is no login"),
        (("override", "S-11", "--end"), 3, "is no login"),
    ],
)
def test_a_mistake_is_one_sentence_and_no_override(held, args, status, why):
    """What cannot be done is said, and the journal is not touched."""
    done = ask(held, *args)
    assert done.returncode == status
    assert why in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not overrides.path_of(held.home).exists()


def test_the_command_with_a_database_records_at_once(held, recorded):
    """The database is there: recorded in the same breath, and `explain` and `--list` tell until when."""
    assert "recorded: every node knows" in told_by(held, "override", "S-1", "--for", "2h")
    with recorded.read() as conn:
        assert [one.service for one in store.of_cause(conn, OVERRIDE)] == ["S-1"]
    listed = told_by(held, "override", "--list")
    assert "this node alone" not in listed
    assert "the database is away" not in listed
    assert "overridden until" in told_by(held, "explain", "s1@example.net")


def test_a_recorded_override_is_followed_by_every_node_and_ends_with_the_database_away(held, network, anew):
    """Another node's override came by the view: the free policy while it lasts, held again by the clock alone."""
    limit = Limit("S-1", OVERRIDE, "release", until=now() + 2)
    _server, client = anew(network, Limits({"S-1": (limit,)}))
    reply = client.login("s1@example.net", "pw-1")
    assert (reply.accepted, 0 < timeout_of(reply) <= 2) == (True, True)
    eventually(lambda: not client.login("s1@example.net", "pw-1").accepted, cap=4)


KILLED_POINTS = [
    overrides.BEFORE_SYNC,
    overrides.AFTER_SYNC,
    overrides.IN_TRANSACTION,
    overrides.BEFORE_DONE,
    counting.COUNTED,
    builder.BEFORE_LIMITS,
]


def killed_in(point: str, work: Any) -> None:
    """Do the work in a process that kills itself at the point."""

    def die() -> None:
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        faults._passages.clear()
        work()

    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join(timeout=30)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", KILLED_POINTS[:2])
def test_killed_while_journalling_an_override_is_whole_or_not_there(held, point):
    """SIGKILL around the sync: what is read is that override or none, and the next one is found."""
    killed_in(point, lambda: begin(held))
    assert set(overrides.read(held.home)) <= {"S-1"}
    assert point == overrides.BEFORE_SYNC or Overrides(held.home).get("S-1", 0) > now()
    begin(held, "S-2")
    assert "S-2" in overrides.read(held.home)


@pytest.mark.parametrize("point", KILLED_POINTS[2:4])
def test_killed_while_bringing_it_home_it_is_recorded_once(held, recorded, point):
    """SIGKILL in the transaction or before the journal says done: the next pass ends with one row and one event."""
    begin(held)
    killed_in(point, lambda: overrides.drain(held.home, Database(held.database_url), now()))
    overrides.drain(held.home, recorded, now())
    with recorded.read() as conn:
        assert len(store.of_cause(conn, OVERRIDE)) == 1
        assert len(events.recent(conn, ["service.overridden"])) == 1
    assert overrides.read(held.home)["S-1"].recorded


def test_killed_while_counting_nothing_is_counted_twice_or_lost(tmp_path, recorded, network):
    """SIGKILL before the commit of a count: the changes still wait, and are counted by the next."""
    more(network, "fibre-500", FAIR % ("1T", "total", "month"))
    with recorded.write() as conn:
        quota.note(conn, [("S-1", clock.now(), 10, 100, 60, False)])
    url = str(recorded.url)
    killed_in(counting.COUNTED, lambda: counting.count_once(Database(url), lambda: reading(network)))
    assert counting.count_once(recorded, lambda: reading(network)) == 1
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(quota_use)).all()
        assert conn.scalar(sa.select(sa.func.count()).select_from(usage_change)) == 0
    assert (row.up_octets, row.down_octets) == (10, 100)


def test_killed_while_following_limits_the_view_ends_like_a_cold_build(tmp_path, recorded, network):
    """SIGKILL before the position is written: the next pass compiles again what it compiled, and nothing differs."""
    limited = Limited(recorded, Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    with recorded.write() as conn:
        store.put(conn, [Limit("S-1", "manual", "throttle", 1000, 1000), Limit("S-2", "legal", "block")], "t")
    urls = str(limited.recorded.url), str(limited.derived.url)

    def follow() -> None:
        limited.recorded, limited.derived = Database(urls[0]), Database(urls[1])
        limited.anew().run_once()

    killed_in(builder.BEFORE_LIMITS, follow)
    limited.settle()
    assert limited.rows() == limited.cold()
    limited.derived.close()
