"""A reference to nothing, with the nearest name; and a reference to something that cannot play the part."""

import difflib
from collections.abc import Iterator
from typing import Any

from intents import kinds
from intents.checks import Finding, Scope, check
from intents.kind import Field, Reference
from intents.reader import Reader

_MANY = 2000
_MOST_HINTS = 50


@check("references")
def references(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """Every name in a changed document, and every name of a deleted one."""
    hints = _Hints(reader)
    for kind in kinds.KINDS:
        for identifier, value in scope.of(reader, kind):
            for reference in kinds.references(kind, identifier, value):
                if not reader.exists(reference.kind, reference.id):
                    yield _missing(hints, kind, identifier, reference)
    for gone in scope.gone(reader):
        yield from _left_behind(reader, hints, *gone)


def _left_behind(reader: Reader, hints: "_Hints", kind: str, identifier: str) -> Iterator[Finding]:
    for owner_kind, owner in reader.referrers(kind, identifier):
        value = reader.get(owner_kind, owner)
        for reference in kinds.references(owner_kind, owner, value) if value is not None else ():
            if (reference.kind, reference.id) == (kind, identifier):
                yield _missing(hints, owner_kind, owner, reference)


def _missing(hints: "_Hints", kind: str, identifier: str, reference: Reference) -> Finding:
    other = ((reference.kind, reference.id),)
    if kind == "hold":
        message = f"a hold for service {reference.id}, which does not exist"
        return Finding("hold.orphan", kind, identifier, (), message, "", "warning", other)
    message = f"there is no {reference.kind} '{reference.id}'"
    hint = hints.of(reference)
    return Finding("reference.missing", kind, identifier, reference.field, message, hint, "error", other)


class _Hints:
    """Nearest names: one bad OLT can leave thousands of lines in the air, and only a few hints are ever read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._names: dict[str, list[str]] = {}
        self._told: dict[tuple[str, str], str] = {}

    def of(self, reference: Reference) -> str:
        """The hint for a reference to nothing; empty after the first few."""
        key = (reference.kind, reference.id)
        if key not in self._told and len(self._told) < _MOST_HINTS:
            names = self._names.setdefault(reference.kind, []) or self._reader.ids(reference.kind)
            self._names[reference.kind] = names
            self._told[key] = near(reference.id, names)
        return self._told.get(key, "")


def near(name: str, names: list[str]) -> str:
    """A hint with the nearest name; of many names only those that begin alike are compared."""
    if len(names) > _MANY:
        names = [one for one in names if one[:2] == name[:2] and abs(len(one) - len(name)) < 2][:_MANY]
    found = difflib.get_close_matches(name, names, 1, 0.6)
    return f"did you mean '{found[0]}'?" if found else ""


_ROLES: dict[tuple[str, str], tuple[str, ...]] = {
    ("line", "olt"): ("olt",),
    ("line", "ap"): ("ap",),
    ("edge", "bngs"): ("bng",),
    ("edge", "dhcp"): ("dhcp",),
    ("pool", "split"): ("bng",),
    ("service", "handoffs"): ("router", "bng", "switch"),
}


@check("roles")
def roles(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A line's OLT is an OLT, an edge's BNG is a BNG."""
    for kind in sorted({kind for kind, _ in _ROLES}):
        for identifier, value in scope.touched(reader, kind, ("device",)):
            yield from _wrong_roles(reader, kind, identifier, value)


def _wrong_roles(reader: Reader, kind: str, identifier: str, value: Any) -> Iterator[Finding]:
    for reference in kinds.references(kind, identifier, value):
        wanted = _ROLES.get((kind, str(reference.field[0]) if reference.field else ""))
        device = reader.get("device", reference.id) if wanted and reference.kind == "device" else None
        if wanted and device is not None and device.role not in wanted:
            message = f"{reference.id} has role {device.role}; here must be {' or '.join(wanted)}"
            yield _role(kind, identifier, reference.field, message)


@check("handover")
def handover(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A handoff line uses a handoff link, within its VLANs."""
    for identifier, line in scope.touched(reader, "line", ("link",)):
        link = reader.get("link", line.link) if line.type == "handoff" else None
        if link is None:
            continue
        if link.type != "handoff":
            yield _role("line", identifier, ("link",), f"{line.link} is a {link.type} link, not a handoff")
        elif link.svlans is not None and not link.svlans.covers(line.svlan):
            message = f"{line.link} does not carry S-VLAN {line.svlan}"
            yield Finding(
                "line.vlan", "line", identifier, ("svlan",), message, f"it carries {link.svlans.text}"
            )


def _role(kind: str, identifier: str, field: Field, message: str) -> Finding:
    return Finding("reference.role", kind, identifier, field, message)


@check("logins of devices")
def device_logins(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """`management.login` is one of `logins`, where trunkline.yaml has any."""
    config = reader.get("config", "trunkline")
    if config is None or not config.logins:
        return
    everything = scope.changed is not None and ("config", "trunkline") in scope.changed
    for identifier, device in (Scope() if everything else scope).of(reader, "device"):
        login = device.management.login if device.management else None
        if login is not None and login not in config.logins:
            hint = near(login, list(config.logins))
            message = f"trunkline.yaml has no login '{login}'"
            yield Finding("device.login", "device", identifier, ("management", "login"), message, hint)


@check("config")
def config_exists(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """The repository has its trunkline.yaml."""
    looked_at = scope.changed is None or ("config", "trunkline") in scope.changed
    if looked_at and not reader.exists("config", "trunkline"):
        yield Finding(
            "config.missing", "config", "trunkline", (), "there is no trunkline.yaml", "trunkline init"
        )
