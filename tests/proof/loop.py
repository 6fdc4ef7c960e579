"""The subscriber's side of a world: RADIUS in this process, a NAS stand-in in front of it, receipts of lane 1."""

import contextlib
from collections.abc import Iterator

from aaa.radius.client import NasStandIn
from aaa.radius.exchange import RadiusClient
from reconciler import receipts
from reconciler.receipts import Receipt
from tests.support import eventually
from tests.world import NAS_SECRET, World


@contextlib.contextmanager
def nas_of(world: World) -> Iterator[NasStandIn]:
    """A NAS that the world's RADIUS server knows; it answers CoA and Disconnect, and redials."""
    world.one.settle()
    with world.one.radius_in_process() as radius:
        client = RadiusClient("127.0.0.1", radius.auth_port, radius.acct_port, NAS_SECRET.encode())
        made = NasStandIn(client, NAS_SECRET.encode(), coa_port=world.coa_port).start()
        try:
            yield made
        finally:
            made.stop()


def pool_of(nas: NasStandIn, login: str) -> str:
    """The pool that the live session of a login was given; empty while it redials."""
    policies = [line for one in nas.of(login) for line in one.policy if line.startswith("Framed-Pool")]
    return ", ".join(line.removeprefix("Framed-Pool = ") for line in policies)


def proven(world: World, commit: str) -> list[Receipt]:
    """Settle until lane 1 has receipts of this commit; returns them."""
    return eventually(lambda: (world.one.settle(), lane1(world, commit))[1], cap=30)


def lane1(world: World, commit: str) -> list[Receipt]:
    """Receipts of a commit in lane 1."""
    with world.one.db.read() as conn:
        return [one for one in receipts.of_commit(conn, commit) if one.lane == 1]
