"""MD4 (RFC 1320), written from the RFC: OpenSSL 3 has it in no default provider, and MS-CHAP cannot do without."""

import struct

_WORD = 0xFFFFFFFF
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
# Section 3.4, rounds 1 to 3: which word each step adds, how far it turns, and the round's constant.
_ORDERS = (
    tuple(range(16)),
    (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
_TURNS = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_CONSTANTS = (0, 0x5A827999, 0x6ED9EBA1)


def md4(message: bytes) -> bytes:
    """The sixteen octets of MD4. For MS-CHAP alone: it is no hash to trust with anything else."""
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + struct.pack("<Q", len(message) * 8)
    state = _START
    for at in range(0, len(padded), 64):
        state = _block(state, struct.unpack("<16I", padded[at : at + 64]))
    return struct.pack("<4I", *state)


def _block(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for turn, order in enumerate(_ORDERS):
        for step, word in enumerate(order):
            mixed = (a + _mix(turn, b, c, d) + words[word] + _CONSTANTS[turn]) & _WORD
            shift = _TURNS[turn][step % 4]
            a, b, c, d = d, (mixed << shift | mixed >> (32 - shift)) & _WORD, b, c
    return (state[0] + a) & _WORD, (state[1] + b) & _WORD, (state[2] + c) & _WORD, (state[3] + d) & _WORD


def _mix(turn: int, x: int, y: int, z: int) -> int:
    if turn == 0:
        return (x & y) | (~x & z)
    if turn == 1:
        return (x & y) | (x & z) | (y & z)
    return x ^ y ^ z
