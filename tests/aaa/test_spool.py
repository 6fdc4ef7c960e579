"""Accounting for another server survives our death and its absence: kept until it is taken, in order."""

import errno
import os
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aaa.proxy import drain, spool
from aaa.proxy.delivery import Delivery
from aaa.proxy.rewrite import accounting_request
from aaa.proxy.spool import Entry, Spool, folder_name, read_segment, routes_in
from aaa.radius import packet as wire
from aaa.radius.packet import pair
from core import clock, disk
from core.disk import write_whole
from tests.aaa.home import FreeRadius
from tests.aaa.network import write_snapshot
from tests.aaa.taker import INTERIM, START, STOP, Taker, entry
from tests.aaa.test_accounting_kills import Caller
from tests.aaa.test_proxy import USERS, proxied
from tests.support import eventually

WITH_SERVER = [spool.BEFORE_SYNC, spool.AFTER_SYNC, drain.DELIVERED]
POINTS = [*WITH_SERVER, spool.BEFORE_RENAME]
CALLS = 2


def body(call: int, kind: int) -> bytes:
    """An event of one call of ann's."""
    told = pair(40, struct.pack(">I", kind)) + pair(44, b"call-%d" % call) + pair(1, b"ann@guest.example")
    return told + pair(46, struct.pack(">I", {1: 0, 3: 30, 2: 60}[kind]))


def events(home: FreeRadius) -> dict[str, list[str]]:
    """What the home server took, by session, each event once and in the order of its first coming."""
    found: dict[str, list[str]] = {}
    for block in home.detail().split("\n\n"):
        fields = dict(line.strip().split(" = ", 1) for line in block.splitlines() if " = " in line)
        taken = found.setdefault(fields["Acct-Session-Id"], []) if "Acct-Session-Id" in fields else []
        if fields.get("Acct-Status-Type") not in taken:
            taken.append(fields.get("Acct-Status-Type", ""))
    return found


WANTED = {f'"call-{call}"': ["Start", "Interim-Update", "Stop"] for call in range(CALLS)}


@pytest.mark.real
@pytest.mark.parametrize("point", WITH_SERVER)
def test_killed_while_forwarding_every_acknowledged_record_arrives(node, network, recorded, tmp_path, point):
    """SIGKILL around the spool's sync or before a delivered segment goes: the home server has every event in order."""
    home = FreeRadius(USERS)
    network.put("config", "trunkline", proxied(home.address))
    write_snapshot(network, node)
    # How many segments there are is for the machine's speed to say: one at least.
    caller = Caller(node.home, f"{point}:{1 if point == drain.DELIVERED else 3}:kill")
    try:
        for call in range(CALLS):
            for kind in (1, 3, 2):
                caller_account(caller, call, kind)

        def arrived() -> bool:
            caller.revive()
            return events(home) == WANTED

        eventually(
            arrived, cap=20, says=lambda: (events(home), (node.home / "server.log").read_text()[-2000:])
        )

        def delivered() -> bool:
            caller.revive()
            return not list((node.home / "radius" / "spool").rglob("*.spool"))

        eventually(delivered, cap=10)
    finally:
        caller.end()
        home.kill()
    assert caller.deaths == 1


def test_killed_while_a_segment_is_written_anew_nothing_is_lost_or_out_of_order(node, network, recorded):
    """SIGKILL before what is left takes the segment's place: the old one is whole, and the half one goes."""
    died = threading.Event()
    taker = Taker(lambda said: said[0] != "waits" or died.is_set())
    network.put("config", "trunkline", proxied(f"127.0.0.1:9/{taker.port}"))
    write_snapshot(network, node)
    folder = node.home / "radius" / "spool" / f"{node.node}-0" / folder_name("guest.example")
    left, kinds = Spool(folder), (START, INTERIM, STOP)
    left.append([entry(session, kind) for kind in kinds for session in ("waits", "goes")])
    left.close()
    caller = Caller(node.home, f"{spool.BEFORE_RENAME}:1:kill")
    try:
        eventually(lambda: not caller.child.alive, cap=20)
        assert list(folder.glob("*.left"))
        died.set()
        caller.revive()
        eventually(lambda: not list(folder.glob("*.spool")), cap=20, says=lambda: taker.taken)
        assert not list(folder.glob("*.left"))
    finally:
        caller.end()
        taker.close()
    for session in ("waits", "goes"):
        taken = list(dict.fromkeys(kind for name, kind in taker.taken if name == session))
        assert taken == list(kinds)


