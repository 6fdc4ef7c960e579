"""Records of the view: what a RADIUS worker knows of one key (msgpack arrays; their bytes are deterministic).

Keys: `u:`login · `m:`MAC (12 hex digits) · `c:`circuit-id octets or remote-id · `n:`NAS source address ·
`s:`service id · `r:`realm in lower case · `v:`keyed hash of a voucher's code · `p:`pool id (aaa/view/pools.py).
"""

import hashlib
import ipaddress
import re
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec

from aaa.vendors.policy import Policy
from intents.device.radsec import radsec_name

_CLASS = re.compile(rb"TL1:([a-z0-9]{1,16}):([A-Za-z0-9-]{1,63})")
LAYOUT = 6
"""Version of these records; another one in a file or table means: build again."""

Status = Literal["ok", "held", "no-address", "full"]
_T = TypeVar("_T")


class ViewRecord(msgspec.Struct, frozen=True, order=True):
    """One row of the view: a key, who it comes from (`service:S-1`, `device:bng1`), and its record."""

    key: bytes
    owner: str
    record: bytes


class Free(msgspec.Struct, frozen=True, array_like=True):
    """What a restricted service would get without its restrictions, for an override. Blocks stand where Access has
    them: `Access.nas` finds both.
    """

    policy_hash: str
    blocks: tuple[bytes, ...]
    pools: tuple[str, ...] = ()


class Access(msgspec.Struct, frozen=True, array_like=True):
    """Behind `u:`, `m:` and `c:`: how to check a request and what to answer it.

    `credential` is the sealed password ("" for none to check). `blocks` are reply attributes on the wire, `nas`
    says which of them a NAS gets; a NAS that is not in it does not serve this line. `circuits` (and
    remote-ids) and `macs` are
    the only ones allowed; empty allows all, and so of `ports` (NAS-Port-Id). `ppp` says that PPP sessions are meant: an
    IPoE line's circuit-id alone never lets a PPP login in. `pools`: of each family that these have, the node itself
    gives an address from the first that has one. `until`: the session may not last beyond this moment (epoch seconds,
    0: no end). `live`:
    with status "full", where the service's sessions are (circuit-ids, MACs): a login from there replaces a ghost.
    """

    service: str
    policy_hash: str
    ppp: bool
    status: Status
    credential: bytes
    circuits: tuple[bytes, ...]
    macs: tuple[bytes, ...]
    nas: dict[str, int]
    blocks: tuple[bytes, ...]
    ports: tuple[bytes, ...] = ()
    pools: tuple[str, ...] = ()
    until: int = 0
    live: tuple[bytes, ...] = ()
    free: Free | None = None
    released: int = 0
    """A recorded override: until this moment (epoch seconds) the answer is `free`, whatever the status."""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """Behind `s:`: what every session of the service should have. `policy` is None while it is blocked. `limits` are
    causes of recorded limits; `metered`: its octets are counted against a quota; `released` is an override's end.
    `door`: the AP at which a radio line has a session beside that at its BNG; the limit holds for each of the two, and
    the octets of the BNG's are the service's usage.
    """

    policy_hash: str
    policy: Policy | None
    holds: tuple[str, ...]
    limit: int
    over: Literal["replace", "reject"]
    limits: tuple[str, ...] = ()
    metered: bool = False
    released: int = 0
    door: str = ""


class Nas(msgspec.Struct, frozen=True, array_like=True):
    """Behind `n:`: a NAS source address. `secrets` are sealed; the first is sent, all are accepted."""

    device: str
    vendor: str
    secrets: tuple[bytes, ...]
    require_ma: bool
    legacy: bool
    coa_port: int
    coa_rate: int
    interim: int
    moving: Literal["", "shadow", "proxy"] = ""
    """Its old RADIUS server: compared with us, or still the one that answers; `old` names the realm entry."""
    old: str = ""


