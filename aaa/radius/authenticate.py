"""Decide an Access-Request: who asks, with which credential, from where, and what they get. No side effect but
the count of failed attempts.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from aaa.errors import SecretNotOpenable
from aaa.limits.overrides import free_until
from aaa.radius.credentials import is_proven
from aaa.radius.limits import Attempts
from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet
from aaa.radius.place import is_in, place_of, stranger
from aaa.radius.plain import CHALLENGE, CHAP, PASSWORD
from aaa.radius.request import Asked
from aaa.view.lookup import View
from aaa.view.records import Access, circuit_key, decode, login_key, mac_key, read_access, voucher_key
from aaa.view.seal import Seal

Reason = Literal[
    "",
    "unknown",
    "wrong-credentials",
    "wrong-port",
    "held",
    "no-address",
    "too-many-sessions",
    "too-many-attempts",
    "unsupported-method",
]
Proof = Callable[[bytes], bool]
"""Whether whoever asks has shown that they know this password (b"" when none is stored): how is the method's matter."""
_SESSION_TIMEOUT = 27
_FOREVER = 2**32 - 1


class Verdict(msgspec.Struct, frozen=True):
    """The decision. `block` are the reply attributes of an accept; `reason` is for support, never for the caller."""

    block: bytes
    reason: Reason
    service: str = ""
    detail: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it is an Access-Accept."""
        return not self.reason


class Addresses(Protocol):
    """Addresses that the node gives itself, from what is leased to it."""

    def give(self, pools: tuple[str, ...], service: str, place: bytes, vendor: str) -> bytes | None:
        """Reply attributes, in the vendor's words, with an address of each family that the pools have; None when none
        is left.

        `place` (NAS, and circuit or MAC there) is the same for the same line: who asks again gets what they had.
        Called by the answering thread: it never waits.
        """


class Authenticator:
    """Decides over a View; one for each worker. `overrides`: service -> until when (epoch seconds) its restrictions are
    lifted on this node; asked only for records that say what the service would get then. `digest` hashes a voucher's
    code, and gives None for what is none.
    """

    def __init__(
        self,
        view: View,
        seal: Seal,
        attempts: Attempts,
        addresses: Addresses | None = None,
        overrides: Mapping[str, float] | None = None,
        digest: Callable[[str], bytes | None] = lambda _code: None,
    ) -> None:
        self._view, self._seal, self._attempts = view, seal, attempts
        self._addresses = addresses
        self._overrides = overrides if overrides is not None else {}
        self.digest = digest

    def beside(self, attempts: Attempts, addresses: Addresses) -> "Authenticator":
        """Another one that decides alike, and counts its attempts and gives its addresses by itself."""
        return Authenticator(self._view, self._seal, attempts, addresses, self._overrides, self.digest)

    def decide(
        self, packet: Packet, asked: Asked, nas: NasEntry, secret: bytes, proof: Proof | None = None
    ) -> Verdict:
        """Accept or refuse. `secret` is the one that the request was signed or hidden with. `proof` stands in for
        PAP and CHAP where another method (MS-CHAP, EAP) has asked for the password in its own way.
        """
        return self.judge(asked, nas, secret, packet.authenticator, proof)

    def judge(
        self, asked: Asked, nas: NasEntry, secret: bytes, authenticator: bytes, proof: Proof | None = None
    ) -> Verdict:
        """The same for whoever has no Packet: `authenticator` is the request's."""
        if asked.unusual and proof is None:
            return Verdict(b"", "unsupported-method", "", asked.unusual)
        key, access = self._find(asked, by_login=proof is not None)
        if access is None:
            return Verdict(b"", "unknown", detail=f"circuit {asked.circuit}" if asked.circuits else "")
        if self._attempts.exhausted(key, nas.device):
            return Verdict(b"", "too-many-attempts", access.service)
        if not self._proven(asked, access, key, secret, authenticator, proof):
            self._attempts.failed(key, nas.device)
            return Verdict(b"", "wrong-credentials", access.service)
        self._attempts.succeeded(key, nas.device)
        index = access.nas.get(nas.device)
        if index is None:
            return Verdict(b"", "wrong-port", access.service, f"{nas.device} does not serve this line")
        if access.circuits or access.macs or access.ports:
            why = stranger(asked, access)
            if why:
                return Verdict(b"", "wrong-port", access.service, why)
        if access.status == "ok" and not (access.until or access.pools or access.free):
            return Verdict(access.blocks[index], "", access.service)
        return self._entitled(asked, nas, access, index)

    def plainly(
        self, login: bytes, found: Mapping[int, bytes], secret: bytes, authenticator: bytes, device: str
    ) -> bytes | None:
        """The reply attributes of a login whose PAP or CHAP password is right and whose record says yes without any
        condition; None: `judge` decides. `found` are the attributes of `read_plainly`.
        """
        key = b"u:" + login
        if self._attempts.has_failed(key, device):
            return None
        raw = self._view.lookup(key)
        if raw is None:
            return None
        access = read_access(raw)
        index = access.nas.get(device)
        if index is None or access.status != "ok" or not access.credential:
            return None
        if access.circuits or access.macs or access.ports or access.until or access.pools or access.free:
            return None
        try:
            password = self._seal.open(access.credential, key)
        except SecretNotOpenable:
            return None
        challenge = found.get(CHALLENGE) or authenticator
        right = is_proven(password, found.get(PASSWORD), found.get(CHAP), challenge, secret, authenticator)
        return access.blocks[index] if right else None

    def _find(self, asked: Asked, by_login: bool) -> tuple[bytes, Access | None]:
        """By login; by a voucher's code; by circuit-id or MAC where the record is meant for that (an IPoE line never
        lets PPP in), but not for who brought a proof: it is the login's.
        """
        key = login_key(asked.login)
        raw = self._view.lookup(key)
        if raw is not None or by_login:
            return key, decode(raw, Access)
        digest = self.digest(asked.login)
        raw = self._view.lookup(voucher_key(digest)) if digest is not None else None
        if digest is not None and raw is not None:
            return voucher_key(digest), decode(raw, Access)
        keys = [circuit_key(circuit) for circuit in asked.circuits]
        mac = mac_key(asked.login) or mac_key(asked.calling)
        for key in [*keys, *([mac] if mac else [])]:
            access = decode(self._view.lookup(key), Access)
            if access is not None and access.ppp == asked.ppp:
                return key, access
        return b"", None

    def _proven(
        self,
        asked: Asked,
        access: Access,
        key: bytes,
        secret: bytes,
        authenticator: bytes,
        proof: Proof | None,
    ) -> bool:
        if not access.credential and proof is None:
            return key[:2] != b"u:" or not access.ppp
        try:
            password = self._seal.open(access.credential, key)
        except SecretNotOpenable:
            return False
        if proof is not None:
            return proof(password)
        return is_proven(password, asked.hidden, asked.chap, asked.challenge, secret, authenticator)

    def _entitled(self, asked: Asked, nas: NasEntry, access: Access, index: int) -> Verdict:
        """What is seldom: restrictions, overrides, an end in sight, and addresses that the node gives."""
        now, service = time.time(), access.service
        block, until, refusal = access.blocks[index], access.until, _refusal(asked, access)
        pools = access.pools
        if access.free is not None:
            released = free_until(service, access.released, self._overrides)
            if released > now:
                # An override ends by itself: the session does not outlive it.
                block, until = access.free.blocks[index], int(released)
                pools = access.free.pools
                refusal = ""
        if refusal:
            return Verdict(b"", refusal, service)
        if until:
            if until - now < 1:
                return Verdict(b"", "held", service, "its time is over")
            block = with_timeout(block, int(until - now))
        if pools:
            given = self._given(asked, nas, service, pools)
            if given is None:
                return Verdict(b"", "no-address", service, f"none left in {', '.join(pools)}")
            block = given + block
        return Verdict(block, "", service)

    def _given(self, asked: Asked, nas: NasEntry, service: str, pools: tuple[str, ...]) -> bytes | None:
        if self._addresses is None:
            return None
        return self._addresses.give(pools, service, place_of(asked, nas.device), nas.vendor)


def _refusal(asked: Asked, access: Access) -> Reason:
    if access.status == "ok":
        return ""
    if access.status != "full":
        return access.status
    # The session that fills the service is this very line's, and its end was never told: a ghost.
    return "" if is_in(asked, access.live) else "too-many-sessions"


def with_timeout(block: bytes, seconds: int) -> bytes:
    """Reply attributes with Session-Timeout (27) at most `seconds`; a shorter one that is there stays."""
    kept, at = [], 0
    while at < len(block):
        after = at + block[at + 1]
        if block[at] == _SESSION_TIMEOUT:
            seconds = min(seconds, int.from_bytes(block[at + 2 : after]))
        else:
            kept.append(block[at:after])
        at = after
    return b"".join(kept) + b"\x1b\x06" + min(seconds, _FOREVER).to_bytes(4)
