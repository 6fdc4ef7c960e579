"""Why a service gets what it gets: each part of its policy, the file that decides it, and that file's last commit."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from aaa.view.compile import restriction_of
from aaa.view.entitlement import Restriction
from intents.index.origin import actor_of, set_of
from intents.kinds import path_of
from intents.reader import Reader
from intents.repository import Repository
from inventory.access import Attachment, attachment


class Rule(msgspec.Struct, frozen=True):
    """One decision: what it says, and the document (kind, id) that says it."""

    says: str
    kind: str
    id: str

    @property
    def path(self) -> str:
        """The document's file in the network repository."""
        return path_of(self.kind, self.id)


class Decided(msgspec.Struct, frozen=True):
    """A rule with the last commit of its file. `actor` is proven, never an author line; "" where nobody knows."""

    says: str
    path: str
    commit: str = ""
    actor: str = ""
    at: datetime | None = None
    subject: str = ""
    change_set: str = ""
    correlation: str = ""


def rules(reader: Reader, service_id: str) -> list[Rule]:
    """What decides the service's logins, the most telling first. Pure; nothing for a service that is not there."""
    service = reader.get("service", service_id)
    if service is None:
        return []
    place = attachment(reader, service)
    restriction = restriction_of(reader, service_id, service)
    return [
        *_service(service_id, service),
        *_holds(reader, restriction),
        *_plan(reader, service, restriction),
        *_place(service, place),
        *_address(service_id, service, place, restriction),
    ]


def decided(conn: Connection, repo: Repository, revision: str, found: list[Rule]) -> list[Decided]:
    """The rules with their files' last commits at a revision (recorded state tells whose change set it was)."""
    commits = {path: _last(conn, repo, revision, path) for path in {rule.path for rule in found}}
    return [msgspec.structs.replace(commits[rule.path], says=rule.says) for rule in found]


def _service(service_id: str, service: Any) -> Iterator[Rule]:
    session = service.session
    if service.state != "active":
        yield Rule(f"the service is {service.state}: nobody logs in for it", "service", service_id)
    elif session is None:
        yield Rule("the service has no session: RADIUS does not know it", "service", service_id)
    else:
        who = session.login or session.circuit_id or "its circuit"
        told = f"{session.method} as {who}, at most {session.limit} at once, one more: {session.over}"
        bound = f"; bound to its {' and '.join(session.bind)}" if session.bind else ""
        yield Rule(told + bound, "service", service_id)


def _holds(reader: Reader, restriction: Restriction) -> Iterator[Rule]:
    for name in restriction.holds:
        hold = reader.get("hold", name)
        if hold is None:
            continue
        cause = f" because of {hold.cause}" if hold.cause else ""
        softer = hold.effect == "block" and restriction.effect == "walled-garden"
        told = f"{hold.effect}{_rate(hold.rate)}{cause}"
        yield Rule(
            f"{told}, softened to the walled garden (on-hold: emergency-only)" if softer else told,
            "hold",
            name,
        )


def _plan(reader: Reader, service: Any, restriction: Restriction) -> Iterator[Rule]:
    plan = reader.get("plan", service.plan)
    if plan is None:
        return
    if plan.rate is None:
        yield Rule("no rate: as fast as the line", "plan", service.plan)
        return
    lowered = " at most; a throttle lowers it" if restriction.down or restriction.up else ""
    yield Rule(f"rate{_rate(plan.rate)}{lowered}", "plan", service.plan)


def _place(service: Any, place: Attachment) -> Iterator[Rule]:
    if service.line is None:
        return
    circuit = place.circuit.decode("utf-8", "replace")
    yield Rule(
        f"circuit-id {circuit!r}" if circuit else "no circuit-id is known for the line", "line", service.line
    )
    if place.edge is None:
        yield Rule("the line ends at no edge: no NAS serves it", "line", service.line)
        return
    serving = ", ".join(f"{device} ({nas.vendor})" for device, nas in place.nas) or "no NAS"
    yield Rule(f"served by {serving}", "edge", place.edge_id)


def _address(service_id: str, service: Any, place: Attachment, restriction: Restriction) -> Iterator[Rule]:
    if restriction.effect == "block":
        return
    if restriction.effect == "walled-garden" and place.edge is not None and place.edge.pools.garden:
        yield Rule(
            f"addresses of the garden's pool {place.edge.pools.garden}, no IPv6", "edge", place.edge_id
        )
        return
    ipv4 = service.ipv4
    if ipv4 is not None and ipv4.mode == "fixed":
        yield Rule(f"fixed address {ipv4.address}", "service", service_id)
    elif ipv4 is not None and ipv4.mode != "none" and place.edge is not None:
        pool = getattr(place.edge.pools, ipv4.mode, None)
        yield Rule(
            f"IPv4 from pool {pool}" if pool else f"no {ipv4.mode} pool: no IPv4 to give",
            "edge",
            place.edge_id,
        )
    if service.ipv6 is not None and service.ipv6.pd:
        yield Rule(f"delegated prefix {service.ipv6.pd}", "service", service_id)


def _rate(rate: Any) -> str:
    return f" {_bits(int(rate.down))} down, {_bits(int(rate.up))} up" if rate is not None else ""


def _bits(rate: int) -> str:
    """500000000 -> 500 Mbit/s."""
    for unit, size in (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if rate >= size:
            return f"{rate / size:g} {unit}"
    return f"{rate} bit/s"


def _last(conn: Connection, repo: Repository, revision: str, path: str) -> Decided:
    commit = repo.git("log", "-1", "--first-parent", "--format=%H", revision, "--", path).decode().strip()
    if not commit:
        return Decided("", path)
    facts, queued = repo.facts(commit), set_of(conn, commit)
    return Decided(
        says="",
        path=path,
        commit=commit,
        actor=actor_of(conn, repo, commit),
        at=facts.at,
        subject=facts.message.partition("\n")[0],
        change_set=queued[0] if queued else "",
        correlation=(queued[2] or "") if queued else "",
    )
