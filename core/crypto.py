"""Secrets at rest: `enc:v1:<base64>` = AES-256-GCM with the place (path and key name) as associated data.

A ciphertext that is copied to another path or key does not open: nobody can move a secret where its reader
would send it somewhere else. The data key is wrapped by age (X25519) for everybody who may hold it.
"""

import base64
import hashlib
import hmac
import os
from pathlib import Path

import pyrage
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import Terminal

PREFIX = "enc:v1:"
_NONCE = 12


class SecretNotReadable(Terminal):
    """A sealed value does not open with this key at this place."""

    def __init__(self, path: str, name: str, why: str) -> None:
        super().__init__(f"{path}: the secret at '{name}' does not open: {why}")
        self.path, self.name = path, name


class KeyMissing(Terminal):
    """There is no usable data key."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"data key {path} is not usable: {why}; run `trunkline secret init` or restore it")


class DataKey:
    """The repository's 256-bit data key; never printed."""

    def __init__(self, raw: bytes) -> None:
        self._aead = AESGCM(raw)
        self._raw = raw

    def __repr__(self) -> str:
        return "DataKey(<redacted>)"

    @classmethod
    def generate(cls) -> "DataKey":
        """A new random key."""
        return cls(AESGCM.generate_key(256))

    def wrap(self, recipients: list[str]) -> bytes:
        """The key encrypted with age for every recipient `age1…`."""
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
        return bytes(pyrage.encrypt(self._raw, keys))

    @classmethod
    def unwrap(cls, wrapped: bytes, identity: str) -> "DataKey":
        """Open a wrapped key with an age identity `AGE-SECRET-KEY-…`."""
        return cls(pyrage.decrypt(wrapped, [pyrage.x25519.Identity.from_str(identity)]))


def create_key(key_file: Path, identity_file: Path) -> DataKey:
    """Make a data key and an age identity, both files 0600; existing files are kept and opened."""
    if key_file.exists() and identity_file.exists():
        return load_key(key_file, identity_file)
    identity = pyrage.x25519.Identity.generate()
    key = DataKey.generate()
    write_private(identity_file, str(identity).encode() + b"\n")
    write_private(key_file, key.wrap([str(identity.to_public())]))
    return key


def load_key(key_file: Path, identity_file: Path) -> DataKey:
    """The data key of this installation. Raises KeyMissing."""
    try:
        return DataKey.unwrap(key_file.read_bytes(), identity_file.read_text().strip())
    except OSError as error:
        raise KeyMissing(key_file, error.strerror or str(error)) from error
    except Exception as error:  # pyrage raises its own classes without a common base
        raise KeyMissing(key_file, str(error)) from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def is_sealed(text: str) -> bool:
    """Whether a value is one of our ciphertexts."""
    return text.startswith(PREFIX)


def seal(key: DataKey, plain: str, path: str, name: str) -> str:
    """`enc:v1:…` of a text that belongs at `name` (dotted field) of the document at `path`."""
    nonce = os.urandom(_NONCE)
    sealed = key._aead.encrypt(nonce, plain.encode(), _place(path, name))
    return PREFIX + base64.b64encode(nonce + sealed).decode()


def open_(key: DataKey, text: str, path: str, name: str) -> str:
    """The clear text; a text that is not sealed comes back as it is. Raises SecretNotReadable."""
    if not is_sealed(text):
        return text
    try:
        blob = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        return key._aead.decrypt(blob[:_NONCE], blob[_NONCE:], _place(path, name)).decode()
    except InvalidTag as error:
        raise SecretNotReadable(path, name, "wrong key, or it was sealed for another place") from error
    except ValueError as error:
        raise SecretNotReadable(path, name, "the ciphertext is damaged") from error


def fingerprint(key: DataKey, text: str, purpose: str) -> str:
    """64 hex digits that are the same for the same text and purpose: finds a sealed value without opening any.

    Without the data key nobody can try texts out.
    """
    own = hmac.digest(key._raw, f"fingerprint:{purpose}".encode(), hashlib.sha256)
    return hmac.digest(own, text.encode(), hashlib.sha256).hex()


def _place(path: str, name: str) -> bytes:
    return f"{path}#{name}".encode()
