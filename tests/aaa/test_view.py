"""The view: incremental equals cold, unchanged records append nothing, holds take precedence, files and overlays."""

import multiprocessing
import random
import signal
import sqlite3
import threading

import pytest
import sqlalchemy as sa

from aaa.enforcement import acknowledged
from aaa.errors import SecretNotOpenable, ViewFileNotUsable, ViewNotBuilt
from aaa.vendors.registry import text_of
from aaa.view import builder, models, overlay
from aaa.view.base import Base, write_base
from aaa.view.builder import ViewBuilder
from aaa.view.derived import open_derived
from aaa.view.follower import Follower
from aaa.view.lookup import View, log_path, snapshot
from aaa.view.models import METADATA, newest, view_change, view_record
from aaa.view.records import Access, Nas, Wanted, decode
from aaa.view.seal import Seal
from core import clock, faults
from core.db import Database, insert_many
from core.settings import Settings
from intents.index import layout
from intents.index.models import index_change, index_state
from tests.aaa.network import Network, open_secret, reading
from tests.support import eventually

SEAL = Seal(bytes(range(64)))
EAST = "bngs: [{device: bng3, port: eth1, priority: 100}]\npools: {%s}\nmethods: [pppoe]\n"


class Built:
    """A derived database, a network, and the builder between them."""

    def __init__(self, db: Database, network: Network) -> None:
        self.db, self.network = db, network
        layout.prepare(db)
        with db.write() as conn:
            conn.execute(sa.update(index_state).values(commit_id="c"))
        self.builder = ViewBuilder(self.db, lambda: reading(self.network), open_secret, SEAL)
        self.builder.run_once()

    def changed(self, *names: tuple[str, str]) -> int:
        """Tell the builder that these documents changed, as the indexer would."""
        rows = [
            {"commit_id": "c", "path": "-", "kind": kind, "id": one, "op": "put", "changed_at": clock.now()}
            for kind, one in names
        ]
        with self.db.write() as conn:
            insert_many(conn, index_change, rows)
        return self.builder.run_once()

    def rows(self) -> list[tuple[bytes, str, bytes]]:
        with self.db.read() as conn:
            return sorted((bytes(k), o, bytes(r)) for k, o, r in conn.execute(sa.select(view_record)))

    def changes(self) -> int:
        with self.db.read() as conn:
            return newest(conn)

    def access(self, key: bytes) -> Access:
        view = View(None)
        view.follow(self.db)
        found = decode(view.lookup(key), Access)
        assert found is not None
        return found


