"""State (RFC 2865 section 5.24): what we have to know when the next response comes, sealed, and expiring.

Every node of an installation has the view key, so each can open it; the NAS and the caller see noise.
"""

import os
from hashlib import sha256

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aaa.view.seal import Seal
from core import clock

OFFER, ALONE, TUNNEL = "o", "a", "t"
_NONCE = 12
_FORM = b"TL1"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What one challenge leaves behind. `stage`: a method was offered; an exchange without a tunnel (`payload` has
    all of it, `whose` is the identity's digest); or one in a tunnel, which `worker` holds, its number in `payload`.
    """

    stage: str
    kind: int
    identifier: int
    worker: str = ""
    payload: bytes = b""
    born: int = 0
    whose: bytes = b""


def whose(login: str) -> bytes:
    """A short digest of an identity: what was proven for one is not proven for another."""
    return sha256(login.encode()).digest()[:8]


class StateBox:
    """Seals and opens State."""

    def __init__(self, seal: Seal, seconds: int = 60) -> None:
        self._aead = AESGCM(seal.derived(b"EAP State"))
        self._seconds = seconds

    def close(self, kept: Kept, nas: str) -> bytes:
        """The attribute's value, for this NAS alone; within 253 octets for a worker's name of up to 63."""
        kept = msgspec.structs.replace(kept, born=int(clock.now().timestamp()))
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, msgspec.msgpack.encode(kept), _FORM + nas.encode())

    def open(self, value: bytes | None, nas: str) -> Kept | None:
        """What was kept; None for what is not ours, another NAS's, damaged, or too old."""
        if value is None or len(value) <= _NONCE:
            return None
        try:
            clear = self._aead.decrypt(value[:_NONCE], value[_NONCE:], _FORM + nas.encode())
            kept = msgspec.msgpack.decode(clear, type=Kept)
        except (InvalidTag, msgspec.MsgspecError):
            return None
        return kept if abs(clock.now().timestamp() - kept.born) <= self._seconds else None
