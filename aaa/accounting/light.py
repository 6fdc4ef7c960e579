"""A usual record as it came: what PostgreSQL's arrays want of it is copied from its octets, and nothing else is read.

`whole` makes the AccountingRecord when somebody needs that: the merge, the journal, a listener. A test holds the cells
against those of that record.
"""

from functools import lru_cache
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import TYPE_CHECKING, ClassVar

import msgspec

from aaa.accounting.arrays import EMPTY, FALSE, TRUE, cell, moment_cell
from aaa.accounting.layout import Layout, Told
from aaa.accounting.quick import read_quickly
from aaa.accounting.record import (
    CAUSES,
    INTERIM,
    LONGEST_DELAY,
    LONGEST_SESSION,
    START,
    STOP,
    AccountingRecord,
    prefix_of,
    record_of,
)

if TYPE_CHECKING:
    from aaa.radius.nases import NasEntry

_SIZES = [size.to_bytes(4) for size in range(256)]
_EIGHT = _SIZES[8]
_LONG = _EIGHT + bytes(4)
_ZERO = bytes(4)
_LONGEST = LONGEST_SESSION.to_bytes(4)
_KINDS = {kind.to_bytes(4): kind for kind in (START, INTERIM, STOP)}
_CAUSES = {number.to_bytes(4): cell(cause.encode()) for number, cause in CAUSES.items()}

Whose = tuple[bytes, bytes, str]
"""Service and policy hash of a Class, and the hash of the policy that the view wants."""


class Light(msgspec.Struct, frozen=True, gc=False):
    """An Interim, Stop or Start of a known service without quota or door, that tells of nothing rare. `cells` are those
    of its statement (`COUNTED`, `BEGUN` of aaa.accounting.usual).
    """

    kind: int
    nas: str
    session_id: bytes
    cells: tuple[bytes, ...]
    datagram: bytes
    source: str
    received: float
    whose: Whose
    interim: int
    most: ClassVar[int] = 1
    reject: ClassVar[bool] = False
    door: ClassVar[str] = ""

    @property
    def service(self) -> str:
        """Whose session it is."""
        return self.whose[0].decode()

    def whole(self) -> AccountingRecord:
        """The record that the packet is."""
        quick = read_quickly(self.datagram)
        assert quick is not None
        service, policy, wanted = self.whose
        whose = (service.decode(), policy.decode(), wanted)
        record = record_of(quick[0], self.nas, self.source, self.received, whose, self.interim)
        assert record is not None
        return record


AnyRecord = AccountingRecord | Light


def light_of(
    datagram: bytes, layout: Layout, told: Told, status: bytes, nas: "NasEntry", received: float, whose: Whose
) -> Light | None:
    """What a packet of a NAS unpacks to by its layout; `status` is Acct-Status-Type. None: it is not plain enough."""
    kind = _KINDS.get(status)
    if kind is None:
        return None
    made = (
        _begun(layout, told, nas, received, whose)
        if kind == START
        else _counted(layout, told, nas, received, whose)
    )
    if made is None:
        return None
    name, cells = made
    return Light(kind, nas.device, name, cells, datagram, nas.source, received, whose, nas.interim)


def _counted(
    layout: Layout, told: Told, nas: "NasEntry", received: float, whose: Whose
) -> tuple[bytes, tuple[bytes, ...]] | None:
    if layout.counted is None:
        return None
    name, delay, four, framed, delegated, six, lasted, up, down, up_giga, down_giga, cause = layout.counted(
        told
    )
    if up_giga[0] or down_giga[0] or lasted > _LONGEST:  # more than `merge` takes for possible
        return None
    service = whose[0]
    return name, (
        _text(nas.device),
        _SIZES[len(name)] + name,
        _moment(received, delay),
        _LONG + lasted,
        _EIGHT + up_giga + up,
        _EIGHT + down_giga + down,
        _SIZES[len(service)] + service,
        _text(whose[2]),
        _text(nas.source),
        _CAUSES.get(cause, EMPTY),
        _address4(four) if four else EMPTY,
        _prefix(framed) if framed else EMPTY,
        _prefix(delegated) if delegated else EMPTY,
        _address6(six) if six else EMPTY,
        TRUE,
    )


def _begun(
    layout: Layout, told: Told, nas: "NasEntry", received: float, whose: Whose
) -> tuple[bytes, tuple[bytes, ...]] | None:
    if layout.begun is None:
        return None
    name, delay, four, framed, delegated, six, *numbers, login, calling, port, port_id = layout.begun(told)
    texts = login + calling + port_id
    if b"".join(numbers).strip(b"\0") or not texts.isascii() or b"\0" in texts:
        return None
    service, policy, wanted = whose
    return name, (
        _text(nas.device),
        _SIZES[len(name)] + name,
        _moment(received, delay),
        _SIZES[len(service)] + service,
        _SIZES[len(policy)] + policy,
        TRUE if wanted and wanted.encode() != policy else FALSE,
        _text(nas.source),
        _SIZES[len(login)] + login,
        _SIZES[len(calling)] + calling,
        _address4(four) if four else EMPTY,
        _prefix(framed) if framed else EMPTY,
        _prefix(delegated) if delegated else EMPTY,
        _LONG + (port or _ZERO),
        _SIZES[len(port_id)] + port_id,
        TRUE if layout.gigawords else FALSE,
        _SIZES[4] + nas.interim.to_bytes(4),
        _address6(six) if six else EMPTY,
        EMPTY,
        EMPTY,
    )


@lru_cache(maxsize=10_000)
def _text(value: str) -> bytes:
    """Of few values: NASes, policies."""
    return cell(value.encode())


@lru_cache(maxsize=100)
def _moment(received: float, delay: bytes) -> bytes:
    """One for a burst."""
    seconds = int.from_bytes(delay)
    return moment_cell(received - seconds if seconds <= LONGEST_DELAY else received)


def _address4(value: bytes) -> bytes:
    if value == _ZERO:  # none, as for the careful reader
        return EMPTY
    text = inet_ntoa(value).encode()
    return _SIZES[len(text)] + text


def _address6(value: bytes) -> bytes:
    return cell(inet_ntop(AF_INET6, value).encode())


def _prefix(value: bytes) -> bytes:
    text = prefix_of(value).encode()
    return _SIZES[len(text)] + text
