"""Reading ahead: what many services are compiled from, in four questions instead of four a service."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from intents.index.reader import IndexReader
from intents.reader import Claimed, Identity, Reader


class Ahead:
    """A Reader that answers what was read ahead, and asks the one behind it for everything else."""

    def __init__(
        self, reader: Reader, values: Mapping[Identity, Any], naming: Mapping[Identity, list[Identity]]
    ) -> None:
        self._reader, self._values, self._naming = reader, values, naming

    @property
    def revision(self) -> str:
        """The commit of the reader behind."""
        return self._reader.revision

    def get(self, kind: str, identifier: str) -> Any:
        """The value, or None."""
        key = (kind, identifier)
        return self._values[key] if key in self._values else self._reader.get(kind, identifier)

    def exists(self, kind: str, identifier: str) -> bool:
        """Whether it is there."""
        return self._reader.exists(kind, identifier)

    def ids(self, kind: str) -> list[str]:
        """All ids, sorted."""
        return self._reader.ids(kind)

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """All documents of a kind."""
        return self._reader.all(kind)

    def referrers(self, kind: str, identifier: str, by: str | None = None) -> Iterator[Identity]:
        """Who names it, sorted."""
        known = self._naming.get((kind, identifier))
        if known is None:
            return self._reader.referrers(kind, identifier, by)
        return iter([one for one in known if by in (None, one[0])])

    def claims_overlapping(self, scope: str, low: str, high: str) -> Iterator[Claimed]:
        """Who claims a part of the range."""
        return self._reader.claims_overlapping(scope, low, high)


def ahead(reader: Reader, services: Iterable[str]) -> Reader:
    """The reader with these services, their lines and their holds read already; itself when it is in memory.

    Devices, edges, pools and plans are few: the reader behind keeps them. What is read here is forgotten with it.
    """
    wanted = list(services)
    if not wanted or not isinstance(reader, IndexReader):
        return reader
    found = reader.many("service", wanted)
    naming = reader.naming("service", wanted)
    holds = {name for named in naming.values() for kind, name in named if kind == "hold"}
    lines = {service.line for service in found.values() if service.line}
    values: dict[Identity, Any] = {("service", one): found.get(one) for one in wanted}
    values |= {("line", one): value for one, value in reader.many("line", lines).items()}
    values |= {("hold", one): value for one, value in reader.many("hold", holds).items()}
    return Ahead(reader, values, {("service", one): naming.get(one, []) for one in wanted})
