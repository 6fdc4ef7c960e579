"""Prometheus metrics of this process; labels are bounded sets (device, outcome), never subscribers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()


def counter(name: str, help_: str, labels: tuple[str, ...] = ()) -> Counter:
    """A counter `trunkline_<name>_total`."""
    return Counter(f"trunkline_{name}", help_, labels, registry=REGISTRY)


def gauge(name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
    """A gauge `trunkline_<name>`."""
    return Gauge(f"trunkline_{name}", help_, labels, registry=REGISTRY)


def histogram(name: str, help_: str, labels: tuple[str, ...] = ()) -> Histogram:
    """A histogram in seconds, `trunkline_<name>`."""
    return Histogram(f"trunkline_{name}", help_, labels, registry=REGISTRY)


def exposition() -> bytes:
    """The text that a Prometheus server scrapes."""
    return generate_latest(REGISTRY)
