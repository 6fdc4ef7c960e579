"""Keys of a session: out of MS-CHAPv2 (RFC 3079), and how RADIUS carries any of them (RFC 2548). Pure but for salts."""

import os
from hashlib import md5, sha1

from aaa.mschap.md4 import md4
from aaa.mschap.proof import nt_hash
from aaa.radius.packet import VENDOR_SPECIFIC, pair

MICROSOFT = 311
_MASTER = b"This is the MPPE Master Key"
_PEER_SENDS = b"On the client side, this is the send key; on the server side, it is the receive key."
_PEER_RECEIVES = b"On the client side, this is the receive key; on the server side, it is the send key."


def mschap_keys(password: bytes, response: bytes) -> tuple[bytes, bytes]:
    """(send, receive) start keys of the server's side, sixteen octets each (RFC 3079 section 3.4)."""
    master = sha1(md4(nt_hash(password)) + response + _MASTER, usedforsecurity=False).digest()[:16]
    return _start_key(master, _PEER_RECEIVES), _start_key(master, _PEER_SENDS)


def _start_key(master: bytes, magic: bytes) -> bytes:
    digest = sha1(master + bytes(40) + magic + b"\xf2" * 40, usedforsecurity=False)
    return digest.digest()[:16]


def microsoft(kind: int, value: bytes) -> bytes:
    """A Microsoft attribute on the wire."""
    return pair(VENDOR_SPECIFIC, MICROSOFT.to_bytes(4) + pair(kind, value))


def key_attributes(send: bytes, receive: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """MS-MPPE-Send-Key (16) and MS-MPPE-Recv-Key (17), each under a salt of its own (RFC 2548 section 2.4.2)."""
    salt = int.from_bytes(os.urandom(2)) | 0x8000
    other = (salt ^ 1).to_bytes(2)
    return microsoft(16, hidden_key(send, salt.to_bytes(2), secret, authenticator)) + microsoft(
        17, hidden_key(receive, other, secret, authenticator)
    )


def hidden_key(key: bytes, salt: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """Salt and the hidden key, which begins with its length and is padded to sixteens."""
    clear = bytes((len(key),)) + key
    clear += bytes(-len(clear) % 16)
    hidden, last = b"", authenticator + salt
    for at in range(0, len(clear), 16):
        last = _xor(clear[at : at + 16], md5(secret + last, usedforsecurity=False).digest())
        hidden += last
    return salt + hidden


def first_version_keys(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """MS-CHAP-MPPE-Keys (12) of MS-CHAPv1: no LM key, the hash of the NT hash (RFC 2548 section 2.4.1)."""
    clear, hidden, last = bytes(8) + md4(nt_hash(password)) + bytes(8), b"", authenticator
    for at in range(0, 32, 16):
        last = _xor(clear[at : at + 16], md5(secret + last, usedforsecurity=False).digest())
        hidden += last
    return microsoft(12, hidden)


def policy_attributes() -> bytes:
    """MS-MPPE-Encryption-Policy 1 (allowed) and -Types 6 (40 or 128 bits): the NAS decides (section 2.4.4, 2.4.5)."""
    return microsoft(7, (1).to_bytes(4)) + microsoft(8, (6).to_bytes(4))


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(16)
