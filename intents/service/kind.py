"""Services as a kind: what they refer to, and the logins, circuits, VLANs and addresses that are theirs."""

from collections.abc import Iterator

from intents import claims as spelling
from intents.kind import Claim, Complaint, Kind, Reference, far_off
from intents.service.schema import Service


def references(_id: str, service: Service) -> Iterator[Reference]:
    """Its plan, its line, the routers of its handoffs."""
    yield Reference("plan", service.plan, ("plan",))
    if service.line is not None:
        yield Reference("line", service.line, ("line",))
    for index, handoff in enumerate(service.handoffs):
        yield Reference("device", handoff.router, ("handoffs", index, "router"))


def claims(_id: str, service: Service) -> Iterator[Claim]:
    """Logins, circuit ids, VLANs, addresses. What is ceased claims nothing."""
    if service.state == "ceased":
        return
    yield from _logins(service)
    yield from _attach(service)
    yield from _addresses(service)
    for index, handoff in enumerate(service.handoffs):
        scope = f"port:{handoff.router}/{handoff.port}"
        yield spelling.vlan(scope, handoff.svlan, handoff.cvlan, ("handoffs", index, "svlan"))
        for family in ("v4", "v6"):
            pair = getattr(handoff, family)
            if pair is not None:
                yield spelling.prefix("net", pair.us, ("handoffs", index, family, "us"))


def _logins(service: Service) -> Iterator[Claim]:
    session = service.session
    if session and session.login:
        yield spelling.exactly("login", session.login.lower(), ("session", "login"))
    if session and session.circuit_id:
        yield spelling.exactly("circuit-id", session.circuit_id, ("session", "circuit-id"))
    if session and session.remote_id:
        yield spelling.exactly("remote-id", session.remote_id, ("session", "remote-id"))
    if session and session.mac:
        yield spelling.exactly("mac", session.mac, ("session", "mac"))
    if service.sip:
        yield spelling.exactly("sip", service.sip.login.lower(), ("sip", "login"))


def _attach(service: Service) -> Iterator[Claim]:
    attach = service.attach
    if attach is None or service.line is None:
        return
    spelled = f"{attach.port or '-'} {attach.svlan or 0:04d}.{attach.cvlan or 0:04d}"
    yield spelling.exactly(f"attach:{service.line}", spelled, ("attach",))
    if attach.svlan is not None and attach.cvlan is not None:
        yield spelling.vlan("cvlan", attach.svlan, attach.cvlan, ("attach", "cvlan"))


def _addresses(service: Service) -> Iterator[Claim]:
    if service.ipv4 and service.ipv4.address:
        yield spelling.address("fixed", service.ipv4.address, ("ipv4", "address"))
    if service.ipv6 and service.ipv6.address:
        yield spelling.address("fixed", service.ipv6.address, ("ipv6", "address"))
    if service.ipv6 and service.ipv6.pd:
        yield spelling.prefix("fixed", service.ipv6.pd, ("ipv6", "pd"))


def complaints(service: Service) -> Iterator[Complaint]:
    """Parts that the type and the method need."""
    if service.ipv4 and (service.ipv4.mode == "fixed") != (service.ipv4.address is not None):
        yield Complaint("service.fixed", ("ipv4",), "`mode: fixed` and `address` need each other")
    if service.ipv6 and service.ipv6.address and service.ipv6.wan == "none":
        message = "a fixed `address` needs `wan: dhcp`, or `wan: slaac` for the /64 around it"
        yield Complaint("service.fixed", ("ipv6",), message)
    if service.line is None and not service.handoffs and service.state == "active":
        yield Complaint("service.access", ("state",), "an active service needs `line` or `handoffs`")
    if service.line is not None and service.handoffs:
        yield Complaint("service.access", ("handoffs",), "a service has a line or handoffs, not both")
    if service.bgp and service.routes:
        yield Complaint("service.routing", ("routes",), "a service has `bgp` or `routes`, not both")
    if service.bgp and not service.handoffs:
        yield Complaint("service.routing", ("bgp",), "BGP needs `handoffs`")
    yield from far_off(("start",), service.start)
    yield from _session(service)
    yield from _primaries(service)


def _session(service: Service) -> Iterator[Complaint]:
    session = service.session
    if session is None:
        return
    if session.method in ("pppoe", "l2tp") and (session.login is None or session.password is None):
        yield Complaint(
            "service.session", ("session",), f"a {session.method} session needs `login` and `password`"
        )
    if service.line is None:
        yield Complaint("service.session", ("session",), "a session needs `line`")
    if "remote" in session.bind and session.remote_id is None:
        yield Complaint("service.session", ("session", "bind"), "`bind: [remote]` needs `remote-id`")
    if ("port" in session.bind) != (session.port is not None):
        yield Complaint(
            "service.session", ("session", "bind"), "`bind: [port]` and `port` (NAS-Port-Id) need each other"
        )


def _primaries(service: Service) -> Iterator[Complaint]:
    primaries = [index for index, handoff in enumerate(service.handoffs) if handoff.role == "primary"]
    for index in primaries[1:]:
        yield Complaint("service.handoff", ("handoffs", index, "role"), "a service has one primary handoff")


KIND = Kind(
    name="service",
    struct=Service,
    pattern="services/{shard}/{id}.yaml",
    plural="services",
    references=references,
    claims=claims,
    complaints=complaints,
)
