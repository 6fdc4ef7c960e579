"""Two hundred holds in one commit over four NASes that lose, refuse and limit: bench/enforcement, small."""

import socket
from pathlib import Path

from bench.enforcement import Size, running
from tests.support import free_port

SMALL = Size(services=240, sessions=240, holds=200, singles=3, nases=4, processes=1)


def test_every_hold_of_a_mass_settles_with_its_true_outcome(tmp_path: Path) -> None:
    """With 2% loss and 1% NAK: every session's last outcome is an ACK or that it is gone, every request is counted by
    what became of it, every subscriber is back, and nobody landed on the old policy.
    """
    with running(tmp_path, SMALL, free_port(socket.SOCK_DGRAM)) as bench:
        seen = bench.mass(SMALL.holds)
    assert seen.settled[-1][2] == SMALL.holds
    assert sum(seen.last.values()) == SMALL.holds
    assert set(seen.last) <= {"acked", "no-session"}
    assert seen.attempts["nak(506)"] == seen.fleet["nak"]
    assert seen.redials["on the old policy"] == 0
    assert seen.redials["on the new policy"] == SMALL.holds
