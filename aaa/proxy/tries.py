"""Tries: what a failure says: of a server that takes others, that it is the record; of one that is away, nothing."""

import msgspec

_HOPELESS = 10
_KEEP = 7 * 86400.0
_IN_A_ROW = 32
_FEW = 8
_MOST = 1000


class Tries(msgspec.Struct, frozen=True):
    """How often a record was not taken, and how many others of its route had been when that began to count."""

    count: int
    before: int


def one_more(tries: Tries, delivered: int, in_a_row: int) -> Tries:
    """After a failure. While the server looks away nothing counts: its return would find everybody hopeless."""
    return Tries(0, delivered) if is_away(in_a_row) else Tries(tries.count + 1, tries.before)


def is_hopeless(tries: Tries, delivered: int) -> bool:
    """It takes others and not this one."""
    return tries.count >= _HOPELESS and delivered - tries.before >= _HOPELESS


def is_old(received: float, now: float) -> bool:
    """Nobody waits for it any more."""
    return now - received > _KEEP


def is_away(in_a_row: int) -> bool:
    """So many failures of a route without a delivery between them: it is the server, not the records."""
    return in_a_row >= _IN_A_ROW


def may_begin(in_a_row: int, begun: int, waiting: int) -> bool:
    """Whether a pass that began so many asks may begin another. A few even when the server looks away: those who wait
    may all be ones that it never takes.
    """
    return waiting < _MOST and (begun < _FEW or not is_away(in_a_row))