class Realm(msgspec.Struct, frozen=True, array_like=True):
    """Behind `r:`: whose logins another RADIUS server answers. `servers` are (address, auth port, acct port,
    transport "udp" or "radsec"), asked in this order; `secret` is sealed. `old`: it is the server that we move in from,
    whose replies pass untouched; `fallback`: we answer when it is silent; `copy`: it gets a copy of our accounting.
    """

    servers: tuple[tuple[str, int, int, str], ...]
    secret: bytes
    mode: Literal["proxy", "shadow"] = "proxy"
    strip: bool = False
    old: bool = False
    fallback: bool = False
    copy: bool = False
    allow: tuple[str, ...] = ()
    require_ma: bool = False


read_access = msgspec.msgpack.Decoder(Access).decode
"""An Access of its bytes."""
OLD = "@"
"""Name of the old server's entry (`r:@`): no realm can have it."""


def encode(record: Access | Wanted | Nas | Realm) -> bytes:
    """The record's bytes."""
    return msgspec.msgpack.encode(record)


def decode(raw: bytes | None, kind: type[_T]) -> _T | None:
    """The record of these bytes, or None for none."""
    return None if raw is None else _decoder(kind).decode(raw)  # type: ignore[arg-type]


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """One that is there already costs half of `msgspec.msgpack.decode`."""
    return msgspec.msgpack.Decoder(kind)


def login_key(login: str) -> bytes:
    """Key of a login: its user as written, its realm in lower case (a realm is a domain name, RFC 7542 section 2.2)."""
    user, at, realm = login.rpartition("@")
    return f"u:{user}@{realm.lower()}".encode() if at else b"u:" + login.encode()


def mac_key(mac: str | bytes) -> bytes | None:
    """Key of a MAC in any usual spelling; None for what is no MAC."""
    text = mac if isinstance(mac, str) else mac.decode("ascii", "replace")
    digits = "".join(char for char in text.lower() if char in "0123456789abcdef")
    return b"m:" + digits.encode() if len(digits) == 12 and len(text) <= 17 else None


def remote(octets: bytes) -> bytes:
    """A remote-id as a name of a line: the sub-option that it is (2, length, octets: RFC 3046 section 2.0). A
    circuit-id has no header: one list has both, and neither is taken for the other.
    """
    return bytes((2, len(octets) & 255)) + octets


def is_remote(name: bytes) -> bool:
    """Whether a name of a line is a remote-id."""
    return len(name) > 2 and name[0] == 2 and name[1] == len(name) - 2


def circuit_key(circuit: bytes) -> bytes:
    """Key of a circuit-id's octets, or of a remote-id (`remote`)."""
    return b"c:" + circuit


def realm_key(realm: str) -> bytes:
    """Key of a realm."""
    return b"r:" + realm.lower().encode()


def voucher_key(digest: bytes) -> bytes:
    """Key of a voucher: the code itself is nowhere."""
    return b"v:" + digest


def radsec_source(name: str) -> str:
    """What stands for a source address where a NAS comes by RadSec: `@` and a digest of the name or fingerprint."""
    return "@" + hashlib.sha256(radsec_name(name).encode()).hexdigest()[:40]


def nas_key(address: str) -> bytes:
    """Key of a NAS source address, in its canonical spelling; IPv4 mapped into IPv6 is IPv4."""
    if address.startswith("@"):
        return b"n:" + address.encode()
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return b"n:" + str(mapped or parsed).encode()


def service_key(service: str) -> bytes:
    """Key of a service."""
    return b"s:" + service.encode()


def class_of(service: str, policy_hash: str) -> bytes:
    """Class attribute (RFC 2865 section 5.25): opaque to the NAS, it comes back in accounting."""
    value = f"TL1:{policy_hash}:{service}".encode()
    return bytes((25, len(value) + 2)) + value


def read_class(value: bytes) -> tuple[str, str] | None:
    """(service, policy hash) of a Class value of ours; None for anybody else's, or one that was tampered with."""
    found = split_class(value)
    return None if found is None else (found[0].decode(), found[1].decode())


def split_class(value: bytes) -> tuple[bytes, bytes] | None:
    """The same as octets."""
    found = _CLASS.fullmatch(value)
    return None if found is None else (found[2], found[1])
