"""Addresses that nodes give: blocks, words, a real server, quarantine, draining, forgetting, a kill at every step."""

import ipaddress
import json
import multiprocessing
import os
import random
import signal
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa

from aaa.accounting.record import START
from aaa.accounting.store import apply
from aaa.models import address_block, session
from aaa.pools import blocks, keeping, ledger, nodes, report
from aaa.pools.blocks import Owner
from aaa.pools.span import Span, block_size
from aaa.pools.words import attributes
from aaa.radius.refusals import last_refusals
from aaa.vendors.policy import Policy
from aaa.vendors.registry import names, reply_block, text_of
from aaa.view.pools import PoolRecord
from aaa.view.records import Access, Wanted, decode
from core import faults
from core.db import Database
from tests.aaa.conftest import client_of
from tests.aaa.farm import INTERIM_SECONDS, POOL, REST, Farm
from tests.aaa.network import Network
from tests.aaa.test_accounting import record
from tests.aaa.test_view import SEAL
from tests.support import eventually, trunkline

POINTS = [
    ledger.BEFORE_SYNC,
    ledger.AFTER_SYNC,
    ledger.AFTER_GIVE,
    ledger.REWRITTEN,
    keeping.LEASED_IN_DATABASE,
    keeping.RETURNED_IN_LEDGER,
    keeping.DOUBTED_BEFORE_REST,
    keeping.RESTED_IN_DATABASE,
]
ROOMY = msgspec.structs.replace(POOL, prefixes=("100.64.0.0/22",))
NODE_CGN = "family: ipv4\nuse: cgnat\nallocate: node\nprefixes: [100.64.0.0/20]\n"


@pytest.fixture
def farm(database, tmp_path):
    made = Farm(database, tmp_path / "farm", pool=ROOMY)
    made.step()
    yield made
    made.close()


@pytest.fixture
def narrow(database, tmp_path):
    """The same over a /27 in blocks of four."""
    made = Farm(database, tmp_path / "farm")
    made.step()
    yield made
    made.close()


@pytest.fixture
def rng():
    return random.Random(7)


# --- arithmetic and words -------------------------------------------------------------------------------------------


