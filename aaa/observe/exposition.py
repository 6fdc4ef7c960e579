"""A node's RADIUS metrics in Prometheus' words, put together from what its workers published."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from aaa.errors import MetricsPortNotFree
from aaa.observe.latency import BUCKETS, KINDS, Latency
from aaa.observe.publish import Published, published
from core.settings import Settings

_GAUGES = {
    "view_seq": "Sequence of the view that the worker answers from.",
    "view_records_changed": "Records that changed since the base file of the view was written.",
    "view_silent_seconds": "Seconds since the worker last reached the derived database.",
    "journal_segments": "Segments of accounting that wait on this node for the database.",
    "accounting_waiting": "Accounting records that wait for their commit.",
    "deferred_waiting": "Requests that wait for a handler (EAP, MS-CHAP, another server).",
    "logins_unwritten": "Accepted logins that were to be written down and found no room while the database was away.",
    "radsec_connections": "NASes that are connected by TLS.",
    "proxy_forwarded": "Requests that were passed on to another server, since the start.",
    "proxy_answered": "Those that one answered.",
    "proxy_unanswered": "Those that none answered: the NAS got no answer either, or ours where that is wanted.",
    "proxy_failover": "How often the next server was asked.",
    "proxy_filtered": "Attributes of replies that were taken out.",
    "proxy_loop": "Requests that had been here before.",
    "proxy_fallback": "Requests of a silent old server that we answered.",
    "proxy_full": "Requests that found every identifier of a server taken.",
    "proxy_wrong_reply": "Replies that were not signed for any request of ours.",
    "proxy_servers_alive": "Other servers that answer.",
    "proxy_servers_suspect": "Other servers that did not answer lately.",
    "proxy_servers_dead": "Other servers that do not even answer Status-Server.",
    "proxy_spool_segments": "Segments of accounting that wait on this node for another server.",
}


class RadiusMetrics(Collector):
    """Reads the workers' files whenever it is asked; nothing is counted twice, nothing is lost by a restart of ours."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def collect(self) -> Iterator[Metric]:
        """Every family, also those without a sample: dashboards then know them."""
        said = published(self._home)
        yield _answered("trunkline_radius_logins", "Logins by accepted or reason of refusal.", said, "logins")
        yield _answered("trunkline_radius_records", "Accounting records read, by kind.", said, "records")
        yield _dropped(said)
        yield _repeated(said)
        yield _latency(said)
        yield _addresses(said)
        yield from _gauges(said)


def exposition(home: Path) -> bytes:
    """The node's RADIUS metrics as the text that a Prometheus server scrapes."""
    registry = CollectorRegistry()
    registry.register(RadiusMetrics(home))
    return generate_latest(registry)


def serve(settings: Settings) -> Callable[[], None] | None:
    """Listen on the node's own metrics port, if it has one; returns what stops it. Raises PortNotFree."""
    if settings.radius_metrics_port is None:
        return None
    registry = CollectorRegistry()
    registry.register(RadiusMetrics(settings.home))
    try:
        server, thread = start_http_server(
            settings.radius_metrics_port, settings.radius_metrics_host, registry
        )
    except OSError as error:
        host, port = settings.radius_metrics_host, settings.radius_metrics_port
        raise MetricsPortNotFree(host, port, error.strerror or str(error)) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return stop


def _answered(name: str, help_: str, said: list[Published], which: str) -> Metric:
    told = CounterMetricFamily(name, help_, labels=("worker", "nas", "outcome"))
    for one in said:
        for nas, outcome, count in getattr(one, which):
            told.add_metric((one.worker, nas, outcome), count)
    return told


def _dropped(said: Iterable[Published]) -> Metric:
    told = CounterMetricFamily(
        "trunkline_radius_dropped",
        "Packets that got no answer, by reason; nas is empty where it is none of ours, or nobody looked.",
        labels=("worker", "nas", "reason"),
    )
    for one in said:
        others = Counter(one.dropped)
        for nas, reason, count in one.dropped_of:
            others[reason] -= count
            told.add_metric((one.worker, nas, reason), count)
        for reason, count in sorted((+others).items()):
            told.add_metric((one.worker, "", reason), count)
    return told


def _repeated(said: Iterable[Published]) -> Metric:
    told = CounterMetricFamily(
        "trunkline_radius_repeated", "Retransmissions that got the same reply again.", labels=("worker",)
    )
    for one in said:
        told.add_metric((one.worker,), one.repeated)
    return told


def _latency(said: Iterable[Published]) -> Metric:
    told = HistogramMetricFamily(
        "trunkline_radius_seconds",
        "From taking a request off its socket to handing over the reply; for accounting this includes durability.",
        labels=("worker", "kind"),
    )
    for one in said:
        for kind in KINDS:
            if kind in one.latency:
                latency = one.latency[kind]
                told.add_metric((one.worker, kind), _buckets(latency), latency.nanoseconds / 1e9)
    return told


def _buckets(latency: Latency) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus wants them."""
    found, total = [], 0
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], latency.counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


def _addresses(said: Iterable[Published]) -> Metric:
    told = GaugeMetricFamily(
        "trunkline_radius_addresses",
        "Addresses that a worker gives itself, by pool and state; refused: how often there was none left.",
        labels=("worker", "pool", "state"),
    )
    for one in said:
        for pool, state, count in one.addresses:
            told.add_metric((one.worker, pool, state), count)
    return told


def _gauges(said: list[Published]) -> Iterator[Metric]:
    for name, help_ in _GAUGES.items():
        told = GaugeMetricFamily(f"trunkline_radius_{name}", help_, labels=("worker",))
        for one in said:
            if name in one.gauges:
                told.add_metric((one.worker,), one.gauges[name])
        yield told
