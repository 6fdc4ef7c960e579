"""The dynamic authorization client (RFC 5176): the words of a request, and one request with its true outcome."""

import socket

from aaa.coa.channel import WAITS, Ask
from aaa.coa.engine import Engine
from aaa.coa.outcome import Outcome
from aaa.limits.limit import VOUCHER_ID
from aaa.radius import packet as wire
from aaa.radius.nases import NasEntry

_REPLACED = "\ufffd"


def disconnect(nas: NasEntry, identity: bytes, *, waits: tuple[float, ...] = WAITS) -> Outcome:
    """Disconnect-Request for the session that `identity` (attributes on the wire) names; waits for its outcome."""
    return ask(nas, wire.DISCONNECT_REQUEST, identity, waits=waits)


def change(nas: NasEntry, identity: bytes, attributes: bytes, *, waits: tuple[float, ...] = WAITS) -> Outcome:
    """CoA-Request: identity of the session, and the attributes that it should have from now on."""
    return ask(nas, wire.COA_REQUEST, identity + attributes, waits=waits)


def ask(nas: NasEntry, code: int, body: bytes, *, waits: tuple[float, ...] = WAITS) -> Outcome:
    """One request from an engine of its own, in this thread."""
    engine, found = Engine(), list[Outcome]()
    try:
        engine.submit(Ask(nas, code, body, found.append, waits=waits))
        while not found:
            engine.step()
    finally:
        engine.stop()
    return found[0]


def identity_of(nas: NasEntry, acct_session_id: bytes, login: str = "", framed_address: str = "") -> bytes:
    """NAS and session identification (RFC 5176 section 3): the session by Acct-Session-Id, the rest to be sure.

    All of it must be what the NAS knows, or it says 503: a login that we keep otherwise (a voucher's by its id, what is
    no text with replacements) is left out.
    """
    address = nas.source
    found = b""
    if ":" not in address and not address.startswith("@"):  # `@`: it comes by RadSec, from any address
        found = wire.pair(4, socket.inet_pton(socket.AF_INET, address))
    found += wire.pair(95, socket.inet_pton(socket.AF_INET6, address)) if ":" in address else b""
    if login and not login.startswith(VOUCHER_ID) and _REPLACED not in login:
        found += wire.pair(1, login.encode()[:253])
    if framed_address:
        found += wire.pair(8, socket.inet_pton(socket.AF_INET, framed_address))
    return found + wire.pair(44, acct_session_id)
