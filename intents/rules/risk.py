"""Pairs and rings whose devices hang on one risk group: one duct cut takes both."""

from collections.abc import Iterator

from intents.checks import Finding, Scope, check
from intents.reader import Reader


@check("risk")
def risk(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """For every changed device in a pair or ring, and for the devices at the ends of changed links."""
    for kind in ("pair", "ring"):
        for identifier, name in sorted(_members(reader, scope, kind)):
            for other in _fellows(reader, kind, name):
                if other < identifier and (
                    shared := _risks(reader, identifier, other) & _risks(reader, other, identifier)
                ):
                    yield _finding(kind, name, identifier, other, sorted(shared))


def _members(reader: Reader, scope: Scope, kind: str) -> set[tuple[str, str]]:
    looked_at = {identifier for identifier, _ in scope.of(reader, "device")}
    if scope.changed is not None:
        looked_at |= {end.device for _, link in scope.of(reader, "link") for end in link.ends}
    named = {(identifier, getattr(reader.get("device", identifier), kind, None)) for identifier in looked_at}
    fellows = {(other, name) for _, name in named if name for other in _fellows(reader, kind, name)}
    return {(identifier, name) for identifier, name in named if name} | (
        fellows if scope.changed is not None else set()
    )


def _fellows(reader: Reader, kind: str, name: str) -> list[str]:
    return [claimed.id for claimed in reader.claims_overlapping(kind, name, name)]


def _risks(reader: Reader, device: str, but: str) -> set[str]:
    """Risk groups of the device's links, those to the other one left out."""
    found: set[str] = set()
    for _, identifier in reader.referrers("device", device, "link"):
        link = reader.get("link", identifier)
        if link is not None and all(end.device != but for end in link.ends):
            found.update(link.risk)
    return found


def _finding(kind: str, name: str, device: str, other: str, shared: list[str]) -> Finding:
    message = f"{device} and {other} are {kind} {name} and both hang on {', '.join(shared)}"
    return Finding("risk.shared", "device", device, (kind,), message, "", "warning", (("device", other),))