def caller_account(caller: Caller, call: int, kind: int) -> None:
    """Send until it is acknowledged, as a NAS does."""
    for _attempt in range(40):
        if caller.client.account(body(call, kind)) is not None:
            return
        caller.revive()
    pytest.fail("never acknowledged")


@pytest.mark.real
def test_a_home_server_that_is_away_gets_everything_later(anew, network, recorded, tmp_path):
    """The NAS is acknowledged while the home server is down; when it comes back it gets all."""
    home = FreeRadius(USERS)
    home.kill()
    network.put("config", "trunkline", proxied(home.address))
    _server, client = anew(network)
    for call in range(CALLS):
        for kind in (1, 3, 2):
            assert client.account(body(call, kind)) is not None
    home.start()
    try:
        eventually(lambda: events(home) == WANTED, cap=20, says=lambda: events(home))
    finally:
        home.kill()


def test_a_record_without_room_for_our_proxy_state_holds_nobody_up(anew, network, recorded, node):
    """It can never be passed on: it is set aside at once, and the segment goes."""
    network.put("config", "trunkline", proxied("127.0.0.1:9/9"))
    _server, client = anew(network)
    start = body(1, 1)
    rest = 4096 - 38 - len(start)
    filler = b"".join(pair(200, bytes(253)) for _ in range(rest // 255))
    filler += pair(200, bytes(rest - len(filler) - 2))
    assert client.account(start + filler) is not None
    spooled = node.home / "radius" / "spool"
    eventually(lambda: list(spooled.rglob("refused.log")) and not list(spooled.rglob("*.spool")), cap=10)


def test_what_waited_says_for_how_long():
    """RFC 2866 section 5.2: Acct-Delay-Time grows by the wait, and is added where the NAS sent none."""
    for before, after in ((b"", 7), (pair(41, struct.pack(">I", 5)), 12)):
        asked = wire.read(wire.request(wire.ACCOUNTING_REQUEST, 1, b"nas", body(1, 1) + before))
        assert asked is not None
        made = accounting_request(asked, b"home", 9, b"TLx", delay=7)
        assert made is not None
        sent = wire.read(made[0])
        assert sent is not None
        assert wire.request_authenticator_is_right(sent, b"home")
        assert sent.all(41) == [struct.pack(">I", after)]
        assert sent.pairs[-1] == (33, b"TLx")


def test_a_torn_segment_keeps_its_whole_entries(tmp_path):
    """What a crash tore was never acknowledged; what stands before it is whole."""
    one = Spool(tmp_path / folder_name("guest.example"))
    one.append([Entry("guest.example", b"a", "bng1", 1.0), Entry("guest.example", b"b", "bng1", 2.0)])
    (path,) = one.segments()
    path.write_bytes(path.read_bytes()[:-3])
    assert [entry.packet for entry in read_segment(path)] == [b"a"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_one_segment_that_goes_on_when_there_is_room(tmp_path, monkeypatch, room):
    """A hundred batches that are refused make no hundred segments; no torn frame stays before the next whole one."""
    one = Spool(tmp_path)
    one.append([entry("a")])

    def full(file, octets):
        write_whole(file, octets[:room])
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in (disk, spool):
        monkeypatch.setattr(place, "write_whole", full)
    for _ in range(100):
        with pytest.raises(OSError, match="No space"):
            one.append([entry("refused")])
        with pytest.raises(OSError, match="No space"):
            one.set_aside(entry("refused"))
    assert len(list(tmp_path.glob("*.spool"))) == 1
    for place in (disk, spool):
        monkeypatch.setattr(place, "write_whole", write_whole)
    last = entry("b")
    one.append([last])
    one.set_aside(last)
    (path,) = one.segments()
    assert read_segment(path)[1:] == read_segment(tmp_path / "refused.log") == [last]
    assert one.segments() == [path]


@pytest.mark.parametrize("begun", [False, True])
def test_a_disk_that_does_not_sync_keeps_what_was_synced(tmp_path, monkeypatch, begun):
    """After a failed sync nobody knows what a segment holds: another is begun, and one without anything goes."""
    one, first, last = Spool(tmp_path), entry("a"), entry("b")
    if begun:
        one.append([first])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", _fail)
        with pytest.raises(OSError, match="Input/output"):
            one.append([entry("unsure")])
    assert len(list(tmp_path.glob("*.spool"))) == begun
    one.append([last])
    found = [found for path in one.segments() for found in read_segment(path)]
    assert [found[0], found[-1]] == [first if begun else last, last]


def test_a_folder_that_takes_no_segment_leaves_none(tmp_path, monkeypatch):
    """Its name could not be synced: nothing of it stays."""
    one = Spool(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _fail)
        with pytest.raises(OSError, match="Input/output"):
            one.append([entry("a")])
    assert not list(tmp_path.iterdir())


def test_a_segment_that_cannot_be_written_anew_stays_as_it_is(tmp_path, monkeypatch):
    """The half one goes: the disk may be full."""
    one = Spool(tmp_path)
    one.append([entry("a"), entry("b")])
    (path,) = one.segments()
    before = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _fail)
        with pytest.raises(OSError, match="Input/output"):
            spool.rewrite(path, [])
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_segments_are_in_order_when_the_clock_goes_back(tmp_path, monkeypatch):
    """A later segment has a later name, also in the next run, and beside what is not ours."""
    (tmp_path / "of-a-person.spool").touch()
    wanted: list[Entry] = []
    for hours in (0, -1, -2):
        at = datetime.now(UTC) + timedelta(hours=hours)
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        one = Spool(tmp_path)
        for _ in range(2):
            wanted.append(entry(f"s-{len(wanted)}"))
            one.append(wanted[-1:])
            one.close()
    assert [found for path in one.segments() for found in read_segment(path)] == wanted


def test_the_segment_that_is_written_to_is_ended_when_it_is_wanted(tmp_path):
    """While the server is away there is no segment for every pass."""
    one = Spool(tmp_path)
    one.append([entry("a")])
    assert len(one.segments(end=False)) == 1  # there is no other
    one.append([entry("b")])
    assert len(one.segments(end=False)) == 1
    assert len(one.segments()) == 2


def _fail(*_args):
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("realm", ["@", "..", "a/b", "../../etc", "é.example"])
def test_a_realm_is_one_folder_and_no_path(tmp_path: Path, realm):
    """Whatever a realm is called, its folder lies in the spool and its name is read back."""
    one = Spool(tmp_path / folder_name(realm))
    one.append([Entry(realm, b"a", "bng1", 1.0)])
    assert routes_in(tmp_path) == [realm]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_worker_left_behind_is_taken_over(tmp_path: Path):
    """There are fewer workers than before: the first one delivers what the others spooled."""
    for worker in ("node1-0", "node1-3"):
        one = Spool(tmp_path / worker / folder_name("guest.example"))
        one.append([Entry("guest.example", worker.encode(), "bng1", 1.0)])
        one.close()
    made: Any = Delivery
    made(tmp_path, "node1-0", None, None, b"").adopt(["node1-0"])
    found = [read_segment(path)[0].packet for path in sorted(tmp_path.glob("node1-0/r-*/*.spool"))]
    assert sorted(found) == [b"node1-0", b"node1-3"]
