"""MD5 and HMAC-MD5 as RADIUS needs them for every packet (RFC 2865 section 3, RFC 2104).

Python's own `_md5` takes two thirds of OpenSSL's time for so few octets, and a copied state half of `hmac.digest`'s.
"""

import hashlib
from functools import lru_cache, partial
from typing import Protocol

try:
    from _md5 import md5 as _begin  # type: ignore[import-not-found]
except ImportError:  # a Python that was built without it
    _begin = partial(hashlib.md5, usedforsecurity=False)

_BLOCK = 64
_INNER = bytes(octet ^ 0x36 for octet in range(256))
_OUTER = bytes(octet ^ 0x5C for octet in range(256))


class State(Protocol):
    """An MD5 that has begun."""

    def copy(self) -> "State":
        """Another one at the same point."""

    def update(self, data: bytes, /) -> None:
        """Go on."""

    def digest(self) -> bytes:
        """Sixteen octets."""


def md5_of(octets: bytes) -> bytes:
    """MD5 of these octets."""
    digest: bytes = _begin(octets).digest()
    return digest


def hmac_md5(secret: bytes, octets: bytes) -> bytes:
    """HMAC-MD5 of these octets under a NAS's secret."""
    begun, ends = _states(secret)
    inner, outer = begun.copy(), ends.copy()
    inner.update(octets)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=20_000)
def _states(secret: bytes) -> tuple[State, State]:
    """The states after the secret's two pads: the same for every packet of a NAS."""
    key = (md5_of(secret) if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
    return _begin(key.translate(_INNER)), _begin(key.translate(_OUTER))
