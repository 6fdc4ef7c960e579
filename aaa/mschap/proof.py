"""Whether a peer has shown that it knows the password: MS-CHAPv2 (RFC 2759) and MS-CHAPv1 (RFC 2433). Pure."""

import hmac
from hashlib import sha1

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from aaa.mschap.md4 import md4

_SIGNING = b"Magic server to client signing constant"
_PADDING = b"Pad to make it do more than one iteration"


def nt_hash(password: bytes) -> bytes:
    """NtPasswordHash (RFC 2759 section 8.3) of a password in UTF-8; octets that are no UTF-8 stand for themselves."""
    try:
        text = password.decode()
    except UnicodeDecodeError:
        text = password.decode("latin-1")
    return md4(text.encode("utf-16-le"))


def challenge_hash(peer: bytes, ours: bytes, name: bytes) -> bytes:
    """Section 8.2: the eight octets that are really answered. `name` comes as the peer sent it."""
    return sha1(peer + ours + without_domain(name), usedforsecurity=False).digest()[:8]


def without_domain(name: bytes) -> bytes:
    """The name without `DOMAIN\\` in front (section 4)."""
    return name.rpartition(b"\\")[2]


def answer_to(challenge: bytes, hashed: bytes) -> bytes:
    """ChallengeResponse (section 8.5): eight octets under three DES keys out of the password's hash."""
    padded = hashed.ljust(21, b"\0")
    return b"".join(_des(padded[at : at + 7], challenge) for at in (0, 7, 14))


def nt_response(ours: bytes, peer: bytes, name: bytes, password: bytes) -> bytes:
    """GenerateNTResponse (section 8.1)."""
    return answer_to(challenge_hash(peer, ours, name), nt_hash(password))


def authenticator_response(ours: bytes, peer: bytes, name: bytes, password: bytes, response: bytes) -> bytes:
    """GenerateAuthenticatorResponse (section 8.7): `S=` and forty hex digits, our own proof to the peer."""
    twice = md4(nt_hash(password))
    digest = sha1(twice + response + _SIGNING, usedforsecurity=False).digest()
    wanted = sha1(digest + challenge_hash(peer, ours, name) + _PADDING, usedforsecurity=False)
    return b"S=" + wanted.hexdigest().upper().encode()


def response_is_right(ours: bytes, peer: bytes, name: bytes, password: bytes, response: bytes) -> bool:
    """Whether the NT-Response of MS-CHAPv2 is this password's. No password is never proven."""
    return bool(password) and hmac.compare_digest(nt_response(ours, peer, name, password), response)


def first_version_is_right(challenge: bytes, password: bytes, response: bytes) -> bool:
    """Whether the NT-Response of MS-CHAPv1 (RFC 2433) answers the eight octets of challenge."""
    return bool(password) and hmac.compare_digest(answer_to(challenge, nt_hash(password)), response)


def _des(key: bytes, block: bytes) -> bytes:
    """Single DES is triple DES under the same key three times; the seven octets are spread over eight."""
    bits = int.from_bytes(key)
    spread = bytes((bits >> (49 - 7 * at) & 0x7F) << 1 for at in range(8))
    # ECB over one block is what section 8.6 says.
    encryptor = Cipher(TripleDES(spread * 3), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()
