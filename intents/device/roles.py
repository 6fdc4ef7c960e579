"""What a device's role adds: NAS, BNG, OLT, AP."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.config.schema import Moving
from intents.scalars import Address, Count, Id, Line, Mtu, Port, Secret, Vlan, VlanSet, Word
from intents.structs import Intent


class Coa(Intent, frozen=True, kw_only=True):
    """Where it takes CoA and Disconnect (RFC 5176), and how many a second."""

    port: Port = 3799
    rate: Annotated[int, Meta(ge=1, le=10000, description="requests per second")] = 50


class Nas(Intent, frozen=True, kw_only=True):
    """A BNG or AP as RADIUS sees it. The first secret is sent and rendered, all are accepted: rotation. With `radsec`
    it may come by TLS, known by its certificate. `moving`: its old RADIUS server (`aaa.old`) still answers it.
    `hotspot`: who logs in there may have a voucher.
    """

    vendor: Word
    sources: tuple[Address, ...] = ()
    secrets: tuple[Secret, ...] = ()
    radsec: Annotated[
        Word | None, Meta(description="a name in its certificate, or the certificate's SHA-256 fingerprint")
    ] = None
    moving: Moving = "none"
    message_authenticator: Literal["require", "auto"] = "require"
    coa: Coa | None = None
    legacy: bool = False
    hotspot: bool = False
    interim: Annotated[int, Meta(ge=60, le=86400, description="seconds between interim updates")] = 600


class Bng(Intent, frozen=True, kw_only=True):
    """What a BNG offers to its access ports (RFC 2516 for PPPoE)."""

    ac_name: Word | None = None
    service_name: Word | None = None
    gateway: Address | None = None
    mtu: Mtu = 1492
    sessions: Count = 32000


class Profiles(Intent, frozen=True, kw_only=True):
    """Only profiles under this prefix are written or deleted."""

    prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,16}$", description="a short prefix such as TL-")
    ] = "TL-"


class Pon(Intent, frozen=True, kw_only=True):
    """A PON port: technology, split, and the VLANs of its subscribers."""

    tech: Literal["gpon", "xgpon", "xgspon", "epon"] = "gpon"
    split: Annotated[int, Meta(ge=1, le=256, description="a split, 1 to 256")] = 64
    svlan: Vlan | None = None
    cvlans: VlanSet | None = None


class Shared(Intent, frozen=True, kw_only=True):
    """A VLAN that subscribers share."""

    svlan: Vlan | None = None
    mvlan: Vlan | None = None


class Olt(Intent, frozen=True, kw_only=True):
    """An OLT: its edge, uplink and PONs. `circuit_id` has the fields device, pon, onu, port, svlan, cvlan."""

    edge: Id
    uplink: Word | None = None
    circuit_id: Line | None = None
    profiles: Profiles = Profiles()
    pons: dict[Word, Pon] = {}
    shared: dict[Id, Shared] = {}


class Sector(Intent, frozen=True, kw_only=True):
    """A sector of an AP: degrees, MHz."""

    port: Word
    azimuth: Annotated[float, Meta(ge=0, lt=360, description="degrees, 0 to 359")] | None = None
    beam: Annotated[float, Meta(gt=0, le=360, description="degrees, up to 360")] | None = None
    frequency: Annotated[int, Meta(ge=400, le=100000, description="MHz")] | None = None
    width: Annotated[int, Meta(ge=1, le=2160, description="MHz")] | None = None
    ssid: (
        Annotated[str, Meta(min_length=1, max_length=32, description="an SSID, at most 32 characters")] | None
    ) = None
    auth: Literal["eap", "mac", "none"] = "eap"
    max_cpes: Count | None = None
    svlan: Vlan | None = None


class Ap(Intent, frozen=True, kw_only=True):
    """An access point: its edge and sectors."""

    edge: Id
    sectors: dict[Word, Sector] = {}
