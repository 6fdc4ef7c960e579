"""How an access node names the line of a request: circuit-id and remote-id (RFC 3046, RFC 4679, TR-101).

A whole option 82 is read wherever a NAS puts it: as a circuit-id, in an attribute of its own, among all options."""

from collections.abc import Iterable, Iterator

from aaa.view.records import is_remote, remote

_CIRCUIT, _REMOTE, _OPTION_82 = 1, 2, 82
_ADSL_FORUM, _CISCO, _REDBACK, _ERX = 3561, 9, 2352, 4874
_CIRCUITS = {(_ADSL_FORUM, 1), (_REDBACK, 97), (_ERX, 110), (_ERX, 159)}
"""Vendor's attributes with a circuit-id; several NASes put the whole of option 82 there."""
_REMOTES = {(_ADSL_FORUM, 2), (_REDBACK, 96), (_ERX, 182)}
_OPTIONS = (_ERX, 55)
"""All options of the DHCP packet (RFC 2132)."""


def names_of(pairs: Iterable[tuple[int, int, bytes]]) -> tuple[bytes, ...]:
    """The names of the line in these (vendor, type, value): circuit-ids first, in the order of the packet, each once.

    A circuit-id that may be a whole option 82 is there as it came and as what it may contain.
    """
    found = [name for pair in pairs for name in _names(*pair)]
    return tuple(dict.fromkeys(sorted(found, key=is_remote)))


def _names(vendor: int, kind: int, value: bytes) -> Iterator[bytes]:
    if (vendor, kind) in _CIRCUITS:
        yield from _circuit(value)
    elif (vendor, kind) in _REMOTES:
        yield remote(value)
    elif (vendor, kind) == _OPTIONS:
        for option, octets in _parts(value):
            if option == _OPTION_82:
                yield from _inside(octets)
    elif vendor == _CISCO and kind == 1:
        name, _, rest = value.partition(b"=")
        if name == b"circuit-id-tag":
            yield from _circuit(rest)
        elif name == b"remote-id-tag":
            yield remote(rest)


def _circuit(value: bytes) -> Iterator[bytes]:
    """The octets as they came, and what they name if they are option 82."""
    yield value
    yield from _inside(value)


def _inside(value: bytes) -> Iterator[bytes]:
    for kind, octets in _parts(value):
        if kind == _CIRCUIT:
            yield octets
        elif kind == _REMOTE:
            yield remote(octets)


def _parts(value: bytes) -> list[tuple[int, bytes]]:
    """(code, octets) one after the other, to the very end of the value; [] for anything else."""
    at, found = 0, []
    while at + 2 <= len(value):
        after = at + 2 + value[at + 1]
        found.append((value[at], value[at + 2 : after]))
        at = after
    return [(kind, octets) for kind, octets in found if octets] if at == len(value) else []
