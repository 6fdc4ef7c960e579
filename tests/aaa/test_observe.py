"""What a node tells of itself: counts in Prometheus' words, and the live tail."""

import json
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aaa.errors import MetricsPortNotFree
from aaa.observe import tail
from aaa.observe.exposition import exposition, serve
from aaa.observe.latency import BUCKETS, Latency
from aaa.observe.publish import MOST_NASES, OTHER, Published, bounded, folder, publish, published
from aaa.observe.seldom import Seldom
from aaa.observe.tail import Event, Tail, listening
from aaa.radius import packet as wire
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from core import clock
from core.settings import Settings
from tests.support import eventually, free_port, trunkline


def event(**given):
    fields: dict[str, Any] = {
        "at": 1.0,
        "worker": "node1-0",
        "kind": "access",
        "nas": "bng1",
        "outcome": "accepted",
    }
    return Event(**fields | given)


def samples(home) -> dict:
    """Every sample by its name and the set of its label values."""
    return {
        (one.name, frozenset(one.labels.values())): one.value
        for family in text_string_to_metric_families(exposition(home).decode())
        for one in family.samples
    }


def test_a_latency_falls_into_the_bucket_that_holds_it():
    """Bounds belong to their own bucket, one nanosecond more to the next; what is above all to the last."""
    for index, bound in enumerate(BUCKETS):
        nanoseconds = round(bound * 1e9)
        assert bucket_of(nanoseconds) == index
        assert bucket_of(nanoseconds + 1) == index + 1
    assert bucket_of(0) == bucket_of(1) == 0
    assert bucket_of(10**18) == len(BUCKETS)


def bucket_of(nanoseconds: int) -> int:
    latency = Latency()
    latency.add(nanoseconds)
    assert (len(latency.counts), sum(latency.counts)) == (len(BUCKETS) + 1, 1)
    return latency.counts.index(1)


def said(**given):
    fields: dict[str, Any] = {
        "worker": "node1-0", "at": clock.now().timestamp(), "logins": [], "records": [], "dropped": {}, "repeated": 0,
        "latency": {}, "gauges": {},
    }  # fmt: skip
    return Published(**fields | given)


def test_workers_add_up_in_prometheus_words(tmp_path):
    """Two workers' counts are told apart; a histogram is cumulative and ends in the number of all answers."""
    latency = Latency()
    for nanoseconds in (20_000, 20_000, 20_000, 40_000_000_000):
        latency.add(nanoseconds)
    logins = [("bng1", "accepted", 3), ("bng2", "wrong-credentials", 1)]
    publish(tmp_path, said(logins=logins, dropped={"unknown-nas": 7, "malformed": 3},
                           dropped_of=[("bng1", "malformed", 2)], latency={"access": latency}))  # fmt: skip
    publish(tmp_path, said(worker="node1-1", logins=[("bng1", "accepted", 1)], gauges={"view_seq": 41}))
    told = samples(tmp_path)
    name = "trunkline_radius_logins_total"
    assert told[name, frozenset({"node1-0", "bng1", "accepted"})] == 3
    assert told[name, frozenset({"node1-1", "bng1", "accepted"})] == 1
    assert told[name, frozenset({"node1-0", "bng2", "wrong-credentials"})] == 1
    dropped = "trunkline_radius_dropped_total"
    assert told[dropped, frozenset({"node1-0", "", "unknown-nas"})] == 7
    assert told[dropped, frozenset({"node1-0", "bng1", "malformed"})] == 2
    assert told[dropped, frozenset({"node1-0", "", "malformed"})] == 1
    assert told["trunkline_radius_view_seq", frozenset({"node1-1"})] == 41
    assert told["trunkline_radius_seconds_bucket", frozenset({"node1-0", "access", str(BUCKETS[1])})] == 3
    assert told["trunkline_radius_seconds_bucket", frozenset({"node1-0", "access", "+Inf"})] == 4
    assert told["trunkline_radius_seconds_count", frozenset({"node1-0", "access"})] == 4


def test_labels_stay_bounded():
    """More NASes than a network has are counted together: nobody can fill the monitoring system."""
    counted = {(f"bng{number}", "accepted"): 1 + (number < 100) for number in range(MOST_NASES + 50)}
    told = bounded(counted)
    assert len(told) == MOST_NASES + 1
    assert (OTHER, "accepted", 50) in told
    assert ("bng7", "accepted", 2) in told
    assert sum(count for _nas, _outcome, count in told) == sum(counted.values())


