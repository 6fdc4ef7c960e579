"""What an order says about the physical access. The service's own VLANs and addresses are allocated later."""

from typing import Any

import msgspec


class Gpon(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="gpon", forbid_unknown_fields=True
):
    """A new ONU on a PON."""

    olt: str
    pon: str
    serial: str
    model: str | None = None
    mode: str = "bridge"


class Radio(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="radio", forbid_unknown_fields=True
):
    """A new CPE on a sector."""

    ap: str
    sector: str
    mac: str
    platform: str | None = None


class Handoff(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="handoff", forbid_unknown_fields=True
):
    """A wholesaler's bitstream."""

    link: str
    svlan: int
    cvlan: int | None = None
    reference: str | None = None


class Existing(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="existing", forbid_unknown_fields=True
):
    """A line that is there already: a second service on it."""

    line: str


Access = Gpon | Radio | Handoff | Existing


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the service logs in and what addresses it gets."""

    method: str = "pppoe"
    ipv4: str = "cgnat"
    delegate: bool = True
    on_hold: str = "auto"
    number: str = ""
    """The telephone number of a voice service; it is sealed in the file."""


def read_access(content: Any) -> Access:
    """An Access from its plain form. Raises msgspec.ValidationError."""
    found: Access = msgspec.convert(content, Access)
    return found
