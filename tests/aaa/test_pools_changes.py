"""Pools that change, go and come back while their addresses are held, and what sessions tell: nobody gets another's."""

import msgspec
import pytest

from aaa.accounting.record import START, AccountingRecord
from aaa.vendors.registry import text_of
from tests.aaa.farm import INTERIM_SECONDS, POOL, Farm, FarmNode, FarmWorker

SMALL = msgspec.structs.replace(POOL, prefixes=("100.64.0.0/26",))


@pytest.fixture
def make(database, tmp_path):
    """Farms over one database; one worker a node."""
    made: list[Farm] = []

    def farm(nodes: int = 1, pool=SMALL) -> Farm:
        made.append(Farm(database, tmp_path / "farm", nodes=nodes, workers=1, pool=pool))
        made[0].step()
        return made[0]

    yield farm
    for one in made:
        one.close()


def give(worker: FarmWorker, service: str, pool: str = "west") -> str:
    """The address or prefix that a login gets; "" when nothing is left."""
    assert worker.giver is not None
    block = worker.giver.give((pool,), service, b"bng1 here")
    return "" if block is None else text_of(block)[0].split(" = ")[1]


def many(worker: FarmWorker, pool: str = "west", number: int = 80) -> set[str]:
    """What so many other lines get."""
    found = set()
    for index in range(number):
        found.add(give(worker, f"other-{worker.name}-{index}", pool))
        worker.step()
    return found - {""}


def account(node: FarmNode, service: str, kind: int = START, call: bytes = b"a", **told) -> None:
    """A record of a session, acknowledged by a node; `began`: 0 is now."""
    now = node.farm.seconds
    began = told.pop("began", 0) or now
    node.account(
        AccountingRecord(
            kind=kind, nas="bng1", source="127.0.0.1", session_id=call, at=now, session_time=int(now - began),
            service=service, interim=INTERIM_SECONDS, **told,
        )
    )  # fmt: skip


def test_a_renamed_pool_gives_nothing_that_is_held_under_its_old_name(make):
    """The same prefix under another id: what a session has of the old pool stays away from everybody."""
    farm = make(nodes=2)
    first, second = farm.workers
    held = {give(first, "S-1"), give(second, "S-2")}
    farm.put_pool(None)
    farm.put_pool(SMALL, "west-cgn")
    for _ in range(3):
        farm.step()
    given = many(first, "west-cgn", 40) | many(second, "west-cgn", 40)
    assert given
    assert not held & given