def with_another_secret(server):
    """A login from bng1's address that nobody can answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 0))
        datagram = wire.request(1, 7, b"another", pair(1, b"s1@example.net"), os.urandom(16))
        port.sendto(datagram, ("127.0.0.1", server.auth_port))


def test_a_server_tells_what_it_does(server, nas, node):
    """Logins, refusals, a retransmission, accounting and a stranger's packet: all are counted and published."""
    client = nas()
    client.login("s1@example.net", "pw-1")
    client.login("s1@example.net", "wrong")
    client.account(pair(40, (1).to_bytes(4)) + pair(44, b"a1") + pair(1, b"s1@example.net"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        stranger.sendto(bytes(20), ("127.0.0.1", server.auth_port))
    with_another_secret(server)

    def told():
        found = samples(node.home)
        dropped = "trunkline_radius_dropped_total"
        assert found.get((dropped, frozenset({"node1-0", "", "unknown-nas"}))) == 1
        assert found.get((dropped, frozenset({"node1-0", "bng1", "wrong-message-authenticator"}))) == 1
        return found

    found = eventually(told, cap=10)
    logins = "trunkline_radius_logins_total"
    assert found[logins, frozenset({"node1-0", "bng1", "accepted"})] == 1
    assert found[logins, frozenset({"node1-0", "bng1", "wrong-credentials"})] == 1
    assert found["trunkline_radius_records_total", frozenset({"node1-0", "bng1", "start"})] == 1
    assert found["trunkline_radius_seconds_count", frozenset({"node1-0", "access"})] == 1
    assert found["trunkline_radius_seconds_count", frozenset({"node1-0", "accounting"})] == 1


def test_a_node_answers_prometheus_by_itself(node):
    """`radius_metrics_port` in a node's settings: its server listens there while it runs, and not after."""
    port = free_port()
    settings = msgspec.structs.replace(node, radius_metrics_port=port)

    def told() -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").text

    with RadiusServer(settings, in_process=True):
        eventually(lambda: 'trunkline_radius_view_seq{worker="node1-0"}' in told(), cap=10)
    with pytest.raises(httpx.ConnectError):
        told()


def test_tail_shows_what_the_nas_never_sees(server, nas, node):
    """A refusal with its reason, an accept with its service, an accounting start: never a password. A login before
    anybody watched costs nothing and is not shown.
    """
    client = nas()
    client.login("s2@example.net", "pw-2")
    with listening(node.home) as events:
        eventually(lambda: server.worker.watched.is_tailed, cap=5)
        client.login("s1@example.net", "secret-guess")
        client.login("s1@example.net", "pw-1")
        client.account(pair(40, (1).to_bytes(4)) + pair(44, b"a1") + pair(1, b"s1@example.net"))
        got = [one for one in (next(events) for _ in range(3)) if one is not None]
    assert [(one.kind, one.outcome, one.login, one.service) for one in got] == [
        ("access", "wrong-credentials", "s1@example.net", "S-1"),
        ("access", "accepted", "s1@example.net", "S-1"),
        ("accounting", "start", "s1@example.net", "S-1"),
    ]
    assert all(one.nas == "bng1" and one.microseconds > 0 for one in got)
    assert "secret-guess" not in repr(got)


def test_the_command_tails_and_ends_by_itself(server, nas, node):
    """`trunkline radius tail --count 1 --refused --json`: one object for the first refusal, and status 0."""
    program = [sys.executable, "-m", "cli.main", "radius", "tail", "--count", "1", "--refused", "--json"]
    env = {**os.environ, "TRUNKLINE_HOME": str(node.home)}
    with subprocess.Popen(program, env=env, stdout=subprocess.PIPE, text=True) as running:
        eventually(lambda: server.worker.watched.is_tailed, cap=15)
        nas().login("s1@example.net", "pw-1")
        nas().login("s1@example.net", "wrong")
        told, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert json.loads(told)["outcome"] == "wrong-credentials"


def test_a_nas_that_is_not_there_is_not_waited_for(node):
    """tail --nas with a name that the view does not have: status 3, and the names it has. An address may be that of a
    stranger, and a node without a view knows nothing better: they are waited for.
    """
    done = trunkline("radius", "tail", "--nas", "nope", "--seconds", "0.1", "--home", str(node.home))
    assert (done.returncode, "no NAS 'nope' in the view; it has bng1, bng2" in done.stderr) == (3, True)
    for known in ("bng1", "192.0.2.9"):
        done = trunkline("radius", "tail", "--nas", known, "--seconds", "0.1", "--home", str(node.home))
        assert done.returncode == 0
    (node.home / "radius" / "view" / "view.base").unlink()
    done = trunkline("radius", "tail", "--nas", "nope", "--seconds", "0.1", "--home", str(node.home))
    assert done.returncode == 0


def test_a_worker_that_is_gone_is_told_no_longer(tmp_path, monkeypatch):
    """A file that nobody renews for half a minute is history; a damaged one is passed over."""
    publish(tmp_path, said())
    (folder(tmp_path) / "node1-1.counts").write_bytes(b"\xc1 torn")
    assert [one.worker for one in published(tmp_path)] == ["node1-0"]
    monkeypatch.setattr("aaa.observe.publish.FRESH", -1.0)
    assert published(tmp_path) == []


def test_whoever_listens_gets_every_event(tmp_path):
    """Two listeners get the same events; when they are gone, nobody is told and no socket stays."""
    sender = Tail(tmp_path)
    with listening(tmp_path) as one, listening(tmp_path) as other:
        sender.look()
        assert len([*sender.listeners]) == 2
        sender.tell(event(login="s1@example.net", microseconds=31))
        assert next(one) == next(other) == event(login="s1@example.net", microseconds=31)
        assert all(os.stat(path).st_mode & 0o777 == 0o600 for path in sender.listeners)
    sender.look()
    assert len(sender.listeners) == 0
    sender.close()


def test_listeners_of_one_process_leave_its_umask_alone(tmp_path):
    """A umask is of the whole process: two threads that set and restored it left 0177, and folders without an x."""

    def listen(_):
        for _ in range(200):
            with listening(tmp_path):
                pass

    before, patience = _umask(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(listen, range(8)))
    sys.setswitchinterval(patience)
    assert _umask() == before


def _umask() -> int:
    return int(re.findall(r"^Umask:\t(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)[0], 8)


def test_a_slow_listener_costs_events_not_logins(tmp_path):
    """A listener that does not read: sending never waits, and it is told how many it missed."""
    sender = Tail(tmp_path)
    with listening(tmp_path) as events:
        sender.look()
        for number in range(5000):
            sender.tell(event(session=str(number)))
        got = 0
        while next(events) is not None:
            got += 1
        assert 0 < got < 5000
        sender.tell(event(session="last"))
        last = next(events)
    assert last is not None
    assert (last.session, last.left_out) == ("last", 5000 - got)
    sender.close()


def test_a_listener_that_was_killed_is_forgotten(tmp_path):
    """Its socket is still there: the first event finds nobody behind it and takes it away."""
    place = tail.folder(tmp_path)
    place.mkdir(parents=True)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(place / "1-dead.sock"))
    left.close()
    sender = Tail(tmp_path)
    sender.look()
    sender.tell(event())
    assert sender.listeners == ()
    assert list(place.iterdir()) == []
    sender.close()


def test_a_folder_with_a_long_name_can_be_listened_in(tmp_path):
    """A socket's name has room for 107 octets; a node's folder may have a longer one."""
    home = tmp_path / ("a-long-name" * 12)
    sender = Tail(home)
    with listening(home) as events:
        sender.look()
        sender.tell(event())
        assert next(events) == event()
    sender.close()


def test_a_node_has_metrics_of_its_own(tmp_path):
    """With a port in its settings a node answers Prometheus without any API; a taken port is told in a sentence."""
    publish(tmp_path, said(gauges={"view_seq": 9}))
    port = free_port()
    settings = Settings.load(tmp_path, env={}, radius_metrics_port=port)
    stop = serve(settings)
    assert stop is not None
    try:
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'trunkline_radius_view_seq{worker="node1-0"} 9.0' in told
        with pytest.raises(MetricsPortNotFree, match="radius_metrics_port"):
            serve(settings)
    finally:
        stop()
    assert serve(Settings.load(tmp_path, env={})) is None


def test_what_is_not_answered_is_told_with_its_reason(server, node, capsys):
    """A line in the log with address, NAS and what to look for, once for many packets; and whoever tails sees each."""
    with listening(node.home, wait=0.2) as events:
        eventually(lambda: server.worker.watched.is_tailed, cap=5)
        for _ in range(3):
            with_another_secret(server)
        shown = [event for event in (next(events) for _ in range(8)) if event is not None]
    assert [(one.nas, one.outcome, one.detail) for one in shown] == [
        ("bng1", "dropped", "wrong-message-authenticator")
    ] * 3
    told = capsys.readouterr()
    lines = [line for line in (told.out + told.err).splitlines() if "not answered" in line]
    assert len(lines) == 1
    assert "127.0.0.1" in lines[0]
    assert "its shared secret is another one" in lines[0]


def test_strangers_who_invent_addresses_do_not_fill_the_log():
    """Once for the same thing, and 200 lines at most in ten minutes."""
    seldom = Seldom()
    assert [seldom.is_news("unknown-nas", "10.0.0.1") for _ in range(3)] == [True, False, False]
    assert sum(seldom.is_news("unknown-nas", str(number)) for number in range(5000)) == 199