@pytest.fixture
def built(tmp_path, network):
    made = Built(Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield made
    made.db.close()


def cold(network: Network) -> list[tuple[bytes, str, bytes]]:
    return [(one.key, one.owner, one.record) for one in network.records(SEAL)]


def mutate(network: Network, rng: random.Random) -> list[tuple[str, str]]:
    """One random change of the network; returns the documents that changed."""
    number = rng.randint(1, 12)
    service = f"S-{number}"
    match rng.randint(0, 10):
        case 0 | 1:
            network.subscriber(number, plan=rng.choice(["fibre-500", "fibre-100"]))
            return [("service", service), ("line", f"L-{number}")]
        case 2:
            network.hold(service, "nonpayment", rng.choice(["block", "walled-garden"]))
            return [("hold", f"{service}.nonpayment")]
        case 3:
            network.hold(service, "abuse", "throttle", f"rate: {{down: {rng.randint(1, 9)}M, up: 1M}}")
            return [("hold", f"{service}.abuse")]
        case 4:
            network.drop("hold", f"{service}.nonpayment")
            return [("hold", f"{service}.nonpayment")]
        case 5:
            network.drop("service", service)
            return [("service", service)]
        case 6:
            network.plan("fibre-100", f"{rng.randint(90, 110)}M", "20M")
            return [("plan", "fibre-100")]
        case 7:
            network.bng("bng2", rng.choice(["pppd", "cisco"]), "127.0.0.2", ma="auto")
            return [("device", "bng2")]
        case 8:
            chosen = rng.choice(["method: ipoe", 'method: pppoe, login: r, password: "enc:v1:r"', ""])
            network.radio(number, rng.choice([150, 151]), rng.choice(["eap", "mac"]), chosen)
            return [("device", "ap1"), ("line", f"L-{number}"), ("service", service)]
        case 9:
            network.drop("service", service)
            network.drop("line", f"L-{number}")
            return [("line", f"L-{number}"), ("service", service)]
        case _:
            pools = rng.choice(["garden: west-garden", "public: west-public"])
            edge = network.texts["edge", "west"].split("pools:")[0] + f"pools: {{cgnat: west-cgn, {pools}}}\n"
            network.put("edge", "west", edge)
            return [("edge", "west")]


@pytest.mark.parametrize("seed", range(4))
def test_after_random_changes_the_view_equals_a_cold_build_byte_for_byte(built, seed):
    """50 random changes, each followed by sequence, leave exactly the records of a cold build."""
    rng = random.Random(seed)
    for _ in range(50):
        built.changed(*mutate(built.network, rng))
        assert built.rows() == cold(built.network)


def test_a_pool_that_an_edge_no_longer_names_forgets_its_bngs(built):
    """How patient a pool is follows the interims of the BNGs that serve it now, not of those that did."""
    cgn = "family: ipv4\nuse: cgnat\nallocate: node\nprefixes: [100.64.0.0/20]\n"
    built.network.put("pool", "west-cgn", cgn)
    built.network.bng("bng3", "mikrotik", "127.0.0.3")
    slow = built.network.texts["device", "bng3"].rstrip() + "\n  interim: 1800\n"
    built.network.put("device", "bng3", slow)
    built.network.put("edge", "east", EAST % "cgnat: west-cgn")
    built.changed(("pool", "west-cgn"), ("device", "bng3"), ("edge", "east"))
    assert built.rows() == cold(built.network)
    built.network.put("edge", "east", EAST % "cgnat: west-public")
    built.changed(("edge", "east"))
    assert built.rows() == cold(built.network)
    built.network.put("edge", "east", EAST % "cgnat: west-cgn")
    built.changed(("edge", "east"))
    built.network.drop("edge", "east")
    built.changed(("edge", "east"))
    assert built.rows() == cold(built.network)


def test_both_databases_give_the_same_view(database_url, tmp_path, network):
    """SQLite's file and PostgreSQL's schema: incremental equals cold, a worker follows and starts from a snapshot."""
    settings = Settings.load(tmp_path, env={}, index_url=database_url)
    built, rng = Built(open_derived(settings), network), random.Random(5)
    snapshot(built.db, tmp_path)
    view = View.load(tmp_path)
    for _ in range(15):
        built.changed(*mutate(network, rng))
        view.follow(built.db)
    view.acknowledge(built.db, "node1-0")
    assert built.rows() == cold(network)
    assert sorted(view.items(b"")) == [(key, record) for key, _owner, record in built.rows()]
    assert acknowledged(built.db, built.changes(), cap=0) == []
    built.db.close()


def test_a_worker_that_follows_knows_what_the_base_file_says(built, tmp_path):
    """Base + overlay log after any changes answers every key like a fresh base; restart included."""
    rng = random.Random(9)
    snapshot(built.db, tmp_path)
    view = View.load(tmp_path)
    base = Base(tmp_path / "view.base")
    for _ in range(40):
        built.changed(*mutate(built.network, rng))
        overlay.append(log_path(tmp_path, base), view.follow(built.db))
    for known in (view, View.load(tmp_path)):
        assert sorted(known.items(b"")) == [(key, record) for key, _owner, record in built.rows()]
        assert known.seq == built.changes()
        assert known.lookup(b"u:nobody") is None


def test_what_does_not_change_a_record_appends_no_change(built):
    """A plan's price, a device's description, the same again: nothing that AAA needs, so nobody compiles or follows."""
    before = built.changes()
    built.network.put("plan", "fibre-500", built.network.texts["plan", "fibre-500"].replace("79.00", "89.00"))
    assert built.changed(("plan", "fibre-500"), ("service", "S-1"), ("device", "bng1"), ("edge", "west")) == 0
    assert built.changes() == before


def test_one_hold_touches_one_service(built):
    """A hold changes the records of its service alone: its session policy and its login."""
    built.network.hold("S-2", "nonpayment", "walled-garden")
    assert built.changed(("hold", "S-2.nonpayment")) == 2
    with built.db.read() as conn:
        keys = conn.scalars(sa.select(view_change.c.key).order_by(view_change.c.seq.desc()).limit(2)).all()
    assert sorted(bytes(key) for key in keys) == [b"s:S-2", b"u:s2@example.net"]


def test_the_strictest_hold_wins_and_throttles_combine(built):
    """block > walled-garden > throttle; throttles combine by the minimum per direction; lifting gives back."""
    network, login = built.network, b"u:s1@example.net"
    network.hold("S-1", "abuse", "throttle", "rate: {down: 5M, up: 4M}")
    network.hold("S-1", "vacation", "throttle", "rate: {down: 9M, up: 1M}")
    built.changed(("hold", "S-1.abuse"), ("hold", "S-1.vacation"))
    assert "Mikrotik-Rate-Limit = 1000000/5000000" in text_of(built.access(login).blocks[0])
    network.hold("S-1", "nonpayment", "walled-garden")
    built.changed(("hold", "S-1.nonpayment"))
    garden = text_of(built.access(login).blocks[0])
    assert "Mikrotik-Address-List = tl-garden" in garden
    assert not [line for line in garden if "IPv6" in line]
    network.hold("S-1", "admin", "block")
    built.changed(("hold", "S-1.admin"))
    assert built.access(login).status == "held"
    for reason in ("admin", "nonpayment", "abuse", "vacation"):
        network.drop("hold", f"S-1.{reason}")
        built.changed(("hold", f"S-1.{reason}"))
    assert built.rows() == cold(network)
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in text_of(built.access(login).blocks[0])


def test_only_what_a_nas_allocates_is_named_in_a_reply(built):
    """A pool with `allocate: node` is named to the node, not to the NAS; one with `intent` gives nothing by itself."""
    text = built.network.texts["pool", "west-cgn"]
    built.network.put("pool", "west-cgn", text + "allocate: node\n")
    built.changed(("pool", "west-cgn"))
    found = built.access(b"u:s1@example.net")
    assert (found.status, found.pools) == ("ok", ("west-cgn",))
    assert not any("Framed-Pool" in line for block in found.blocks for line in text_of(block))
    assert built.rows() == cold(built.network)
    built.network.put("pool", "west-cgn", text + "allocate: intent\n")
    built.changed(("pool", "west-cgn"))
    assert built.access(b"u:s1@example.net").status == "no-address"
    built.network.put("pool", "west-cgn", text)
    built.changed(("pool", "west-cgn"))
    found = built.access(b"u:s1@example.net")
    assert (found.status, found.pools) == ("ok", ())
    assert built.rows() == cold(built.network)


def test_another_view_key_builds_the_view_anew(built):
    """The view key was rotated: every record is sealed under the new one, without any change of intents."""
    other = Seal(bytes(64))
    ViewBuilder(built.db, lambda: reading(built.network), open_secret, other).run_once()
    assert other.open(built.access(b"u:s1@example.net").credential, b"u:s1@example.net") == b"pw-1"


def test_a_nas_change_is_effective_without_a_restart(built):
    """A new secret or source address of a device is a view record like any other."""
    view = View(None)
    view.follow(built.db)
    built.network.bng("bng1", "mikrotik", "127.0.0.9", secret="another")
    built.changed(("device", "bng1"))
    view.follow(built.db)
    assert view.lookup(b"n:127.0.0.1") is None
    nas = decode(view.lookup(b"n:127.0.0.9"), Nas)
    assert nas is not None
    assert SEAL.open(nas.secrets[0], b"n:127.0.0.9") == b"another"


def test_a_key_claimed_twice_answers_for_the_smaller_owner(built):
    """Two services with one login: the same one answers whatever came first, and the other takes over at its end."""
    twin = built.network.texts["service", "S-1"]
    built.network.put("service", "S-0", twin)
    built.changed(("service", "S-0"))
    assert built.access(b"u:s1@example.net").service == "S-0"
    built.network.drop("service", "S-0")
    built.changed(("service", "S-0"))
    assert built.access(b"u:s1@example.net").service == "S-1"


def test_a_sealed_password_opens_only_for_its_login(built):
    """The view file has no password in clear, and a sealed one that is moved to another login does not open."""
    assert not any(b"pw-1" in record for _key, _owner, record in built.rows())
    sealed = built.access(b"u:s1@example.net").credential
    assert SEAL.open(sealed, b"u:s1@example.net") == b"pw-1"
    with pytest.raises(SecretNotOpenable):
        SEAL.open(sealed, b"u:s2@example.net")


def test_a_rebuilt_database_is_taken_over_whole(built):
    """When the derived database is dropped and built anew, its sequence starts again: a worker notices and agrees."""
    view = View(None)
    view.follow(built.db)
    METADATA.drop_all(built.db.engine)
    built.network.drop("service", "S-3")
    ViewBuilder(built.db, lambda: reading(built.network), open_secret, SEAL).run_once()
    view.follow(built.db)
    assert sorted(view.items(b"")) == [(key, record) for key, _owner, record in cold(built.network)]


def test_half_a_view_never_replaces_a_whole_one(built, tmp_path):
    """While a dropped database is built anew, a worker and a snapshot keep what they know."""
    snapshot(built.db, tmp_path)
    view = View.load(tmp_path)
    METADATA.drop_all(built.db.engine)
    models.ensure(built.db)
    assert view.follow(built.db) == []
    assert view.lookup(b"u:s1@example.net") is not None
    view.acknowledge(built.db, "node1-0")
    assert acknowledged(built.db, 0, cap=0) == ["node1-0"]
    with pytest.raises(ViewNotBuilt):
        snapshot(built.db, tmp_path)
    assert View.load(tmp_path).lookup(b"u:s1@example.net") is not None
    ViewBuilder(built.db, lambda: reading(built.network), open_secret, SEAL).run_once()
    view.follow(built.db)
    snapshot(built.db, tmp_path)
    view.rebase(tmp_path)
    assert view._over == {}
    assert sorted(view.items(b"")) == [(key, record) for key, _owner, record in cold(built.network)]


def test_acknowledgement_names_the_laggards(built):
    """Whoever waits for a sequence learns which worker does not have it."""
    view = View(None)
    view.follow(built.db)
    view.acknowledge(built.db, "node1-0")
    view.acknowledge(built.db, "node1-1")
    assert acknowledged(built.db, built.changes()) == []
    built.network.hold("S-1", "admin", "block")
    built.changed(("hold", "S-1.admin"))
    view.follow(built.db)
    view.acknowledge(built.db, "node1-1")
    assert acknowledged(built.db, built.changes(), cap=0.05) == ["node1-0"]
    assert acknowledged(built.db, built.changes(), ["node1-1"]) == []
    assert acknowledged(built.db, 0, ["node9-0"], cap=0.05) == ["node9-0"]


def test_the_base_file_is_private_and_finds_every_key(tmp_path):
    """5,000 records: each is found, none else, the file's mode is 0600, and damage is noticed."""
    records = [(b"k%05d" % n, b"r" * (n % 40)) for n in range(5000)]
    path = tmp_path / "view.base"
    assert write_base(path, records, 7, "g") == 5000
    base = Base(path)
    assert [base.get(key) for key, _record in records] == [record for _key, record in records]
    assert base.get(b"k") is None
    assert (base.seq, base.generation, list(base.items())) == (7, "g", records)
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    Base(path, prove=True).close()
    for place in (72, 80, len(whole) // 2, len(whole) - 1):  # an entry, the middle, the table's end
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        with pytest.raises(ViewFileNotUsable):
            Base(path, prove=True)
    path.write_bytes(whole[:-8])
    with pytest.raises(ViewFileNotUsable):
        Base(path)


def test_a_torn_overlay_log_ends_at_the_tear(tmp_path):
    """A crash in the middle of an append loses that append, nothing before it."""
    path = tmp_path / "log"
    overlay.append(path, [(1, b"a", b"x"), (2, b"b", None)])
    path.write_bytes(path.read_bytes()[:-3])
    assert overlay.read(path, 0) == [(1, b"a", b"x")]


def test_wanted_names_the_holds(built):
    """What a service's sessions should have says why: the holds by name."""
    built.network.hold("S-1", "abuse", "block")
    built.changed(("hold", "S-1.abuse"))
    view = View(None)
    view.follow(built.db)
    wanted = decode(view.lookup(b"s:S-1"), Wanted)
    assert wanted is not None
    assert (wanted.holds, wanted.policy, wanted.policy_hash) == (("S-1.abuse",), None, "blocked")


KILLED_POINTS = [builder.BEFORE_WRITE, builder.AFTER_WRITE]


@pytest.mark.parametrize("point", KILLED_POINTS)
def test_killed_while_building_it_ends_like_the_undisturbed_one(built, monkeypatch, point):
    """SIGKILL before or after the position is written: the next run gives the cold build's bytes."""

    def die() -> None:
        monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
        monkeypatch.setenv("TRUNKLINE_FAULT", f"{point}:1:kill")
        faults._passages.clear()
        built.db = Database(str(built.db.url))
        ViewBuilder(built.db, lambda: reading(built.network), open_secret, SEAL).run_once()

    built.network.hold("S-1", "admin", "block")
    built.network.drop("service", "S-2")
    rows = [("hold", "S-1.admin"), ("service", "S-2")]
    with built.db.write() as conn:
        now = clock.now()
        told = [
            {"commit_id": "c", "path": "-", "kind": k, "id": i, "op": "put", "changed_at": now}
            for k, i in rows
        ]
        insert_many(conn, index_change, told)
    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join(timeout=30)
    assert child.exitcode == -signal.SIGKILL
    built.builder.run_once()
    assert built.rows() == cold(built.network)


def test_one_hold_costs_the_same_in_a_large_network(tmp_path):
    """A hold's view change runs the same number of statements with 20 and with 400 services."""
    counts = []
    for size in (20, 400):
        network = Network()
        for number in range(1, size + 1):
            network.subscriber(number)
        built = Built(Database(f"sqlite:///{tmp_path / f'{size}.db'}"), network)
        statements: list[str] = []
        sa.event.listen(
            built.db.engine, "before_cursor_execute", lambda *told, kept=statements: kept.append(told[2])
        )
        network.hold("S-7", "nonpayment", "walled-garden")
        assert built.changed(("hold", "S-7.nonpayment")) == 2
        counts.append(len(statements))
        built.db.close()
    assert counts[0] == counts[1] < 40


def test_a_busy_index_does_not_keep_a_worker_from_following(node, network):
    """Somebody holds the derived database's write lock: the worker cannot say where it is, and still follows."""
    built = Built(open_derived(node), network)
    view, stop = View.load(node.home / "radius" / "view"), threading.Event()
    follower = Follower(node, view, "node1-0", stop, keeper=True)
    follower.start()
    eventually(lambda: acknowledged(built.db, built.changes(), ["node1-0"], cap=0) == [], cap=10)
    network.hold("S-1", "admin", "block")
    built.changed(("hold", "S-1.admin"))
    network.drop("hold", "S-1.admin")
    with sqlite3.connect(node.home / "index.db", isolation_level=None) as lock:
        built.changed(("hold", "S-1.admin"))
        lock.execute("BEGIN IMMEDIATE")
        eventually(lambda: view.seq == built.changes(), cap=5)
        lock.rollback()
    eventually(lambda: acknowledged(built.db, built.changes(), ["node1-0"], cap=0) == [], cap=10)
    stop.set()
    follower.join(timeout=10)
    lock.close()
    built.db.close()


def test_an_index_without_its_first_commit_makes_nobody_forgotten(built):
    """A lost index whose rebuilding is stopped at once leaves the view as it was."""
    with built.db.read() as conn:
        before = conn.execute(sa.select(view_record.c.key)).all()
    layout.reset(built.db)
    assert built.builder.run_once() == 0
    with built.db.read() as conn:
        assert conn.execute(sa.select(view_record.c.key)).all() == before
    assert before
