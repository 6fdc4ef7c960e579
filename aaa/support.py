"""What support asks: may this login in, what does it get, why was it refused, which sessions are there."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.store import session_of
from aaa.answered import Answered, answered, answered_realm
from aaa.models import is_open, of_nas, session, session_open
from aaa.opened import each
from aaa.proxy.routes import Routes
from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.credentials import hide
from aaa.radius.deferred import Answer
from aaa.radius.exchange import circuit_attribute
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasEntry, NasTable
from aaa.radius.packet import pair
from aaa.vendors.registry import text_of
from aaa.view.follower import followed_at
from aaa.view.lookup import View
from aaa.view.models import newest, view_position
from aaa.view.records import (
    Access,
    Nas,
    Realm,
    Wanted,
    circuit_key,
    decode,
    is_remote,
    login_key,
    mac_key,
    realm_key,
    remote,
    service_key,
    voucher_key,
)
from aaa.view.seal import Seal
from core import clock
from core.errors import Terminal
from inventory.access import circuit_octets


class LoginNotKnown(Terminal):
    """Nothing in the view answers to a name."""

    def __init__(self, name: str, moving: str = "") -> None:
        """`moving`: what the NASes that move in do with it; "" where none does."""
        super().__init__(
            f"'{name}' is no login, MAC, circuit-id or service of an active service with a session; "
            "look for it with `trunkline validate`, or wait until the view has its commit"
            + (f"; at the NASes that move in it is {moving}" if moving else "")
        )


class LoginElsewhere(Terminal):
    """Another RADIUS server answers a login."""

    def __init__(self, name: str, of: str, who: Answered) -> None:
        super().__init__(f"'{name}' is nobody of ours: the logins of {of} are {who}")


class NasNotKnown(Terminal):
    """No NAS of that name is in the view."""

    def __init__(self, device: str, known: Iterable[str]) -> None:
        super().__init__(f"no NAS '{device}' in the view; it has {', '.join(sorted(set(known))) or 'none'}")


class SessionNotKnown(Terminal):
    """A page of sessions begins after one that is not there."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"no session '{ref}'; it may have become history: begin with the first page again")


class Explained(msgspec.Struct, frozen=True):
    """Everything that the view says of one key. `replies` are our reply attributes by NAS, `answered_by` says at which
    of them another server answers; `limits` are the causes of recorded limits; `override` and `until` are moments in
    epoch seconds (0: none).
    """

    key: str
    service: str
    status: str
    policy_hash: str
    policy: dict[str, Any]
    holds: list[str]
    limit: int
    bound_circuits: list[str]
    bound_macs: list[str]
    bound_ports: list[str]
    limits: list[str]
    override: int
    until: int
    has_password: bool
    replies: dict[str, list[str]]
    answered_by: dict[str, Answered]


Digest = Callable[[str], bytes | None]
"""The hash of a voucher's code; None for what is no code."""


def no_code(_name: str) -> bytes | None:
    """Nobody looks for vouchers."""
    return None


def explain(view: View, seal: Seal, name: str, digest: Digest = no_code) -> Explained:
    """By login, MAC, circuit-id, remote-id, voucher's code or id, or service id. Raises LoginNotKnown,
    LoginElsewhere.
    """
    routes, nases = Routes(view, seal), _nases(view)
    try:
        key, access = _find(view, name, digest)
    except LoginNotKnown as unknown:
        moving = next(
            (who for _source, nas in nases if nas.moving and (who := answered(routes, name, nas))), ""
        )
        raise LoginNotKnown(name, str(moving)) from unknown
    login = _user_name(key)
    others = {
        nas.device: who
        for _source, nas in nases
        if nas.device in access.nas and (who := answered(routes, login, nas)) is not None
    }
    wanted = decode(view.lookup(service_key(access.service)), Wanted)
    policy = msgspec.structs.asdict(wanted.policy) if wanted and wanted.policy else {}
    return Explained(
        key=access.service if key[:2] == b"v:" else _shown(key[2:]),
        service=access.service,
        status=access.status,
        policy_hash=access.policy_hash,
        policy=policy,
        holds=list(wanted.holds) if wanted else [],
        limit=wanted.limit if wanted else 0,
        bound_circuits=[_shown(one) for one in access.circuits],
        bound_macs=[_shown(one) for one in access.macs],
        bound_ports=[_shown(one) for one in access.ports],
        limits=list(wanted.limits) if wanted else [],
        override=access.released,
        until=access.until,
        has_password=bool(access.credential),
        replies={device: text_of(access.blocks[index]) for device, index in sorted(access.nas.items())},
        answered_by=others,
    )


