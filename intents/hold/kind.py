"""Holds as a kind. The id is `<service>.<reason>`; the service decides the shard."""

from collections.abc import Iterator

from intents.hold.schema import Hold
from intents.kind import Complaint, Kind, Reference


def service_of(identifier: str) -> str:
    """The service that a hold restricts."""
    return identifier.split(".", 1)[0]


def reason_of(identifier: str) -> str:
    """Why."""
    return identifier.split(".", 1)[1]


def references(identifier: str, _hold: Hold) -> Iterator[Reference]:
    """The service, which stands in the file name."""
    yield Reference("service", service_of(identifier), ())


def complaints(hold: Hold) -> Iterator[Complaint]:
    """`rate` goes with `throttle`."""
    if (hold.effect == "throttle") != (hold.rate is not None):
        yield Complaint("hold.rate", ("effect",), "`effect: throttle` and `rate` need each other")


KIND = Kind(
    name="hold",
    struct=Hold,
    pattern="holds/{shard}/{id}.yaml",
    plural="holds",
    references=references,
    complaints=complaints,
    id_pattern=r"^[A-Za-z0-9-]{1,63}\.[A-Za-z0-9-]{1,63}$",
    shard_key=service_of,
)
