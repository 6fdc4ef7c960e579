"""trunkline.yaml: the operator, AAA, who may change what, guards, windows, rollout."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from intents.homes import Home
from intents.scalars import (
    Address,
    Asn,
    Count,
    Currency,
    Duration,
    Id,
    Line,
    Percent,
    Port,
    Secret,
    Window,
    Word,
)
from intents.structs import Intent

Moving = Literal["none", "shadow", "proxy"]
Role = Literal["router", "bng", "olt", "ap", "switch", "dhcp"]
Zone = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}$", description="a time zone such as Australia/Perth")
]


class Operator(Intent, frozen=True, kw_only=True):
    """Whose network this is."""

    name: Line
    asn: Asn | None = None
    timezone: Zone
    currency: Currency


class RadiusServer(Intent, frozen=True, kw_only=True):
    """One of our RADIUS servers; every NAS gets all of them and accepts CoA from all."""

    address: Address
    also: Address | None = None
    auth_port: Port = 1812
    acct_port: Port = 1813


class Realm(Intent, frozen=True, kw_only=True):
    """The part of a login after `@`. With `proxy` these servers answer it, asked in order; `moving` says how far it
    has come from `aaa.old` to us: `proxy` (the old one answers), `shadow` (it answers, we are compared), `none`.
    """

    proxy: tuple[Home, ...] = ()
    secret: Secret | None = None
    strip: Annotated[bool, Meta(description="they get the login without its realm")] = False
    allow: Annotated[
        tuple[Literal["pool", "vrf", "filter", "admin"], ...],
        Meta(
            description="what their replies may set; pools, VRFs, filters and admin rights are taken out otherwise"
        ),
    ] = ()
    message_authenticator: Literal["require", "auto"] = "auto"
    moving: Moving = "none"


class Old(Intent, frozen=True, kw_only=True):
    """The RADIUS server that we move in from. `fallback: ours` answers when it is silent; `accounting: copy` sends it a
    copy of what it no longer gets, for its billing.
    """

    servers: tuple[Home, ...]
    secret: Secret | None = None
    message_authenticator: Literal["require", "auto"] = "auto"
    fallback: Literal["none", "ours"] = "none"
    accounting: Literal["none", "copy"] = "none"


class Aaa(Intent, frozen=True, kw_only=True):
    """RADIUS."""

    servers: tuple[RadiusServer, ...] = ()
    realms: dict[Word, Realm] = {}
    old: Old | None = None


class Login(Intent, frozen=True, kw_only=True):
    """What we log in to devices with; devices name it in `management.login`."""

    name: Word
    password: Secret | None = None
    key: Secret | None = None


class Identity(Intent, frozen=True, kw_only=True):
    """A signing key and what it may change; read from the parent commit. A machine is confined to its paths."""

    key: Line
    paths: tuple[Line, ...] = ()
    reasons: tuple[Word, ...] = ()
    person: bool = False


class Limit(Intent, frozen=True, kw_only=True):
    """A change set that touches more than this is parked. The smaller of the two counts."""

    percent: Percent | None = None
    count: Count | None = None


class Guards(Intent, frozen=True, kw_only=True):
    """Limits on restrictions, devices and deletions in one change set."""

    restrict: Limit | None = None
    devices: Limit | None = None
    deletes: Limit | None = None


class Rollout(Intent, frozen=True, kw_only=True):
    """Waves: first `canary` devices, then these percentages, soaking in between."""

    canary: Count = 1
    steps: tuple[Percent, ...] = (5, 25, 100)
    soak: Duration = msgspec.field(default_factory=lambda: Duration(120))
    confirm: Duration = msgspec.field(default_factory=lambda: Duration(300))


class Quarantine(Intent, frozen=True, kw_only=True):
    """How long a freed value rests before it is given again."""

    address: Duration = msgspec.field(default_factory=lambda: Duration(30 * 86400))
    onu: Duration = msgspec.field(default_factory=lambda: Duration(7 * 86400))
    vlan: Duration = msgspec.field(default_factory=lambda: Duration(7 * 86400))
    lease: Duration = msgspec.field(default_factory=lambda: Duration(600))
    """An address of a pool with `allocate: node` after its session: others do not get it for so long."""


class TaxNote(Intent, frozen=True, kw_only=True):
    """How invoices say that a tax category of ours is not taxed. `code` as EN 16931 has it (UNTDID 5305)."""

    code: Annotated[
        Literal["Z", "E", "AE", "G", "O"],
        Meta(description="Z zero rated, E exempt, AE reverse charge, G export, O outside the scope of VAT"),
    ]
    reason: Line


class Entity(Intent, frozen=True, kw_only=True):
    """A legal entity that sends invoices: what stands on them. Accounts name theirs."""

    name: Line
    address: tuple[Line, ...] = ()
    postcode: Line | None = None
    city: Line | None = None
    country: (
        Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="an ISO 3166-1 code such as AU")] | None
    ) = None
    vat: Annotated[Line | None, Meta(description="the VAT identifier, with its country's prefix")] = None
    registration: Annotated[Line | None, Meta(description="the company's number: ABN, SIREN, HRB …")] = None
    email: Line | None = None
    phone: Line | None = None
    website: Line | None = None
    iban: Annotated[str, Meta(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{8,30}$", description="an IBAN")] | None = (
        None
    )
    bic: (
        Annotated[str, Meta(pattern=r"^[A-Z0-9]{8}([A-Z0-9]{3})?$", description="a BIC (ISO 9362)")] | None
    ) = None
    bank: Annotated[Line | None, Meta(description="how else to pay: BSB and account number, say")] = None
    language: Literal["en", "de", "fr", "es"] = "en"
    grace: Annotated[
        int,
        Meta(
            ge=0, le=60, description="days that drafts of a bill run wait for a person; then they are final"
        ),
    ] = 0
    color: Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$", description="a colour such as #0b6a66")] = "#0b6a66"
    footer: tuple[Line, ...] = ()
    tax: dict[Word, TaxNote] = {}


class Mail(Intent, frozen=True, kw_only=True):
    """The server that takes our mail (SMTP submission). Documents issued from `since` on are sent to customers."""

    server: Line
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Line | None = None
    password: Secret | None = None
    sender: Line
    since: Annotated[
        str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="a date such as 2026-01-31")
    ]
    timeout: Annotated[int, Meta(ge=1, le=300, description="seconds")] = 30


class Sms(Intent, frozen=True, kw_only=True):
    """A gateway that takes text messages as JSON by POST. Notices made from `since` on are sent.

    `token` goes into the header `header` (Authorization: as a Bearer token); with `signing` the body is signed by
    HMAC-SHA-256 in `X-Trunkline-Signature`. `country`: the calling code that numbers without one have.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[^\s]{1,200}$", description="an address")]
    header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$", description="the name of a header")] = (
        "Authorization"
    )
    token: Secret | None = None
    signing: Secret | None = None
    sender: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9 +]{1,16}$", description="a number, or up to 11 letters")
    ]
    country: (
        Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}$", description="a calling code such as 61")] | None
    ) = None
    trunk: Annotated[str, Meta(pattern=r"^[0-9]?$", description="what national numbers begin with")] = "0"
    since: Annotated[
        str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="a date such as 2026-01-31")
    ]
    timeout: Annotated[int, Meta(ge=1, le=60, description="seconds")] = 10


class GatewayUse(Intent, frozen=True, kw_only=True):
    """A payment gateway. `key` and `webhook` (the signing secret of its events) are sealed; `address`: another than its
    own, for tests.
    """

    type: Literal["stripe", "gocardless"]
    key: Secret
    webhook: Secret | None = None
    address: Annotated[str, Meta(pattern=r"^https?://[^\s]{1,200}$", description="an address")] | None = None


class Config(Intent, frozen=True, kw_only=True):
    """The repository's own settings."""

    schema: Literal[1]
    operator: Operator
    aaa: Aaa = Aaa()
    logins: dict[Id, Login] = {}
    identities: dict[Id, Identity] = {}
    guards: Guards = Guards()
    windows: dict[Role, Window] = {}
    rollout: Rollout = msgspec.field(default_factory=Rollout)
    quarantine: Quarantine = msgspec.field(default_factory=Quarantine)
    entities: dict[Id, Entity] = {}
    gateways: dict[Id, GatewayUse] = {}
    mail: Mail | None = None
    sms: Sms | None = None