def service_of(view: View, name: str) -> str:
    """The service behind a login, MAC, circuit-id, remote-id or service id. Raises LoginNotKnown."""
    return _find(view, name)[1].service


def access_of(view: View, name: str) -> Access:
    """What is known of the login, MAC, circuit-id, remote-id or service id. Raises LoginNotKnown."""
    return _find(view, name)[1]


def _find(view: View, name: str, digest: Digest = no_code) -> tuple[bytes, Access]:
    octets = circuit_octets(name)
    keys = [login_key(name), circuit_key(octets), circuit_key(remote(octets)), mac_key(name)]
    hashed = digest(name)
    if hashed is not None:
        keys.append(voucher_key(hashed))
    for key in keys:
        access = decode(view.lookup(key), Access) if key else None
        if key and access is not None:
            return key, access
    found = [
        (key, access)
        for prefix in (b"u:", b"c:", b"m:", b"v:")
        for key, raw in view.items(prefix)
        if (access := decode(raw, Access)) is not None and access.service == name
    ]
    if found:  # the service's own session, rather than its radio's login at the AP
        return max(found, key=lambda pair: len(pair[1].nas))
    raise _unknown(view, name)


def _unknown(view: View, name: str) -> Terminal:
    realm = name.rpartition("@")[2].lower() if "@" in name else ""
    other = decode(view.lookup(realm_key(realm)), Realm) if realm else None
    if other is None:
        return LoginNotKnown(name)
    return LoginElsewhere(name, f"realm {realm}", answered_realm(other))


class Trial(msgspec.Struct, frozen=True):
    """What the server would answer a NAS. `reason` is what only support sees. `answered_by`: another server answers
    this login there, and the rest is what we would answer; None: we do.
    """

    accepted: bool
    reason: str
    detail: str
    nas: str
    attributes: list[str]
    answered_by: Answered | None = None


def try_login(
    view: View,
    seal: Seal,
    name: str,
    device: str = "",
    password: str | None = None,
    overrides: Mapping[str, float] | None = None,
) -> Trial:
    """Let the server's own code answer an Access-Request as the NAS would send it, without any socket. `overrides`
    are this node's.

    Without `password` the stored one is used: support does not know it. Raises LoginNotKnown, LoginElsewhere,
    NasNotKnown.
    """
    routes = Routes(view, seal)
    try:
        key, access = _find(view, name)
    except (LoginNotKnown, LoginElsewhere) as unknown:
        there = nas_named(view, device)[1] if device else None
        who = answered(routes, name, there) if there is not None and there.moving else None
        if who is None:
            raise
        raise LoginElsewhere(name, f"NAS {device}", who) from unknown
    source, nas = nas_named(view, device or next(iter(access.nas), ""))
    seen: list[Verdict] = []

    def noted(_login: str, _nas: NasEntry, verdict: Verdict) -> None:
        seen.append(verdict)

    table = NasTable(view, seal)
    answers = Answers(view, table, Authenticator(view, seal, Attempts(Limits()), overrides=overrides), noted)
    entry = table.at(source)
    if entry is None:
        raise NasNotKnown(nas.device, [])
    clear = password.encode() if password is not None else seal.open(access.credential, key)
    answer = answers.access(_request(key, access, clear, entry.secrets[0]), source)
    reply = wire.read(answer.reply) if isinstance(answer, Answer) else None
    told = [] if reply is None else [pair(k, v) for k, v in reply.pairs if k != wire.MESSAGE_AUTHENTICATOR]
    why = seen[0] if seen else None
    return Trial(
        accepted=reply is not None and reply.code == wire.ACCESS_ACCEPT,
        reason=why.reason if why else "",
        detail=why.detail if why else "",
        nas=nas.device,
        attributes=text_of(b"".join(told)),
        answered_by=answered(routes, _user_name(key), entry),
    )


def _user_name(key: bytes) -> str:
    """The User-Name of whoever has this key; a voucher's code is not kept."""
    return "" if key[:2] == b"v:" else key[2:].decode("utf-8", "replace")


