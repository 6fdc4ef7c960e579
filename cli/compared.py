"""What `trunkline radius compare` prints: agreement by realm and NAS, what differs, and what is ready."""

from collections.abc import Iterator
from typing import Any

import msgspec

from aaa.proxy.moving import Scope


def compared(
    scopes: dict[str, list[Scope]],
    kinds: dict[str, int],
    found: list[dict[str, Any]],
    ready: list[tuple[str, str]],
) -> Iterator[str]:
    """Lines for people. `scopes` by `realm` and `nas`; `found` are rows of moving_difference."""
    if not any(scopes.values()):
        yield "nothing was compared yet: set `moving: shadow` for a NAS or a realm"
        return
    for by, some in scopes.items():
        yield from (_line(by, one) for one in some)
    if kinds:
        yield "differences: " + ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    for one in found:
        yield f"  {one['login']} at {one['nas']}: {one['kind']} (seen {one['seen']} times)"
        yield f"    ours   {one['ours']}"
        yield f"    theirs {one['theirs']}"
    named = ", ".join(f"{by} {name or '(none)'}" for by, name in ready)
    yield f"ready to cut over: {named or 'nothing yet'}"


def scope(one: Scope) -> dict[str, Any]:
    """A realm or NAS as JSON."""
    return {**msgspec.to_builtins(one), "percent": one.percent, "ready": one.ready}


def _line(by: str, one: Scope) -> str:
    share = "nothing compared" if one.percent is None else f"{one.percent:g} % agree"
    counts = [f"{one.agreed + one.differed} compared"]
    counts += [
        f"{number} {word}" for word, number in (("skipped", one.skipped), ("silent", one.silent)) if number
    ]
    return f"{by} {one.name or '(none)'}: {share} ({', '.join(counts)}), {one.open} logins differ"