def test_blocks_cover_a_prefix_once():
    """The blocks of a prefix are disjoint and hold all of it but the network's own address, broadcast and gateway."""
    for prefix, length, size in (
        ("100.64.0.0/22", 32, 64),
        ("2001:db8:4000::/48", 56, 8),
        ("2001:db8::/56", 64, 16),
    ):
        whole = 1 << length - ipaddress.ip_network(prefix).prefixlen
        spans = [Span("p", prefix, number, size, length) for number in range(whole // size)]
        values = [value for span in spans for value in span.values("100.64.0.1")]
        assert len(set(values)) == len(values) == (whole - 3 if length == 32 else whole)
        inside = ((ipaddress.ip_network(value), span.network) for span in spans for value in span.values())
        assert all(one.prefixlen >= block.prefixlen and one.overlaps(block) for one, block in inside)
    assert next(Span("p", "2001:db8:4000::/48", 1, 8, 56).values()) == "2001:db8:4000:800::/56"


def test_a_block_is_a_part_that_leaves_some_for_everybody():
    """A /20 over four workers: /26; small prefixes are not cut to nothing, huge ones not into huge blocks."""
    assert block_size("100.64.0.0/20", 32, 4) == 64
    assert block_size("100.64.0.0/28", 32, 4) == 4
    assert block_size("203.0.113.4/31", 32, 4) == 2
    assert block_size("2001:db8::/32", 64, 1) == 256
    assert block_size("2001:db8::/56", 48, 1) == 0


@pytest.mark.parametrize("vendor", names())
@pytest.mark.parametrize(
    ("family", "field", "value"),
    [("ipv4", "address4", "100.64.7.9"), ("wan6", "wan6", "2001:db8:1:2::/64"), ("pd", "pd", "2001:db8:4001::/56")],
)  # fmt: skip
def test_a_given_address_is_in_the_vendors_words(vendor, family, field, value):
    """The quick way gives the octets of the vendor's table, the second time, too."""
    wanted = reply_block(vendor, Policy(interim=0, **{field: value}))
    assert attributes(vendor, family, value) == attributes(vendor, family, value) == wanted
    assert wanted


# --- a real server --------------------------------------------------------------------------------------------------


@pytest.fixture
def giving(network: Network) -> Network:
    """The network with CGN addresses from nodes."""
    network.put("pool", "west-cgn", NODE_CGN)
    return network


def framed(reply) -> str:
    """The address of an Access-Accept."""
    assert reply is not None
    found = [line.split(" = ")[1] for line in reply.attributes if line.startswith("Framed-IP-Address")]
    return found[0] if found else ""


def test_a_server_gives_addresses_and_goes_on_without_its_database(giving, node, recorded, anew):
    """Logins get an address each, the same when they come again and at the other BNG, in its words; the pool's report
    counts them. Then the database is away and the server new: who is known keeps theirs, others get theirs.
    """
    server, client = anew(giving)
    first = eventually(lambda: framed(client.login("s1@example.net", "pw-1")), cap=10)
    second = framed(client.login("s2@example.net", "pw-2"))
    assert first != second
    assert {first, second} <= {str(one) for one in ipaddress.ip_network("100.64.0.0/20").hosts()}
    assert framed(client.login("s1@example.net", "pw-1")) == first
    other = client_of(server, "127.0.0.2")
    reply = other.login("s1@example.net", "pw-1")
    assert "Filter-Id = 500000/50000" in reply.attributes
    assert not any(line.startswith("Framed-IP-Netmask") for line in reply.attributes)
    assert framed(reply) == first
    other.close()

    def counted() -> list[int]:
        with recorded.read() as conn:
            return [share.given for one in report.pools(conn, datetime.now(UTC)) for share in one.shares]

    assert eventually(lambda: sum(counted()) >= 2, cap=15)
    done = trunkline("radius", "pools", "--json", "--home", node.home)
    assert (done.returncode, json.loads(done.stdout)["pools"][0]["pool"]) == (0, "west-cgn")
    client.close()
    server.stop()
    away = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    alone = msgspec.structs.replace(node, database_url=away, index_url=away)
    from aaa.radius.server import RadiusServer

    with RadiusServer(alone, in_process=True) as again:
        client = client_of(again, patience=3)
        assert framed(client.login("s1@example.net", "pw-1")) == first
        assert framed(client.login("s3@example.net", "pw-3")) not in (first, second, "")
        client.close()
    modes = {path.stat().st_mode & 0o777 for path in (node.home / "radius" / "blocks").iterdir()}
    assert modes == {0o600}


def test_an_empty_pool_refuses_and_names_itself_for_support(giving, node, recorded, anew):
    """A pool of one: the second login is refused as no-address, and support reads which pool ran out."""
    giving.put("pool", "west-cgn", NODE_CGN.replace("100.64.0.0/20", "100.64.0.8/31"))
    _server, client = anew(giving)
    eventually(lambda: framed(client.login("s1@example.net", "pw-1")), cap=10)
    assert framed(client.login("s2@example.net", "pw-2"))
    assert client.login("s3@example.net", "pw-3").code == 3

    def told() -> list[str]:
        with recorded.read() as conn:
            return [f"{row['reason']}: {row['detail']}" for row in last_refusals(conn, "s3@example.net")]

    assert "no-address: none left in west-cgn" in eventually(told, cap=10)
    assert eventually(
        lambda: trunkline("radius", "pools", "--home", node.home).returncode == 1, cap=10, every=0.5
    )


# --- what a session gets, by policy ---------------------------------------------------------------------------------


def access(network: Network, login: bytes = b"u:s1@example.net") -> Access:
    found = next(decode(one.record, Access) for one in network.records(SEAL) if one.key == login)
    assert found is not None
    return found


def wanted(network: Network) -> Policy:
    found = next(decode(one.record, Wanted) for one in network.records(SEAL) if one.key == b"s:S-1")
    assert found is not None
    assert found.policy is not None
    return found.policy


def lines(network: Network, device: str) -> list[str]:
    found = access(network)
    return text_of(found.blocks[found.nas[device]])


WAYS = ["nas", "intent", "node"]


@pytest.mark.parametrize("garden", ["nas", "node", None])
@pytest.mark.parametrize("way", WAYS)
def test_the_garden_has_no_ipv6_however_it_is_allocated(network, way, garden):
    """Held: neither prefix, pool nor node gives IPv6, a fixed prefix neither; IPv4 is the garden's or the usual one."""
    network.put(
        "pool", "west-wan6", f'family: wan6\nuse: public\nallocate: {way}\nprefixes: ["2001:db8:6::/48"]\n'
    )
    network.put(
        "pool",
        "west-pd",
        f'family: pd\nuse: public\nallocate: {way}\nprefixes: ["2001:db8:4000::/40"]\nlength: 64\n',
    )
    if garden:
        network.put(
            "pool",
            "west-garden",
            f"family: ipv4\nuse: garden\nallocate: {garden}\nprefixes: [100.127.0.0/20]\n",
        )
    gardened = "garden: west-garden" if garden else ""
    pools = f"pools: {{cgnat: west-cgn, pd: west-pd, wan6: west-wan6, {gardened}}}"
    network.put(
        "edge", "west", network.texts["edge", "west"].split("pools:")[0] + pools.replace(", }", "}") + "\n"
    )
    for fixed in (True, False):
        if not fixed:
            text = network.texts["service", "S-1"].split("ipv6:")[0] + "ipv6: {wan: slaac}\n"
            network.put("service", "S-1", text)
        network.drop("hold", "S-1.nonpayment")
        free = wanted(network)
        assert bool(free.pool6) == (way == "nas")
        assert bool(free.node6) == (way == "node")
        assert bool(free.nodepd) == (way == "node" and not fixed)
        assert bool(free.pd) == fixed
        network.hold("S-1", "nonpayment", "walled-garden")
        held = wanted(network)
        assert held.garden
        assert {held.wan6, held.pool6, held.node6, held.pd, held.pdpool, held.nodepd} == {""}
        assert not any("IPv6" in line for device in ("bng1", "bng2") for line in lines(network, device))
        assert (held.node4, held.pool4) == {
            "nas": ("", "west-garden"), "node": ("west-garden", ""), None: ("", "west-cgn"),
        }[garden]  # fmt: skip
        assert access(network).pools == (("west-garden",) if garden == "node" else ())


@pytest.mark.parametrize("redundancy", ["active-standby", "active-active"])
def test_both_bngs_of_an_edge_get_their_own_words(network, redundancy):
    """An edge with two BNGs of two vendors: whichever asks, the reply is in its words, and names the same pool, of
    which each BNG has its part.
    """
    network.put("edge", "west", network.texts["edge", "west"] + f"redundancy: {redundancy}\n")
    network.put(
        "pool", "west-cgn",
        "family: ipv4\nuse: cgnat\nsplit: {bng1: [100.64.0.0/21], bng2: [100.64.8.0/21]}\n",
    )  # fmt: skip
    assert {"Framed-Pool = west-cgn", "Mikrotik-Rate-Limit = 50000000/500000000"} <= set(
        lines(network, "bng1")
    )
    assert {"Framed-Pool = west-cgn", "Filter-Id = 500000/50000"} <= set(lines(network, "bng2"))


# --- quarantine, stickiness, blocks ---------------------------------------------------------------------------------


def test_an_address_rests_after_its_stop_and_its_line_may_have_it_back(farm, rng):
    """After a Stop nobody else gets it until the quarantine is over; the same line does, at once."""
    worker, node = farm.workers[0], farm.nodes[0]
    address = farm.login(worker, "S-1")
    farm.tell(node, "S-1", START)
    farm.pass_time(5, rng)
    farm.stop(node, "S-1")
    farm.step()
    shelf = worker.giver.shelves["west"]
    assert list(shelf.resting) == [address]
    others = {farm.login(worker, f"S-{number}") for number in range(2, 20)}
    assert address not in others
    assert farm.login(worker, "S-1") == address
    farm.stop(None, "S-1")
    for service in list(farm.live):
        farm.stop(None, service)
    farm.pass_time(5 * INTERIM_SECONDS + 2 * REST, rng)
    assert address not in shelf.resting


def test_a_service_of_two_sessions_gets_two_addresses(farm):
    """`limit: 2`: the second login of the same line is another session while the first one may live."""
    farm.limit("S-1", 2)
    worker = farm.workers[0]
    first, second = (worker.giver.give(("west",), "S-1", b"bng1 here") for _ in range(2))
    assert first != second
    farm.limit("S-2", 1)
    assert worker.giver.give(("west",), "S-2", b"bng1 here") == worker.giver.give(
        ("west",), "S-2", b"bng2 here"
    )


def test_two_workers_lease_different_blocks(farm):
    """Four workers, one pool: no address is on two shelves, and the database knows every owner."""
    held = [value for worker in farm.workers for value in worker.giver.shelves["west"].block_of]
    assert len(held) == len(set(held)) > 0
    with farm.db.read() as conn:
        owners = {row.worker for row in conn.execute(sa.select(address_block))}
    assert owners == {"n1-0", "n1-1", "n2-0", "n2-1"}


def test_a_widened_prefix_gives_nothing_that_somebody_has(narrow):
    """The pool's /27 becomes a /26: its new blocks leave out what workers still have of the old prefix."""
    farm = narrow
    old = {value for worker in farm.workers for value in worker.giver.shelves["west"].block_of}
    wide = msgspec.structs.replace(POOL, prefixes=("100.64.0.0/26",))
    now = datetime.fromtimestamp(farm.now(), UTC)
    with farm.db.write() as conn:
        leases = blocks.lease(conn, "west", wide, Owner("n9", "n9-0", "h"), 16, now)
    assert leases
    assert not old & {value for one in leases for value in one.span.values()}


def test_a_removed_prefix_gives_no_more(farm, rng):
    """What the pool no longer has is given to nobody, not even to who had it; its idle blocks go back."""
    worker = farm.workers[0]
    assert farm.login(worker, "S-1")
    farm.stop(None, "S-1")
    farm.put_pool(msgspec.structs.replace(POOL, prefixes=("100.65.0.0/27",)))
    farm.step()
    assert farm.login(worker, "S-1").startswith("100.65.")
    farm.stop(None, "S-1")
    farm.pass_time(12 * INTERIM_SECONDS, rng)
    prefixes = {place[0] for place in worker.giver.shelves["west"].blocks}
    assert prefixes == {"100.65.0.0/27"}


def test_an_ipv6_pool_that_ran_out_keeps_nobody_offline(farm):
    """IPv4 is there, the delegated prefixes are used up: the login goes on without, and the pool is not refused."""
    from aaa.view.pools import pool_key

    small = PoolRecord("pd", ("2001:db8::/63",), 64, "", REST, 900)
    farm.view._apply((2, pool_key("pd"), msgspec.msgpack.encode(small)))
    farm.step()
    worker = farm.workers[0]
    told = [text_of(worker.giver.give(("west", "pd"), f"S-{number}", b"bng1 x")) for number in range(3)]
    assert [any("Delegated" in line for line in one) for one in told] == [True, True, False]
    assert all(any("Framed-IP-Address" in line for line in one) for one in told)


def everything(farm: Farm) -> set[str]:
    """Log in until no worker has anything left; then everybody is gone again, so quietly that nobody knows."""
    given: set[str] = set()
    for index, worker in enumerate(farm.workers):
        before = -1
        while before < len(given):
            before = len(given)
            given |= {
                farm.login(worker, f"S-{index}-{before}-{one}", reaches=False) or "" for one in range(4)
            }
            worker.step()
    return given - {""}


# --- draining, forgetting -----------------------------------------------------------------------------------


def test_a_drained_node_gives_back_what_is_idle_and_rests_what_is_not(narrow, rng):
    """Draining: nothing is given any more, nothing is left on the disk; a block with a live session stays out of reach
    until that session is over, then others get it.
    """
    farm = narrow
    worker, node = farm.workers[0], farm.nodes[0]
    address = farm.login(worker, "S-1")
    farm.tell(node, "S-1", START)
    with farm.db.write() as conn:
        nodes.drain(conn, "n1")
    farm.step()
    assert farm.login(worker, "S-2") is None
    with farm.db.read() as conn:
        state = next(
            one for one in nodes.states(conn, datetime.fromtimestamp(farm.now(), UTC)) if one.node == "n1"
        )
    assert state.disposable
    farm.pass_time(10 * INTERIM_SECONDS, rng)
    assert address not in everything(farm)
    farm.stop(farm.nodes[1], "S-1")
    farm.pass_time(10 * INTERIM_SECONDS, rng)
    assert address in everything(farm)
    worker.kill()
    worker.start()
    assert worker.giver.shelves.get("west") is None or not worker.giver.shelves["west"].blocks


def test_a_node_that_was_heard_is_not_forgotten_by_mistake(narrow, rng):
    """A living node is refused; a dead one's blocks rest, its sessions keep their addresses, others wait no more."""
    farm = narrow
    address = farm.login(farm.workers[0], "S-1")
    farm.tell(farm.nodes[1], "S-1", START)
    now = datetime.fromtimestamp(farm.now(), UTC)
    with farm.db.write() as conn, pytest.raises(nodes.NodeAlive, match="drain"):
        nodes.forget(conn, "n1", now, timedelta(minutes=1))
    with farm.db.write() as conn, pytest.raises(nodes.NodeNotKnown, match="n1, n2"):
        nodes.forget(conn, "n7", now, timedelta(minutes=1))
    for worker in farm.nodes[0].workers:
        worker.kill()
    farm.nodes.pop(0)
    farm.pass_time(1200, rng)
    with farm.db.write() as conn:
        later = datetime.fromtimestamp(farm.now(), UTC)
        assert nodes.forget(conn, "n1", later, timedelta(minutes=1)) >= 2
    farm.pass_time(5 * INTERIM_SECONDS, rng)
    given = everything(farm)
    assert address not in given
    assert len(given) > 15


def test_blocks_with_sessions_that_last_do_not_hide_those_that_are_over(narrow, monkeypatch):
    """However many of a forgotten node's blocks stay in use, the others come back."""
    farm = narrow
    monkeypatch.setattr(blocks, "_RECLAIMED", 2)
    owner = Owner("gone", "gone-0", "home")
    now = datetime.fromtimestamp(farm.now(), UTC)
    with farm.db.write() as conn:
        leases = blocks.lease(conn, "west", POOL, owner, 4, now)
        assert blocks.give_back(conn, owner, leases, now, timedelta(0)) == len(leases) >= 3
        for number, one in enumerate(leases[:-1]):
            address = list(one.span.values())[-1]
            told = record(START, service=f"S-{number}", session_id=address.encode(), framed_address=address)
            apply(conn, [told])
        freed = [
            blocks.reclaim(conn, "west", POOL, now + timedelta(hours=1), now + timedelta(seconds=turn))
            for turn in range(1, 4)
        ]
    assert sum(freed) == 1


def test_a_cut_off_nodes_journal_keeps_silent_sessions_addresses(farm, rng):
    """A session whose interims go to a node without the database looks silent to all others: it keeps its address."""
    address = farm.login(farm.workers[0], "S-1")
    farm.nodes[1].line.cut = True
    farm.pass_time(20 * INTERIM_SECONDS, rng, told_to=[farm.nodes[1]])
    with farm.db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(session)) == 0
    assert address in farm.workers[0].giver.shelves["west"].held
    farm.live.clear()
    farm.nodes[1].journal.clear()
    farm.nodes[1].line.cut = False
    farm.pass_time(20 * INTERIM_SECONDS, rng)
    assert farm.busy() == {}


def test_a_conflict_would_be_told(database):
    """Two open sessions of two services with one address: the report names both."""
    from tests.aaa.test_accounting import record, write

    write(database, record(1, service="S-1", session_id=b"a", framed_address="100.64.0.7"))
    write(database, record(1, service="S-2", session_id=b"b", framed_address="100.64.0.7"))
    with database.read() as conn:
        assert report.conflicts(conn) == [("100.64.0.7", ["S-1", "S-2"])]


def test_a_ledger_has_one_process(farm):
    """Another process of the same worker is refused: it would give from the same shelf."""
    from aaa.errors import LedgerInUse
    from aaa.pools.giver import Giver

    with pytest.raises(LedgerInUse, match="in use by another process"):
        Giver(farm.view, farm.nodes[0].folder / "n1-0.ledger")


# --- kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_nobody_gets_what_somebody_has(sqlite_template, tmp_path, point):
    """SIGKILL in a login, a lease or a return: after the restart nobody else gets an address that was given."""
    path = tmp_path / "trunkline.db"
    path.write_bytes(sqlite_template.read_bytes())
    reading, writing = os.pipe()

    def die() -> None:
        farm = Farm(Database(f"sqlite:///{path}"), tmp_path / "farm", pool=ROOMY)
        farm.step()
        for number in range(3):
            told(farm, f"S-{number}")
        os.environ.update(TRUNKLINE_TEST_MODE="1", TRUNKLINE_FAULT=f"{point}:1:kill")
        faults._passages.clear()
        if point == ledger.REWRITTEN:
            farm.workers[0].kill()
            farm.workers[0].start()
        for number in range(3, 12):
            told(farm, f"S-{number}")
        farm.step()
        if point == keeping.RETURNED_IN_LEDGER:
            farm.put_pool(msgspec.structs.replace(POOL, prefixes=("100.65.0.0/27",)))
            farm.step()
        with farm.db.write() as conn:
            nodes.drain(conn, "n1")
        farm.step()

    def told(farm: Farm, service: str) -> None:
        address = farm.login(farm.workers[0], service)
        os.write(writing, f"{service} {address}\n".encode())

    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join(timeout=60)
    os.close(writing)
    assert child.exitcode == -signal.SIGKILL
    with os.fdopen(reading) as pipe:
        given = {address: service for service, address in map(str.split, pipe)}
    given.pop("None", None)
    assert given
    db = Database(f"sqlite:///{path}")
    with db.write() as conn:
        nodes.drain(conn, "n1", draining=False)
    farm = Farm(db, tmp_path / "farm", pool=ROOMY)
    for _ in range(3):
        farm.step()
    for number in range(100, 140):
        address = farm.login(farm.workers[number % 4], f"S-{number}")
        assert address not in given, f"{address} belongs to {given.get(address or '')}"
    farm.close()
    db.close()


def test_what_a_dead_machine_forgot_is_in_doubt_until_accounting_tells(farm, rng):
    """A power cut loses the last gives: their addresses go to nobody, until their sessions show up or do not."""
    worker = farm.workers[0]
    known = farm.login(worker, "S-1")
    worker.giver.ledger.sync()
    forgotten = farm.login(worker, "S-2")
    farm.tell(farm.nodes[1], "S-2", START)
    lost = farm.login(worker, "S-3", reaches=False)
    worker.kill(machine=True)
    worker.start()
    shelf = worker.giver.shelves["west"]
    assert known in shelf.held
    assert {forgotten, lost} <= set(shelf.doubt)
    others = {farm.login(worker, f"S-{number}") for number in range(10, 30)}
    assert not others & {known, forgotten, lost}
    for service in list(farm.live):
        if service not in ("S-1", "S-2"):
            farm.stop(None, service)
    farm.pass_time(10 * INTERIM_SECONDS, rng)
    assert shelf.held[forgotten].service == "S-2"
    assert lost not in shelf.doubt
