"""Who answers a login at a NAS when it is not us: for support, by the routes that the server itself goes by."""

import msgspec

from aaa.proxy.routes import Routes
from aaa.radius.nases import NasEntry
from aaa.view.records import Nas, Realm


class Answered(msgspec.Struct, frozen=True):
    """Another server answers. `moving`: `proxy` or `shadow` where it is the old one, "" for a proxied realm."""

    servers: list[str]
    moving: str

    def __str__(self) -> str:
        where = ", ".join(self.servers)
        if self.moving:
            return f"answered by the old server {where} (moving: {self.moving})"
        return f"answered by {where} (proxied realm)"


def answered(routes: Routes, login: str, nas: NasEntry | Nas) -> Answered | None:
    """Who answers this login at this NAS; None: we do."""
    route = routes.of(login, nas)
    if route is None:
        return None
    return Answered([one.host for one in route.auth], _moving(route.old, route.shadow))


def answered_realm(realm: Realm) -> Answered:
    """Who answers a realm that is in the view, at a NAS that does not move itself."""
    return Answered([server[0] for server in realm.servers], _moving(realm.old, realm.mode == "shadow"))


def _moving(old: bool, shadow: bool) -> str:
    if not old:
        return ""
    return "shadow" if shadow else "proxy"
