"""Which realms and NASes still move in, by the view."""

from collections.abc import Iterable

import msgspec

from aaa.view.lookup import View
from aaa.view.records import OLD, Nas, Realm, decode, realm_key
from core.errors import Terminal


class RealmNotCompared(Terminal):
    """A realm was asked for that neither moves in nor ever was compared."""

    def __init__(self, realm: str, known: Iterable[str]) -> None:
        super().__init__(
            f"no realm '{realm}' moves in, and none of that name was compared; there are "
            f"{', '.join(sorted(known)) or 'none'}; look at aaa.realms in trunkline.yaml"
        )


class Movers(msgspec.Struct, frozen=True):
    """Realms and NASes that move -> `proxy` or `shadow`. `known`: every NAS of the view."""

    realms: dict[str, str]
    nases: dict[str, str]
    known: frozenset[str]

    def of(self, by: str) -> dict[str, str]:
        """The realms (`by="realm"`) or the NASes (`by="nas"`)."""
        return self.realms if by == "realm" else self.nases

    def has(self, realm: str, nas: str) -> bool:
        """Whether the old server still answers this realm at this NAS."""
        return realm in self.realms or nas in self.nases

    def any(self, realm: str, nas: str) -> bool:
        """Whether anything of a realm ("": of all) at a NAS ("": at all) may still be the old server's."""
        return bool(
            (realm in self.realms if realm else self.realms) or (nas in self.nases if nas else self.nases)
        )


def movers(view: View) -> Movers:
    """Who moves in now. Without an old server nobody does."""
    realms = {}
    for key, raw in view.items(realm_key("")):
        record, name = decode(raw, Realm), key[2:].decode()
        if record is not None and record.old and name != OLD:
            realms[name] = str(record.mode)
    nases = [one for _key, raw in view.items(b"n:") if (one := decode(raw, Nas)) is not None]
    old = view.lookup(realm_key(OLD)) is not None
    return Movers(
        realms,
        {one.device: str(one.moving) for one in nases if one.moving and old},
        frozenset(one.device for one in nases),
    )
