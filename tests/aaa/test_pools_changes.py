"""Pools that change, go and come back while their addresses are held, and what sessions tell: nobody gets another's."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.models import address_block, address_prefix, session
from aaa.pools import blocks, nodes
from aaa.pools.blocks import Owner
from aaa.pools.shelf import Doubted, Event, Leased, Shelf
from aaa.pools.span import Span
from aaa.vendors.registry import text_of
from aaa.view.pools import PoolRecord
from tests.aaa.farm import INTERIM_SECONDS, POOL, REST, Farm, FarmNode, FarmWorker

PREFIXES = PoolRecord("pd", ("2001:db8::/60",), 64, "", REST, 3 * INTERIM_SECONDS)
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


def live(farm: Farm, node: FarmNode, service: str, rounds: int, **told) -> None:
    """An open session is told of at every interim, and workers tidy."""
    for _ in range(rounds):
        farm.seconds += INTERIM_SECONDS
        account(node, service, INTERIM, **told)
        farm.step()


@pytest.mark.parametrize(("family", "column"), [("pd", "delegated_prefix"), ("wan6", "framed_prefix")])
def test_prefixes_stay_held_while_their_pool_is_gone(make, family, column):
    """A pool of prefixes is missing from the view for an hour: those of open sessions are theirs all the while, those
    of nobody come back.
    """
    farm = make()
    (worker,), (node,) = farm.workers, farm.nodes
    prefixes = msgspec.structs.replace(PREFIXES, family=family)
    farm.put_pool(prefixes, "six")
    farm.step()
    held, unused, began = give(worker, "S-1", "six"), give(worker, "S-2", "six"), farm.seconds
    told = {"began": began, "framed_address": "100.64.9.9", column: held}
    farm.put_pool(None, "six")
    live(farm, node, "S-1", 12, **told)
    assert list(worker.giver.shelves["six"].held) == [held]
    farm.put_pool(prefixes, "six")
    live(farm, node, "S-1", 2, **told)
    given = many(worker, "six", 20)
    assert unused in given
    assert held not in given


def test_the_stop_of_a_session_without_an_address_frees_nobodys(make):
    """The service's session at the access point ends, which named no address; the BNG's waits in a cut-off node's
    journal: its address stays held.
    """
    farm = make(nodes=2)
    worker, (here, there) = farm.workers[0], farm.nodes
    held = give(worker, "S-1")
    there.line.cut = True
    account(there, "S-1", call=b"bng", framed_address=held)
    farm.seconds += 2
    began = farm.seconds
    account(here, "S-1", call=b"ap")
    farm.seconds += 20
    account(here, "S-1", STOP, call=b"ap", began=began)
    for _ in range(6):
        farm.seconds += REST
        farm.step()
    assert held in worker.giver.shelves["west"].held
    assert held not in many(worker)


@pytest.mark.parametrize("speaks_again", [True, False])
def test_a_clock_that_is_set_back_frees_no_silent_sessions_address(make, speaks_again):
    """A node's clock is eight hours ahead, then right: it goes on saying that it is there, and what it said in between
    does not count as what it will have written hours later.
    """
    farm = make(nodes=2)
    (ahead, other), worker = farm.nodes, farm.workers[1]
    ahead.ahead = 8 * 3600.0
    farm.seconds += 2
    farm.step()
    ahead.ahead = 0.0
    if speaks_again:
        farm.seconds += 2
        farm.step()
        with farm.db.read() as conn:
            states = nodes.states(conn, datetime.fromtimestamp(farm.seconds, UTC))
        assert [(one.seconds, one.undrained) for one in states] == [(0, 0), (0, 0)]
    held = give(worker, "S-1")
    ahead.line.cut = True
    live(farm, ahead, "S-1", 10, began=farm.seconds, framed_address=held)
    assert held in worker.giver.shelves["west"].held
    assert held not in many(worker)
    ahead.line.cut = False
    ahead.drain()
    live(farm, other, "S-1", 1, framed_address=held)
    assert held in worker.giver.shelves["west"].held


def come_and_go(node: FarmNode, service: str, held: str) -> None:
    """A session of five seconds that names the address, and a round after its Stop."""
    farm, began = node.farm, node.farm.seconds
    account(node, service, framed_address=held)
    farm.seconds += 5
    account(node, service, STOP, began=began, framed_address=held)
    farm.step()


def test_a_clock_that_is_set_ahead_frees_no_address_whose_start_is_not_in_yet(make):
    """A day ahead from one moment to the next: what was given a second ago, what rests and what is in doubt is kept for
    as long as ever, and the ledger says so, too; then all of it is free.
    """
    farm = make()
    (node,), (worker,) = farm.nodes, farm.workers
    shelf = worker.giver.shelves["west"]
    rests = give(worker, "S-0")
    come_and_go(node, "S-0", rests)
    assert rests in shelf.resting
    doubted = next(iter(shelf.ready))
    worker.giver.apply([Doubted("west", doubted, farm.seconds)])
    held = give(worker, "S-1")
    node.ahead = 86400.0
    for again in range(3):
        if again == 1:
            worker.kill(machine=False)
            worker.start()
            shelf = worker.giver.shelves["west"]
        farm.step()
        assert (held in shelf.held, rests in shelf.resting, doubted in shelf.doubt) == (True, True, True)
        assert {rests, doubted, held}.isdisjoint(many(worker, number=20))
    account(node, "S-1", framed_address=held)
    for _ in range(12):
        farm.seconds += INTERIM_SECONDS
        farm.step()
    assert (held in shelf.held, rests in shelf.resting, doubted in shelf.doubt) == (True, False, False)


def test_a_clock_that_was_wrong_keeps_nothing_for_longer_than_it_should(make):
    """A year ahead for two rounds, then right; what was given meanwhile is over with its Stop, and what rests is free
    in time. So it is with one that is corrected forth and back again and again.
    """
    farm = make()
    (node,), (worker,) = farm.nodes, farm.workers
    shelf = worker.giver.shelves["west"]
    node.ahead = 365 * 86400.0
    given = give(worker, "S-1")  # by the new clock, and before anybody saw that it was set
    farm.seconds += 2
    farm.step()
    node.ahead = 0.0
    farm.seconds += 2
    farm.step()
    for turn in range(60):
        node.ahead = 15.0 * (turn % 2)
        farm.seconds += 2
        farm.step()
    node.ahead = 0.0
    come_and_go(node, "S-1", given)
    assert given in shelf.resting
    farm.seconds += REST + 1
    farm.step()
    assert given not in shelf.resting
    assert worker.giver.ledger.size < 100_000


def test_a_clock_is_corrected_although_the_disk_was_full_at_that_moment(make, monkeypatch):
    """The round fails, and the next one does what it could not do."""
    farm = make()
    (node,), (worker,) = farm.nodes, farm.workers
    doubted = next(iter(worker.giver.shelves["west"].ready))
    worker.giver.apply([Doubted("west", doubted, farm.seconds)])
    farm.step()
    node.ahead = 86400.0
    with monkeypatch.context() as full:
        full.setattr(
            worker.giver.ledger, "append", lambda _events: (_ for _ in ()).throw(OSError(28, "full"))
        )
        with pytest.raises(OSError, match="full"):
            worker.step()
    farm.step()
    farm.step()
    assert doubted in worker.giver.shelves["west"].doubt


def test_prefixes_of_another_length_do_not_overlap_with_held_ones(make):
    """A pool's `length` goes from 60 to 64 and back while /64s are held: nothing given then overlaps with them, and
    only what has the pool's length is given, to the same line, too.
    """
    farm = make()
    worker = farm.workers[0]
    short = msgspec.structs.replace(PREFIXES, prefixes=("2001:db8::/52",), length=60)
    long = msgspec.structs.replace(short, length=64)
    farm.put_pool(short, "six")
    farm.step()
    farm.put_pool(long, "six")
    for _ in range(3):
        farm.step()
    held = many(worker, "six", 60)
    assert {one.rpartition("/")[2] for one in held} == {"64"}
    farm.put_pool(short, "six")
    for _ in range(3):
        farm.step()
    given = many(worker, "six")
    assert {one.rpartition("/")[2] for one in given} == {"60"}
    networks = [ipaddress.ip_network(one) for one in held]
    assert not [one for one in map(ipaddress.ip_network, given) if any(map(one.overlaps, networks))]
    worker.kill()
    worker.start()
    farm.step()
    shelf = worker.giver.shelves["six"]
    assert held | given <= set(shelf.held)


def test_a_ledger_of_an_older_version_is_read():
    """A block that went back was written without its length: it is gone all the same."""
    shelf = Shelf("six")
    for number in range(2):
        shelf.apply(Leased(Span("six", "2001:db8::/60", number, 8, 64), 1))
    shelf.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(["B", "six", "2001:db8::/60", 1]), type=Event))
    assert [block.span.number for block in shelf.blocks.values()] == [0]
    assert len(shelf.block_of) == shelf.free == 8


@pytest.fixture
def two_prefixes(make):
    """A farm, the prefix that S-1 was given, and what its NAS tells: that one behind a prefix of its own."""
    farm = make()
    farm.put_pool(PREFIXES, "six")
    farm.step()
    held = give(farm.workers[0], "S-1", "six")
    told: dict[str, Any] = {"delegated_prefix": "2001:db8:ffff::/64", "also": (("delegated_prefix", held),)}
    account(farm.nodes[0], "S-1", **told)
    return farm, held, {**told, "began": farm.seconds}


def test_a_prefix_that_is_told_second_is_in_use(two_prefixes):
    """A NAS lists two delegated prefixes, ours second: it stays held; after the Stop others get it."""
    farm, held, told = two_prefixes
    worker, node = farm.workers[0], farm.nodes[0]
    live(farm, node, "S-1", 15, **told)
    assert held not in many(worker, "six", 20)
    account(node, "S-1", STOP, **told)
    farm.step()
    assert held in worker.giver.shelves["six"].resting
    farm.seconds += REST + 1
    farm.step()
    assert held in worker.giver.shelves["six"].fresh or held in worker.giver.shelves["six"].ready


def test_a_block_rests_while_a_prefix_of_it_is_told_second(two_prefixes):
    """The node drains, its blocks rest: the one with that prefix goes to nobody before the session is over."""
    farm, held, told = two_prefixes
    node = farm.nodes[0]
    with farm.db.write() as conn:
        nodes.drain(conn, "n1")
    farm.step()
    live(farm, node, "S-1", 5, **told)

    def leased() -> set[str]:
        now = datetime.fromtimestamp(farm.seconds, UTC)
        with farm.db.write() as conn:
            blocks.reclaim(conn, "six", PREFIXES, now, now)
            found = blocks.lease(conn, "six", PREFIXES, Owner("n9", "n9-0", "h"), 16, now)
        return {value for one in found for value in one.span.values()}

    assert held not in leased()
    account(node, "S-1", STOP, **told)
    assert held in leased()


def test_a_prefix_in_doubt_that_is_told_second_is_given_to_its_session(two_prefixes):
    """The machine died with the giving: accounting tells whose it is."""
    farm, held, _told = two_prefixes
    worker = farm.workers[0]
    worker.kill(machine=True)
    worker.start()
    assert held in worker.giver.shelves["six"].doubt
    farm.step()
    assert worker.giver.shelves["six"].held[held].service == "S-1"


def test_a_gateway_that_was_set_after_the_lease_is_given_to_nobody(make):
    """Neither to a new line nor to the one that had it."""
    farm = make(pool=msgspec.structs.replace(SMALL, gateway=""))
    worker = farm.workers[0]
    held = give(worker, "S-1")
    for gateway in (held, "100.64.0.3"):
        farm.put_pool(msgspec.structs.replace(SMALL, gateway=gateway))
        given = many(worker, number=3) | {give(worker, "S-1")}
        assert gateway not in given
        assert len(given) == 4


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_ledger_that_is_gone_leaves_its_blocks_in_doubt(make, restarts):
    """The home was restored without it, and the database may be away for the first start: what open sessions have goes
    to nobody, and the rest comes back once silence is certain.
    """
    farm = make()
    (worker,), (node,) = farm.workers, farm.nodes
    held, silent = give(worker, "S-1"), give(worker, "S-2")
    worker.kill()
    (node.folder / f"{worker.name}.ledger").unlink()
    for turn in range(restarts):
        node.line.cut = turn < restarts - 1
        worker.start()
        farm.step()
        if node.line.cut:
            worker.kill()
    assert {held, silent} <= set(worker.giver.shelves["west"].doubt)
    began = farm.seconds
    given = many(worker)
    assert given
    assert not {held, silent} & given
    live(farm, node, "S-1", 8, began=began, framed_address=held)
    shelf = worker.giver.shelves["west"]
    assert (shelf.held[held].service, shelf.doubt) == ("S-1", {})
    assert silent not in shelf.held


def test_a_new_node_gives_at_once(make):
    """It has no ledger either, and no block in the database: nothing is in doubt, neither when it is killed."""
    farm = make()
    worker = farm.workers[0]
    held = give(worker, "S-1")
    assert held
    worker.kill()
    worker.start()
    shelf = worker.giver.shelves["west"]
    assert (list(shelf.held), shelf.doubt) == ([held], {})


@pytest.mark.parametrize("machine", [False, True])
def test_an_older_ledger_from_a_backup_gives_nothing_twice(make, machine):
    """The database knows how far the ledger was: what the copy calls free or resting may be somebody's, and is
    free when it was silent for long enough. The same ledger after a kill or the machine's death is no older one.
    """
    farm = make()
    (node,), (worker,) = farm.nodes, farm.workers
    ledger = node.folder / f"{worker.name}.ledger"
    before = give(worker, "S-1")
    farm.seconds += 6
    farm.step()
    worker.kill(machine)
    copy = ledger.read_bytes()
    worker.start()
    farm.step()
    if not machine:
        assert not worker.giver.shelves["west"].doubt
    since = set()
    for number in range(2, 20):
        since.add(give(worker, f"S-{number}"))
        worker.step()
    assert "" not in since
    farm.seconds += 6
    farm.step()
    worker.kill()
    ledger.write_bytes(copy)
    worker.start()
    worker.step()
    shelf = worker.giver.shelves["west"]
    assert since <= shelf.doubt.keys()
    assert {before, *since}.isdisjoint(many(worker))
    worker.kill()
    worker.start()
    worker.step()
    assert since <= worker.giver.shelves["west"].doubt.keys()
    for _ in range(6):
        farm.seconds += INTERIM_SECONDS
        farm.step()
    assert not worker.giver.shelves["west"].doubt


def test_a_database_restored_from_a_backup_gives_no_open_sessions_address(make):
    """It has forgotten blocks and sessions: neither their worker, which leases them again at once, nor another one,
    which does once accounting has told of the sessions, gives what those have.
    """
    farm = make(nodes=2, pool=msgspec.structs.replace(SMALL, prefixes=("100.64.0.0/25",)))
    (worker, other), node = farm.workers, farm.nodes[0]
    held = {}
    for number in range(40):
        held[give(worker, f"S-{number}")] = f"S-{number}"
        worker.step()
    assert "" not in held
    with farm.db.write() as conn:
        for table in (address_block, address_prefix, session):
            conn.execute(sa.delete(table))
    worker.step()
    for value, service in held.items():
        account(node, service, INTERIM, call=service.encode(), framed_address=value)
    farm.step()
    assert set(held) & set(worker.giver.shelves["west"].held)
    given = many(other) | many(worker)
    assert given
    assert not set(held) & given


def test_blocks_that_are_held_under_an_old_name_do_not_hide_free_ones(make):
    """Renamed, the pool has every block cut, and the first of them are held under the old name: the others are leased,
    round by round.
    """
    farm = make()
    owner = Owner("n9", "n9-0", "h")

    def lease(pool: str, want: int) -> list[blocks.Lease]:
        farm.seconds += 1
        with farm.db.write() as conn:
            return blocks.lease(conn, pool, SMALL, owner, want, datetime.fromtimestamp(farm.seconds, UTC))

    old = lease("west", 6)
    new = lease("west-cgn", 16)
    assert old
    assert new
    with farm.db.write() as conn:
        farm.seconds += 1
        blocks.give_back(conn, owner, new, datetime.fromtimestamp(farm.seconds, UTC))
    rounds = [lease("west-cgn", 1) for _ in range(20)]
    assert sorted(one.span for found in rounds for one in found) == sorted(one.span for one in new)


@pytest.mark.parametrize("column", ["delegated_prefix", "framed_prefix"])
def test_blocks_that_rest_under_an_old_name_come_back(make, column):
    """A node was forgotten, then the pool renamed: once the last session is over, the new name gets the block."""
    farm = make()
    node, owner = farm.nodes[0], Owner("n9", "n9-0", "h")

    def lease(pool: str) -> set[str]:
        now = datetime.fromtimestamp(farm.seconds, UTC)
        with farm.db.write() as conn:
            blocks.reclaim(conn, pool, PREFIXES, now, now)
            found = blocks.lease(conn, pool, PREFIXES, owner, 16, now)
        return {value for one in found for value in one.span.values()}

    held, began = min(lease("old")), farm.seconds
    told: dict[str, Any] = {column: held}
    account(node, "S-1", **told)
    with farm.db.write() as conn:
        blocks.forget(conn, "n9", datetime.fromtimestamp(began, UTC), timedelta(0))
    assert held not in lease("new")
    farm.seconds += 1
    account(node, "S-1", STOP, began=began, **told)
    assert held in lease("new")
