"""lines/<aa>/<bb>/<id>.yaml: the physical access; none to many services use it."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.scalars import Address, Id, Mac, Platform, Secret, Serial, Vlan, Word
from intents.scalars import Line as Text
from intents.structs import Intent

LineState = Literal["planned", "active", "ceased"]
Onu = Annotated[int, Meta(ge=0, le=1023, description="an ONU id, 0 to 1023")]


class GponLine(Intent, frozen=True, kw_only=True, tag_field="type", tag="gpon"):
    """An ONU on a PON; `onu` is allocated."""

    state: LineState
    olt: Id
    pon: Word
    onu: Onu | None = None
    serial: Serial | None = None
    model: Word | None = None
    mode: Literal["bridge", "route"] = "bridge"

    @property
    def type(self) -> Literal["gpon"]:
        """The line's type, as in the file."""
        return "gpon"


class Cpe(Intent, frozen=True, kw_only=True):
    """The radio at the customer's end."""

    mac: Mac
    platform: Platform | None = None
    manage: Literal["observe", "partial", "full"] = "observe"
    address: Address | None = None


class Eap(Intent, frozen=True, kw_only=True):
    """What the CPE logs in to the sector with."""

    login: Word
    password: Secret


class RadioLine(Intent, frozen=True, kw_only=True, tag_field="type", tag="radio"):
    """A CPE on a sector."""

    state: LineState
    ap: Id
    sector: Word
    cpe: Cpe | None = None
    eap: Eap | None = None

    @property
    def type(self) -> Literal["radio"]:
        """The line's type, as in the file."""
        return "radio"


class HandoffLine(Intent, frozen=True, kw_only=True, tag_field="type", tag="handoff"):
    """A wholesaler's bitstream: VLANs on a handoff link."""

    state: LineState
    link: Id
    svlan: Vlan
    cvlan: Vlan | None = None
    reference: Text | None = None

    @property
    def type(self) -> Literal["handoff"]:
        """The line's type, as in the file."""
        return "handoff"


Line = GponLine | RadioLine | HandoffLine
