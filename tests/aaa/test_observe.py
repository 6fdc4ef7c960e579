"""What a node tells of itself: counts in Prometheus' words, and the live tail."""

import os
import socket
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aaa.errors import MetricsPortNotFree
from aaa.observe import tail
from aaa.observe.counts import BUCKETS, MOST_NASES, OTHER, Counts, bucket_of
from aaa.observe.exposition import exposition, serve
from aaa.observe.publish import folder, publish, published
from aaa.observe.tail import Event, Tail, listening
from core.settings import Settings
from tests.support import free_port


def event(**given):
    fields: dict[str, Any] = {"at": 1.0, "worker": "node1-0", "kind": "access", "nas": "bng1", "outcome": "accepted"}
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


def test_workers_add_up_in_prometheus_words(tmp_path):
    """Two workers' counts are told apart; a histogram is cumulative and ends in the number of all answers."""
    for worker, times in (("node1-0", 3), ("node1-1", 1)):
        counts = Counts()
        for _ in range(times):
            counts.answered("access", "bng1", "accepted", 20_000)
        counts.answered("access", "bng2", "wrong-credentials", 40_000_000_000)
        counts.dropped["access"] = {"unknown-nas": 7}
        publish(tmp_path, worker, counts, {"view_seq": 41})
    told = samples(tmp_path)
    name = "trunkline_radius_answers_total"
    assert told[name, frozenset({"node1-0", "access", "bng1", "accepted"})] == 3
    assert told[name, frozenset({"node1-1", "access", "bng1", "accepted"})] == 1
    assert told[name, frozenset({"node1-1", "access", "bng2", "wrong-credentials"})] == 1
    assert told["trunkline_radius_dropped_total", frozenset({"node1-0", "access", "unknown-nas"})] == 7
    assert told["trunkline_radius_view_seq", frozenset({"node1-1"})] == 41
    assert told["trunkline_radius_seconds_bucket", frozenset({"node1-0", "access", str(BUCKETS[1])})] == 3
    assert told["trunkline_radius_seconds_bucket", frozenset({"node1-0", "access", "+Inf"})] == 4
    assert told["trunkline_radius_seconds_count", frozenset({"node1-0", "access"})] == 4


def test_labels_stay_bounded():
    """More NASes than a network has are counted together: nobody can fill the monitoring system."""
    counts = Counts()
    for number in range(MOST_NASES + 50):
        counts.answered("access", f"bng{number}", "accepted", 1000)
    assert counts.outcomes["access"][OTHER, "accepted"] == 50
    assert len({nas for nas, _outcome in counts.outcomes["access"]}) == MOST_NASES + 1


def test_a_worker_that_is_gone_is_told_no_longer(tmp_path, monkeypatch):
    """A file that nobody renews for half a minute is history; a damaged one is passed over."""
    publish(tmp_path, "node1-0", Counts(), {})
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
    publish(tmp_path, "node1-0", Counts(), {"view_seq": 9})
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
