"""Decide an Access-Request: who asks, with which credential, from where, and what they get. No side effect but
the count of failed attempts.
"""

import hmac
import time
from collections.abc import Callable
from typing import Literal, cast

import msgspec

from aaa.errors import SecretNotOpenable
from aaa.radius.admission import out_of_place, released, restricted, with_timeout
from aaa.radius.credentials import chap_is_right, reveal
from aaa.radius.limits import Attempts
from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet
from aaa.radius.request import Asked
from aaa.view.lookup import View
from aaa.view.records import Access, circuit_key, decode, login_key, mac_key, voucher_key
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
"""Whether whoever asks has shown that they know this password: how is the method's matter."""


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


class Authenticator:
    """Decides over a View; one for each worker."""

    def __init__(
        self,
        view: View,
        seal: Seal,
        attempts: Attempts,
        override: Callable[[str], int] = lambda _service: 0,
        digest: Callable[[str], bytes | None] = lambda _code: None,
    ) -> None:
        """`override` says until when (epoch seconds) this node frees a service; `digest` hashes a voucher's code."""
        self._view, self._seal, self._attempts = view, seal, attempts
        self._override, self.digest = override, digest

    def decide(
        self, packet: Packet, asked: Asked, nas: NasEntry, secret: bytes, proof: Proof | None = None
    ) -> Verdict:
        """Accept or refuse. `secret` is the one that the request was signed or hidden with. `proof` stands in for
        PAP and CHAP where another method (MS-CHAP, EAP) has asked for the password in its own way.
        """
        if asked.unusual and proof is None:
            return Verdict(b"", "unsupported-method", detail=asked.unusual)
        if self._attempts.exhausted(asked.login, nas.device):
            return Verdict(b"", "too-many-attempts")
        key, access = self._find(asked)
        if access is None:
            self._attempts.failed(asked.login, nas.device)
            return Verdict(b"", "unknown")
        if not self._proven(packet, asked, access, key, secret, proof):
            self._attempts.failed(asked.login, nas.device)
            return Verdict(b"", "wrong-credentials", access.service)
        self._attempts.succeeded(asked.login, nas.device)
        return self._admitted(asked, access, nas)

    def _admitted(self, asked: Asked, access: Access, nas: NasEntry) -> Verdict:
        refused = out_of_place(asked, access, nas.device)
        if refused is not None:
            return Verdict(b"", cast(Reason, refused[0]), access.service, refused[1])
        index, now = access.nas[nas.device], time.time()
        freed = released(access, self._override, now)
        if freed is not None:
            free, until = freed
            return Verdict(with_timeout(free.blocks[index], until, now), "", access.service)
        refused = restricted(asked, access, now)
        if refused is not None:
            return Verdict(b"", cast(Reason, refused[0]), access.service, refused[1])
        block = access.blocks[index]
        return Verdict(with_timeout(block, access.until, now) if access.until else block, "", access.service)

    def _find(self, asked: Asked) -> tuple[bytes, Access | None]:
        """By login; by a voucher's code; by circuit-id or MAC where the record is meant for that (an IPoE line never
        lets PPP in).
        """
        key = login_key(asked.login)
        access = decode(self._view.lookup(key), Access)
        if access is not None:
            return key, access
        digest = self.digest(asked.login)
        if digest is not None:
            key = voucher_key(digest)
            access = decode(self._view.lookup(key), Access)
            if access is not None:
                return key, access
        keys = [circuit_key(circuit) for circuit in asked.circuits]
        mac = mac_key(asked.login) or mac_key(asked.calling)
        for key in [*keys, *([mac] if mac else [])]:
            access = decode(self._view.lookup(key), Access)
            if access is not None and access.ppp == asked.ppp:
                return key, access
        return b"", None

    def _proven(
        self, packet: Packet, asked: Asked, access: Access, key: bytes, secret: bytes, proof: Proof | None
    ) -> bool:
        if not access.credential:
            # A voucher's code is all there is to know, and MS-CHAP and EAP cannot show that somebody knows it.
            return proof is None if key[:2] == b"v:" else key[:2] != b"u:" or not access.ppp
        try:
            password = self._seal.open(access.credential, key)
        except SecretNotOpenable:
            return False
        if proof is not None:
            return proof(password)
        if asked.chap is not None:
            return chap_is_right(asked.chap, asked.challenge, password)
        if asked.hidden is None:
            return False
        given = reveal(asked.hidden, secret, packet.authenticator)
        return given is not None and hmac.compare_digest(given, password)
