"""What `trunkline radius compare` prints: agreement by realm and NAS, what differs, what is ready and what is done."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from aaa.proxy.movers import RealmNotCompared
from aaa.proxy.moving import OTHERS, Only, Scope
from aaa.support import NasNotKnown


def require_known(only: Only, pairs: Collection[tuple[str, str]]) -> None:
    """The realm and the NAS that are asked for are in the view, or were compared (`pairs`). Raises RealmNotCompared,
    NasNotKnown.
    """
    realms = {realm for realm, _nas in pairs if realm} | set(only.movers.realms)
    if only.realm and only.realm not in realms:
        raise RealmNotCompared(only.realm, realms - {OTHERS})
    nases = {nas for _realm, nas in pairs} | only.movers.known
    if only.nas and only.nas not in nases:
        raise NasNotKnown(only.nas, only.movers.known)


def printed(
    only: Only,
    scopes: dict[str, list[Scope]],
    kinds: dict[str, int],
    found: list[dict[str, Any]],
    ready: list[tuple[str, str]],
    gone: list[tuple[str, str]],
) -> Iterator[str]:
    """Lines for people. `scopes` by `realm` and `nas`; `found` are rows of moving_difference; `gone` was cut over."""
    if any(scopes.values()):
        yield from _compared(only, scopes, kinds, found)
        yield f"ready to cut over: {_named(ready) or 'nothing yet'}"
    elif not gone:
        yield "nothing was compared yet: set `moving: shadow` for a NAS or a realm"
    elif only.movers.any(only.realm, only.nas):
        yield "nothing of what still moves was compared: set `moving: shadow` for a NAS or a realm"
    if gone:
        yield f"cut over: {_named(gone)}"


def scope(one: Scope, moving: dict[str, str]) -> dict[str, Any]:
    """A realm or NAS as JSON; `moving` of those that move themselves, and "" for one that only a moving NAS or realm
    has compared.
    """
    told = {"percent": one.percent, "ready": one.ready, "moving": moving.get(one.name, "")}
    return {**msgspec.to_builtins(one), **told}


def logins(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Logins that differ as JSON."""
    return [
        {**one, "first_at": one["first_at"].isoformat(), "last_at": one["last_at"].isoformat()}
        for one in found
    ]


def _compared(
    only: Only, scopes: dict[str, list[Scope]], kinds: dict[str, int], found: list[dict[str, Any]]
) -> Iterator[str]:
    for by, some in scopes.items():
        other = " (as a NAS moves)" if by == "realm" else " (as a realm moves)"
        yield from (_line(by, one, "" if one.name in only.movers.of(by) else other) for one in some)
    if kinds:
        yield "differences: " + ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    for one in found:
        yield f"  {one['login']} at {one['nas']}: {one['kind']} (seen {one['seen']} times)"
        yield f"    ours   {one['ours']}"
        yield f"    theirs {one['theirs']}"


def _named(some: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{by} {name or '(none)'}" for by, name in some)


def _line(by: str, one: Scope, why: str) -> str:
    share = "nothing compared" if one.percent is None else f"{one.percent:g} % agree"
    counts = [f"{one.agreed + one.differed} compared"]
    counts += [
        f"{number} {word}" for word, number in (("skipped", one.skipped), ("silent", one.silent)) if number
    ]
    return f"{by} {one.name or '(none)'}{why}: {share} ({', '.join(counts)}), {one.open} logins differ"
