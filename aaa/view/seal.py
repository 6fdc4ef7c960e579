"""Credentials in the view are sealed one by one under the node's view key (AES-SIV, RFC 5297).

Deterministic on purpose: the same intents give the same bytes, so an unchanged record is not a change. The record's
key is authenticated with it: a sealed password moved to another login does not open. See the ADR in docs/adr.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aaa.errors import KeyNotUsable, SecretNotOpenable

KEY_LENGTH = 64
OpenSecret = Callable[[str, str, str], str | bytes]
"""(`enc:v1:…`, path, key name) -> the secret in clear; core.crypto's `open_` with the data key bound."""


class Seal:
    """Seals and opens with one view key of 64 octets."""

    def __init__(self, key: bytes) -> None:
        self._aead, self._key = AESSIV(key), key
        self.fingerprint = hashlib.sha256(b"view key" + key).hexdigest()[:16]
        """Names the key without telling it: records of another key are built again."""

    @classmethod
    def of(cls, home: Path) -> "Seal":
        """The view key of this installation, made on first use (`<home>/view.key`, mode 0600). Raises KeyNotUsable."""
        return cls(read_key(home / "view.key", KEY_LENGTH))

    def close(self, secret: bytes, place: bytes) -> bytes:
        """The secret sealed to its place (the key of its record)."""
        return self._aead.encrypt(secret, [place]) if secret else b""

    def derived(self, purpose: bytes) -> bytes:
        """A key of 32 octets for something else that every node has to open (HKDF, RFC 5869)."""
        return HKDF(SHA256(), 32, salt=None, info=b"trunkline " + purpose).derive(self._key)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """The secret in clear. Raises SecretNotOpenable for another key or place."""
        if not sealed:
            return b""
        try:
            return self._aead.decrypt(sealed, [place])
        except InvalidTag as error:
            raise SecretNotOpenable(place.decode("utf-8", "replace")) from error


def read_key(path: Path, length: int) -> bytes:
    """A key file's octets; made on first use. Raises KeyNotUsable."""
    try:
        if not path.exists():
            create_once(path, os.urandom(length))
        key = path.read_bytes()
    except OSError as error:
        raise KeyNotUsable(str(path), error.strerror or str(error)) from error
    if len(key) != length:
        raise KeyNotUsable(str(path), f"it has {len(key)} octets, not {length}")
    return key


def create_once(path: Path, key: bytes) -> None:
    """Write a key file (mode 0600) unless somebody else was first: then theirs counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    try:
        os.link(partial, path)
    except FileExistsError:
        pass  # somebody else made it meanwhile; theirs counts
    finally:
        partial.unlink()
