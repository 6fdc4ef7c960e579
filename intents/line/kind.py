"""Lines as a kind: an ONU on a PON, a CPE on a sector, VLANs on a handover."""

from collections.abc import Iterator

from intents import claims as spelling
from intents.kind import Claim, Complaint, Kind, Reference
from intents.line.schema import GponLine, HandoffLine, Line, RadioLine


def references(_id: str, line: Line) -> Iterator[Reference]:
    """The OLT, the AP or the handoff link."""
    if isinstance(line, GponLine):
        yield Reference("device", line.olt, ("olt",))
    elif isinstance(line, RadioLine):
        yield Reference("device", line.ap, ("ap",))
    else:
        yield Reference("link", line.link, ("link",))


def claims(_id: str, line: Line) -> Iterator[Claim]:
    """Serial, ONU id, MAC, login, VLANs. What is ceased claims nothing."""
    if line.state == "ceased":
        return
    if isinstance(line, GponLine):
        if line.serial is not None:
            yield spelling.exactly("serial", line.serial, ("serial",))
        if line.onu is not None:
            yield spelling.exactly(f"onu:{line.olt}/{line.pon}", f"{line.onu:04d}", ("onu",))
    elif isinstance(line, RadioLine):
        if line.cpe is not None:
            yield spelling.exactly("cpe", line.cpe.mac, ("cpe", "mac"))
        if line.eap is not None:
            yield spelling.exactly("login", line.eap.login.lower(), ("eap", "login"))
    else:
        yield spelling.vlan(f"handoff:{line.link}", line.svlan, line.cvlan, ("svlan",))


def complaints(line: Line) -> Iterator[Complaint]:
    """An active line says which ONU or CPE it is."""
    if line.state != "active" or isinstance(line, HandoffLine):
        return
    if isinstance(line, GponLine):
        for key in ("onu", "serial"):
            if getattr(line, key) is None:
                yield Complaint("line.incomplete", ("state",), f"an active line needs `{key}`")
    elif line.cpe is None:
        yield Complaint("line.incomplete", ("state",), "an active line needs `cpe`")


KIND = Kind(
    name="line",
    struct=Line,
    pattern="lines/{shard}/{id}.yaml",
    plural="lines",
    references=references,
    claims=claims,
    complaints=complaints,
)
