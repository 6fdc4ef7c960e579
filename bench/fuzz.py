"""The RADIUS packet parser against damaged packets, for as long as you like: nothing raises, both paths agree."""

import os
import random
import time
from collections import Counter

from aaa.radius.packet import pair
from tests.aaa.corpus import SHAPES, bare, signed
from tests.aaa.differential import SOURCES, Three, drops

SECONDS = float(os.environ.get("TRUNKLINE_BENCH_SECONDS", "20"))
LOGINS = [
    (b"s1@example.net", b"pw-1"),
    (b"s2@example.net", b"pw-2"),
    (b"s3@example.net", b"no"),
    (b"who", b"x"),
]


def main() -> None:
    """Prints what came of the packets. `TRUNKLINE_BENCH_SECONDS` (20) and `TRUNKLINE_BENCH_SEED`; the first packet on
    which the fast and the careful path differ, or that raises, is printed as hex and ends the run.
    """
    seed = int(os.environ.get("TRUNKLINE_BENCH_SEED", time.time_ns() & 0xFFFFFFFF))
    rng, three, told = random.Random(seed), Three(), Counter[str]()
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        for _packet in range(200):
            datagram, source = damaged(rng), rng.choice(SOURCES)
            try:
                told[one(three, datagram, source)] += 1
            except BaseException:
                print(f"seed {seed}: {source} {datagram.hex()}", flush=True)
                raise
    print(f"seed {seed}: {sum(told.values()):,} packets in {SECONDS:g} s; {dict(told.most_common())}")
    print(f"dropped: {dict(three.answers.dropped.most_common())}")


def one(three: Three, datagram: bytes, source: str) -> str:
    """What becomes of a packet; raises AssertionError when the paths differ or a drop has no reason."""
    before = drops(three.answers)
    fast, careful = three.fast(datagram, source), three.careful(datagram, source)
    assert fast == careful, "the fast and the careful path differ"
    assert drops(three.answers) == before + (2 if fast is None else 0), (
        "a drop is counted once, an answer never"
    )
    three.answers.accounting(datagram, source)
    return "dropped" if fast is None else "accepted" if fast.reply[0] == 2 else "refused"


def damaged(rng: random.Random) -> bytes:
    """A real request, well signed or not, with up to three kinds of damage, before or after signing."""
    body = rng.choice(list(SHAPES.values()))(*rng.choice(LOGINS))
    for _damage in range(rng.randrange(3)):
        body = _spoilt(rng, body)
    datagram = signed(body[:4000], first=rng.random() < 0.5) if rng.random() < 0.7 else bare(body[:4000])
    for _damage in range(rng.choice((0, 0, 1, 2))):
        datagram = _spoilt(rng, datagram)
    return datagram


def _spoilt(rng: random.Random, octets: bytes) -> bytes:
    at = rng.randrange(len(octets) + 1)
    damage = rng.randrange(5)
    if damage == 0:
        return octets[:at] + bytes((rng.randrange(256),)) + octets[at + 1 :]
    if damage == 1:
        return octets[:at]
    if damage == 2:
        return octets[:at] + rng.randbytes(rng.randrange(20)) + octets[at:]
    if damage == 3:
        return octets + pair(rng.randrange(256), rng.randbytes(rng.randrange(60)))
    return octets[:at] + octets[at + rng.randrange(1, 8) :]


if __name__ == "__main__":
    main()
