"""Decide an Access-Request: who asks, with which credential, from where, and what they get. No side effect but
the count of failed attempts.
"""

import hmac
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from aaa.errors import SecretNotOpenable
from aaa.radius.credentials import chap_is_right, reveal
from aaa.radius.limits import Attempts
from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet
from aaa.radius.request import Asked
from aaa.view.lookup import View
from aaa.view.records import Access, circuit_key, decode, login_key, mac_key
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


class Addresses(Protocol):
    """Addresses that the node gives itself, from what is leased to it."""

    def give(self, pools: tuple[str, ...], service: str, place: bytes, vendor: str) -> bytes | None:
        """Reply attributes with an address of each family that the pools have; None when none is left.

        `place` (NAS, a space, and circuit or MAC there) is the same for the same line: who asks again gets what they
        had. Called by the answering thread: it never waits.
        """


class Authenticator:
    """Decides over a View; one for each worker."""

    def __init__(
        self, view: View, seal: Seal, attempts: Attempts, addresses: Addresses | None = None
    ) -> None:
        self._view, self._seal, self._attempts = view, seal, attempts
        self._addresses = addresses

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
        verdict = _place(asked, access, nas)
        return self._with_addresses(verdict, asked, access, nas) if access.pools else verdict

    def _with_addresses(self, verdict: Verdict, asked: Asked, access: Access, nas: NasEntry) -> Verdict:
        if not verdict.accepted:
            return verdict
        place = nas.device.encode() + b" " + (asked.circuits[0] if asked.circuits else _mac(asked))
        given = None
        if self._addresses is not None:
            given = self._addresses.give(access.pools, access.service, place, nas.vendor)
        if given is None:
            return Verdict(b"", "no-address", access.service, f"none left in {', '.join(access.pools)}")
        return msgspec.structs.replace(verdict, block=given + verdict.block)

    def _find(self, asked: Asked) -> tuple[bytes, Access | None]:
        """By login; by circuit-id or MAC where the record is meant for that (an IPoE line never lets PPP in)."""
        key = login_key(asked.login)
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
            return key[:2] != b"u:" or not access.ppp
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


def _place(asked: Asked, access: Access, nas: NasEntry) -> Verdict:
    """The right subscriber: at the right place, not held, with an address to get?"""
    block = access.nas.get(nas.device)
    if block is None:
        return Verdict(b"", "wrong-port", access.service, f"{nas.device} does not serve this line")
    if access.circuits and not set(access.circuits) & set(asked.circuits):
        return Verdict(b"", "wrong-port", access.service, "another circuit-id")
    if access.macs and _mac(asked) not in access.macs:
        return Verdict(b"", "wrong-port", access.service, "another MAC")
    if access.status == "full":
        return Verdict(b"", "too-many-sessions", access.service)
    if access.status != "ok":
        return Verdict(b"", access.status, access.service)
    return Verdict(access.blocks[block], "", access.service)


def _mac(asked: Asked) -> bytes:
    key = mac_key(asked.calling) or mac_key(asked.login)
    return key[2:] if key else b""
