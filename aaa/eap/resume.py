"""Sessions that may be resumed: whose they are, and under which password. In memory, bounded, a worker's own."""

import hmac
import os
from collections import OrderedDict

import msgspec

from core import clock


class Known(msgspec.Struct, frozen=True):
    """Who finished a login in a session; `password` is a fingerprint that this process alone can make."""

    login: str
    password: bytes
    at: float


class Resumable:
    """Logins by TLS session; the oldest go first."""

    def __init__(self, most: int = 20_000, seconds: float = 8 * 3600) -> None:
        self._most, self._seconds = most, seconds
        self._key = os.urandom(32)
        self._known: OrderedDict[bytes, Known] = OrderedDict()

    def remember(self, session: bytes, login: str, password: bytes) -> None:
        """After a whole login that ended well; a session without a name is none that can come back."""
        if not session:
            return
        while len(self._known) >= self._most:
            self._known.popitem(last=False)
        self._known[session] = Known(login, self.fingerprint(password), clock.monotonic())

    def find(self, session: bytes) -> Known | None:
        """Who logged in with this session; None when nobody did, or too long ago."""
        known = self._known.get(session)
        return known if known is not None and clock.monotonic() - known.at < self._seconds else None

    def fingerprint(self, password: bytes) -> bytes:
        """What tells whether a password is still the same, and nothing else."""
        return hmac.digest(self._key, password, "sha256")
