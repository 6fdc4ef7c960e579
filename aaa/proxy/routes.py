"""Routes: whose requests go where, read off the view and forgotten when it changes; effective without a restart."""

import msgspec

from aaa.errors import SecretNotOpenable
from aaa.proxy.target import Target
from aaa.radius.nases import NasEntry
from aaa.view.lookup import View
from aaa.view.records import OLD, Nas, Realm, decode, realm_key
from aaa.view.seal import Seal

_KNOWN = 10_000


class Route(msgspec.Struct, frozen=True):
    """Where the requests of a realm (or, `@`, of whoever moves in) go. `shadow`: we decide beside it and compare."""

    name: str
    auth: tuple[Target, ...]
    acct: tuple[Target, ...]
    old: bool
    shadow: bool
    strip: bool
    fallback: bool
    copy: bool
    allow: tuple[str, ...]


class Routes:
    """`of(login, nas)` is asked for every request: it costs a look into a dictionary, and nothing without a realm."""

    def __init__(self, view: View, seal: Seal) -> None:
        self._view, self._seal = view, seal
        self._known: dict[str, Route | None] = {}
        self._without: dict[bytes, bool] = {}
        view.on_change(self._changed)

    def of(self, login: str, nas: NasEntry | Nas) -> Route | None:
        """Who answers; None: we do. A NAS that has not moved in asks the old server about everybody."""
        if nas.moving:
            route = self.named(OLD)
            return None if route is None else msgspec.structs.replace(route, shadow=nas.moving == "shadow")
        _user, at, realm = login.rpartition("@")
        return self.named(realm.lower()) if at else None

    def has_none(self, realm: bytes) -> bool:
        """Whether the realm, as it is written in a login, has no route."""
        without = self._without  # what was read before a change stays with what was known before it
        try:
            return without[realm]
        except KeyError:
            if len(without) > _KNOWN:
                without.clear()
            none = without[realm] = self.named(realm.decode("utf-8", "replace").lower()) is None
            return none

    def named(self, name: str) -> Route | None:
        """The route of a realm, or of the old server (`@`)."""
        known = self._known
        try:
            return known[name]
        except KeyError:
            if len(known) > _KNOWN:  # strangers write realms as they like
                known.clear()
            found = known[name] = self._read(name)
            return found

    def _read(self, name: str) -> Route | None:
        key = realm_key(name)
        record = decode(self._view.lookup(key), Realm) if name else None
        if record is None:
            return None
        try:
            secret = self._seal.open(record.secret, key)
        except SecretNotOpenable:
            return None
        return _route(name, record, secret)

    def _changed(self, key: bytes, _record: bytes | None) -> None:
        if key[:2] == b"r:":
            self._known = {}
            self._without = {}


def _route(name: str, record: Realm, secret: bytes) -> Route:
    def targets(port: int) -> tuple[Target, ...]:
        return tuple(
            Target(
                server[0],
                (server[1], server[2])[port],
                server[3],
                b"radsec" if server[3] == "radsec" else secret,
                record.require_ma,
            )
            for server in record.servers
        )

    return Route(
        name=name,
        auth=targets(0),
        acct=targets(1),
        old=record.old,
        shadow=record.mode == "shadow",
        strip=record.strip,
        fallback=record.fallback,
        copy=record.copy,
        allow=record.allow,
    )
