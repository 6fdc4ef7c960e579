"""Where nothing can be written any more: a log without a reader, a full disk. Accounting goes on with what it has."""

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from aaa.accounting import commit as commits
from aaa.accounting import journal as journals
from aaa.accounting import store
from aaa.accounting.commit import GroupCommit
from aaa.accounting.journal import Journal
from aaa.accounting.record import INTERIM, START
from aaa.errors import Dropped
from aaa.radius import files
from core import disk, logs
from core.db import DatabaseAway, Outage
from core.disk import write_whole
from tests.aaa.test_accounting import record, stored
from tests.support import eventually


class _Gone:
    """A stream whose reader is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch):
    """Whoever says something goes on."""
    logs.configure()
    monkeypatch.setattr(sys, "stderr", _Gone())
    logs.get("t").warning("nobody hears this")
    structlog.get_logger().exception("nor this")


def test_who_logs_behind_never_waits_for_the_reader(monkeypatch):
    """A pipe that nobody reads: lines are lost and counted, in the first one for which there is room again."""
    monkeypatch.setattr(logs, "_ROOM", 3)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(write, "w") as pipe, monkeypatch.context() as stuck:
        stuck.setattr(sys, "stderr", pipe)
        logs.configure("json", behind=True)
        for number in range(200):
            logs.get("t").warning("x" * 500, number=number)
        heard = os.read(read, 1 << 20).decode()
        lost = "lines before this one were lost"
        os.set_blocking(read, False)

        def told() -> str:
            nonlocal heard
            logs.get("t").warning("short")
            with suppress(BlockingIOError):
                heard += os.read(read, 1 << 20).decode()
            return heard if lost in heard else ""

        eventually(told, cap=10)
        assert json.loads(heard.splitlines()[0])["number"] == 0
        logs.configure()
    os.close(read)


def test_the_journal_is_drained_whoever_reads_the_log(database, tmp_path, monkeypatch):
    """The database is away and comes back while nobody can be told of it."""
    away = threading.Event()
    away.set()
    write = store.write

    def gone(conn, records):
        if away.is_set():
            raise DatabaseAway("postgresql", "connection refused")
        return write(conn, records)

    monkeypatch.setattr(commits, "write", gone)
    monkeypatch.setattr(commits, "_RETRY", 0.1)
    monkeypatch.setattr(sys, "stderr", _Gone())
    logs.configure()
    commit, answers = GroupCommit(database, Journal(tmp_path)), list[bool]()
    commit.start()
    commit.submit(record(START), answers.append)
    eventually(lambda: answers == [True], cap=10)
    away.clear()
    eventually(lambda: len(stored(database)) == 1, cap=20)
    commit.stop()


def test_a_mistake_of_ours_ends_neither_the_commit_nor_the_drain(database, tmp_path, monkeypatch):
    """Each costs what was at hand."""
    commit, answers = GroupCommit(database, Journal(tmp_path)), list[bool]()
    stumbles = iter([RuntimeError("once"), RuntimeError("twice")])

    def stumble(*_args):
        for error in stumbles:
            raise error

    monkeypatch.setattr(commit, "drain", lambda: (stumble(), GroupCommit.drain(commit))[1])
    monkeypatch.setattr(commit, "_look_for_crowds", stumble)
    Journal(tmp_path).append([record(START)])
    commit.start()
    eventually(lambda: len(stored(database)) == 1, cap=10)
    commit.submit(record(INTERIM, 600, session_id=b"0002"), answers.append)
    eventually(lambda: answers == [True], cap=10)
    commit.stop()


@pytest.mark.parametrize("room", [0, 5])
def test_a_full_disk_leaves_one_segment_that_goes_on_when_there_is_room(tmp_path, monkeypatch, room):
    """A hundred records that are refused make no hundred files, and no torn frame stays before the next whole one."""
    journal = Journal(tmp_path)
    journal.append([record(START)])

    def full(file, octets):
        write_whole(file, octets[:room])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "write_whole", full)
    for _ in range(100):
        with pytest.raises(OSError, match="No space"):
            journal.append([record(INTERIM, 600)])
    assert journal.segments == 1
    monkeypatch.setattr(disk, "write_whole", write_whole)
    journal.append([record(INTERIM, 1200)])
    assert journal.segments == 1
    assert _drained(journal) == [0, 1200]


@pytest.mark.parametrize("begun", [False, True])
def test_a_disk_that_does_not_sync_keeps_what_was_synced(tmp_path, monkeypatch, begun):
    """After a failed sync nobody knows what a segment holds: another is begun, and one without anything goes."""
    journal = Journal(tmp_path)
    if begun:
        journal.append([record(START)])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", _fail)
        with pytest.raises(OSError, match="Input/output"):
            journal.append([record(INTERIM, 600)])
    assert journal.segments == begun
    journal.append([record(INTERIM, 1200)])
    assert [one for one in _drained(journal) if one != 600] == ([0, 1200] if begun else [1200])


def test_a_folder_that_takes_no_file_leaves_none(tmp_path, monkeypatch):
    """The segment's name could not be synced: nothing of it stays."""
    journal = Journal(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(journals, "sync_folder", _fail)
        with pytest.raises(OSError, match="Input/output"):
            journal.append([record(START)])
    assert list(tmp_path.iterdir()) == []
    journal.append([record(START)])
    assert _drained(journal) == [0]


def _fail(*_args: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def _drained(journal: Journal) -> list[int]:
    seconds: list[int] = []
    journal.drain(lambda records: seconds.extend(one.session_time for one in records))
    return seconds


def test_a_workers_log_is_as_the_settings_say(node, network):
    """On standard error, as JSON, without secrets: a worker is a process of its own."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from aaa.radius.server import RadiusServer\n"
        "from core.settings import Settings\n"
        "if __name__ == '__main__':\n"
        "    given = {'radius_auth_port': 0, 'radius_acct_port': 0, 'radius_workers': 1, 'log_format': 'json'}\n"
        "    settings = Settings.load(Path(sys.argv[1]), env={}, **given)\n"
        "    with RadiusServer(settings):\n"
        "        sys.stdin.read()\n"
    )
    script = node.home / "served.py"
    script.write_text(code)
    (node.home / "trunkline.db").write_bytes(b"no database\n" * 100)
    place = str(Path(__file__).parent.parent.parent)
    words = [sys.executable, str(script), str(node.home)]
    child = subprocess.Popen(
        words, cwd=node.home, env=os.environ | {"PYTHONPATH": place},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stderr is not None
    line = child.stderr.readline()
    out, _err = child.communicate(timeout=30)
    assert json.loads(line)["level"] in ("warning", "error")
    assert out == b""


def test_strangers_have_a_quarter_of_the_files_that_may_be_open(monkeypatch):
    """And a worker takes as many as the machine lets it have."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: asked.append(limits))
    assert (files.for_strangers(1000), files.for_strangers(100)) == (256, 100)
    files.use_files()
    assert asked == [(4096, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    files.use_files()
    assert (asked, files.for_strangers(1000)) == ([(4096, 4096)], 1000)


def test_an_error_that_lasts_is_told_once_a_minute(monkeypatch):
    """Not once a second; another error is told at once."""
    moment = 0.0
    monkeypatch.setattr("core.clock.monotonic", lambda: moment)
    outage, told = Outage(), []
    for second in range(200):
        moment = float(second)
        if outage.is_news(DatabaseAway("postgresql", "refused")):
            told.append(second)
    assert told == [10, 70, 130, 190]
    assert outage.is_news(ValueError("a bug"))
    assert not outage.is_news(ValueError("a bug"))
    outage.end()
    assert outage.is_news(ValueError("a bug"))


def test_a_home_that_cannot_be_written_answers_logins(node, anew, network, monkeypatch):
    """No ledger, no socket for other workers, no journal: who needs no address of ours is let in as ever."""
    anew(network)[0].stop()

    def refused(*_args: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("aaa.pools.nodes.private", refused)
    monkeypatch.setattr("aaa.radius.neighbours.bind_private", refused)
    _server, client = anew(network)
    reply = client.login("s1@example.net", "pw-1")
    assert reply is not None
    assert reply.accepted


def test_a_ledger_that_cannot_be_written_gives_no_addresses(node, anew, network, monkeypatch):
    """The folder is there and the disk is full: nobody gets an address, and the worker lives."""

    def full(*_args: object, **_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("aaa.pools.start.Giver", full)
    server, client = anew(network)
    reply = client.login("s1@example.net", "pw-1")
    assert reply is not None
    assert reply.accepted
    with pytest.raises(Dropped, match="no-ledger"):
        server.worker.addresses.answering.give(("x",), "S-1", b"bng1 x", "generic")