def _request(key: bytes, access: Access, clear: bytes, secret: bytes) -> bytes:
    authenticator = secrets.token_bytes(16)
    body = pair(1, key[2:][:253]) + pair(2, hide(clear, secret, authenticator))
    if access.ppp:
        body += pair(7, (1).to_bytes(4))
    for circuit in access.circuits or ((key[2:],) if key[:2] == b"c:" else ()):
        body += circuit_attribute(circuit)
    if access.macs:
        body += pair(31, access.macs[0])
    if access.ports:
        body += pair(87, access.ports[0])
    return wire.request(wire.ACCESS_REQUEST, 1, secret, body, authenticator)


def nas_named(view: View, device: str) -> tuple[str, Nas]:
    """A source address of the NAS that is this device, and its record. Raises NasNotKnown."""
    known = _nases(view)
    for source, record in known:
        if record.device == device:
            return source, record
    raise NasNotKnown(device, (record.device for _source, record in known))


def _nases(view: View) -> list[tuple[str, Nas]]:
    """(source address, NAS) of every source."""
    found = ((key[2:].decode(), decode(raw, Nas)) for key, raw in view.items(b"n:"))
    return [(source, record) for source, record in found if record is not None]


def sessions(
    conn: Connection,
    *,
    service: str = "",
    nas: str = "",
    stale: bool = False,
    closed: bool = False,
    limit: int = 100,
    before: str = "",
) -> list[Session]:
    """Sessions, the newest first; open ones unless `closed`. `before`: those after this session_ref in that order.

    An index serves every choice, however many sessions there are. Raises SessionNotKnown.
    """
    only_open = stale or not (closed or service)
    source, one = each(conn) if only_open else (session, session.c)
    table = session_open.c if only_open else session.c
    place: tuple[sa.Column[Any], ...] = (table.session_ref,)  # the order of their coming
    if service and not only_open:
        place = (session.c.started_at, session.c.session_ref)
    chosen = sa.select(*one).select_from(source).order_by(*(column.desc() for column in place)).limit(limit)
    if service:
        chosen = chosen.where(table.service == service)
    if nas:
        chosen = chosen.where(session_open.c.nas == nas if only_open else of_nas == nas)
    if stale:
        chosen = chosen.where(session_open.c.stale == sa.true())
    if not (only_open or closed):
        chosen = chosen.where(is_open)
    if before:
        known = sa.select(session.c.started_at, session.c.session_ref)
        mark = conn.execute(known.where(session.c.session_ref == before)).first()
        if mark is None:
            raise SessionNotKnown(before)
        behind = tuple(mark)[-len(place) :]
        chosen = chosen.where(place[0] <= behind[0], sa.tuple_(*place) < behind)
    return [session_of(row) for row in conn.execute(chosen)]


def bundle(conn: Connection, of: Session) -> list[Session]:
    """The sessions of the same bundle (Acct-Multi-Session-Id of one service), the oldest first."""
    if not of.multi_session_id:
        return [of]
    chosen = sa.select(session).where(session.c.service == of.service, session.c.nas == of.nas)
    chosen = chosen.where(session.c.multi_session_id == of.multi_session_id)
    return [session_of(row) for row in conn.execute(chosen.order_by(session.c.started_at))]


def worker_positions(conn: Connection) -> list[dict[str, Any]]:
    """Each worker's sequence, how far it is behind, and how long ago it was heard (derived database)."""
    if not sa.inspect(conn).has_table(view_position.name):
        return []  # nothing was ever built here
    last, now = newest(conn), clock.now()
    return [
        {
            "worker": row.worker,
            "seq": int(row.seq),
            "behind": last - int(row.seq),
            "seconds": round((now - row.seen_at).total_seconds(), 1),
            "twin": bool(row.twin),
        }
        for row in conn.execute(sa.select(view_position).order_by(view_position.c.worker))
    ]


def view_age(home: Path) -> float | None:
    """Seconds since this node last followed the database: how old its answers may be. None: it never did."""
    moment = followed_at(home / "radius" / "view")
    return None if moment is None else round(max(0.0, (clock.now() - moment).total_seconds()), 1)


def journal_segments(home: Path) -> int:
    """How many accounting segments wait for the database on this node."""
    return len(list((home / "radius" / "journal").glob("*.journal")))


def _shown(octets: bytes) -> str:
    if is_remote(octets):
        return f"remote-id {_shown(octets[2:])}"
    text = octets.decode("utf-8", "replace")
    return text if text.isprintable() and "�" not in text else f"hex:{octets.hex()}"
