"""Nodes that only answer RADIUS: joined from a bundle, alone, two over one PostgreSQL that dies, and their rights."""

import functools
import json
import os
import struct
import threading
from pathlib import Path

import msgspec
import pyrage
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from aaa import support
from aaa.enforcement import acknowledged
from aaa.errors import KeyNotUsable, ViewIsForeign
from aaa.limits.codes import Codes
from aaa.models import session, usage_day
from aaa.pools.nodes import drain, states
from aaa.radius.limits import Limits
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.view.derived import open_derived
from aaa.view.follower import Follower, touch_followed
from aaa.view.lookup import View, snapshot
from aaa.view.records import class_of
from cli.doctor.node import check_view
from cli.node import bundle as bundles
from cli.node import commands as node_commands
from cli.node import grants
from cli.node.start import NodeNotJoined, RadiusNode, check_snapshot
from core import clock
from core.db import Database
from core.migrate import upgrade
from tests.aaa.conftest import client_of
from tests.aaa.network import Network, settings_in, write_snapshot
from tests.aaa.served_nodes import ServedNode
from tests.aaa.test_pools import NODE_CGN, framed
from tests.aaa.test_view import SEAL, Built
from tests.mortal_postgres import mortal_cluster
from tests.support import eventually, trunkline

KEY = bytes(range(64))
VOUCHERS = bytes(range(32))
AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/none"
IDENTITY = pyrage.x25519.Identity.generate()


def bundle_of(node, **given) -> bundles.Bundle:
    """The bundle of a node's snapshot, with databases that nobody reaches."""
    view = (node.home / "radius" / "view" / "view.base").read_bytes()
    key = (node.home / "view.key").read_bytes()
    return msgspec.structs.replace(bundles.Bundle(1, key, AWAY, AWAY, view, VOUCHERS), **given)


PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def by_passphrase(tmp_path_factory: pytest.TempPathFactory) -> tuple[bundles.Bundle, bytes]:
    """A bundle, and what `export` writes of it; seconds of work each time, as it has to be."""
    settings, network = settings_in(tmp_path_factory.mktemp("exported")), Network()
    for number in (1, 2, 3):
        network.subscriber(number)
    write_snapshot(network, settings)
    packed = bundle_of(settings)
    return packed, bundles.lock(packed, [], PASSPHRASE)


def test_a_bundle_opens_for_its_recipient_or_passphrase_alone(node, by_passphrase, tmp_path):
    """What `export` writes opens with the right key only, and nothing of it stands there in clear."""
    packed, path = bundle_of(node), tmp_path / "n2.bundle"
    path.write_bytes(bundles.lock(packed, [str(IDENTITY.to_public())]))
    assert bundles.unlock(path, identity=str(IDENTITY)) == packed
    assert packed.view_key not in path.read_bytes()
    with pytest.raises(bundles.BundleNotUsable, match="does not open"):
        bundles.unlock(path, identity=str(pyrage.x25519.Identity.generate()))
    packed, locked = by_passphrase
    path.write_bytes(locked)
    assert bundles.unlock(path, PASSPHRASE) == packed
    with pytest.raises(bundles.BundleNotUsable, match="does not open"):
        bundles.unlock(path, "wrong horse battery")
    path.write_bytes(b"no bundle")
    with pytest.raises(bundles.BundleNotUsable, match="does not open"):
        bundles.unlock(path, PASSPHRASE)


def test_a_joined_node_is_private_and_keeps_its_key(node, tmp_path):
    """`join` writes 0600 files, and the node knows the installation's vouchers; another installation's bundle is
    refused and changes nothing.
    """
    home = tmp_path / "n2"
    bundles.unpack(bundle_of(node), home, "n2")
    assert Codes.of(home).digest("K7QF-2MWX-9TBN") == Codes(VOUCHERS).digest("K7QF-2MWX-9TBN")
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(bundles.BundleNotUsable, match="another installation"):
        bundles.unpack(bundle_of(node, view_key=KEY), home, "n2")
    assert {path: path.read_bytes() for path in files} == before


def test_the_commands_make_a_node_that_answers_alone(by_passphrase, tmp_path):
    """`node join` on an empty home, then RADIUS only: no database, repository or data key, and logins are answered."""
    file, home = tmp_path / "n2.bundle", tmp_path / "n2"
    file.write_bytes(by_passphrase[1])
    env = {**os.environ, "TRUNKLINE_HOME": str(home)}
    done = trunkline(
        "radius", "node", "join", file, "--name", "n2", "--stdin", "--json", env=env, text=f"{PASSPHRASE}\n"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["node"] == "n2"
    settings = settings_in(home)
    assert (settings.node, settings.roles, settings.index_url) == ("n2", ("radius",), AWAY)
    with RadiusNode(settings) as alone:
        client = client_of(alone.radius, patience=3)
        assert client.login("s1@example.net", "pw-1").accepted
        assert client.account(pair(40, struct.pack(">I", 1)) + pair(44, b"x")) is not None
        client.close()
    assert not (home / "trunkline.db").exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"# only a comment\n"])
def test_a_file_without_an_identity_is_a_mistake_in_usage(node, tmp_path, content):
    """Not there, no text, nothing in it: status 2, and nothing is made."""
    file, key = tmp_path / "n2.bundle", tmp_path / "key.txt"
    file.write_bytes(bundles.lock(bundle_of(node), [str(IDENTITY.to_public())]))
    if content is not None:
        key.write_bytes(content)
    done = CliRunner().invoke(node_commands.app, ["join", str(file), "--name", "n2", "--identity", str(key)])
    assert done.exit_code == 2
    assert "identity" in done.stderr


def test_an_identity_is_read_as_age_keygen_writes_it(node, tmp_path, monkeypatch):
    """With its comments in front."""
    file, key, home = tmp_path / "n2.bundle", tmp_path / "key.txt", tmp_path / "n2"
    file.write_bytes(bundles.lock(bundle_of(node), [str(IDENTITY.to_public())]))
    key.write_text(f"# created: 2026-11-26\n# public key: {IDENTITY.to_public()}\n{IDENTITY}\n")
    monkeypatch.setenv("TRUNKLINE_HOME", str(home))
    done = CliRunner().invoke(node_commands.app, ["join", str(file), "--name", "n2", "--identity", str(key)])
    assert done.exit_code == 0, done.output
    assert (home / "view.key").exists()


@pytest.mark.parametrize("role", ["two words", "Node", 'x"; DROP TABLE session'])
def test_a_role_that_would_need_quoting_is_wrong_usage(role):
    """Status 2, as for every command that was called wrongly, and no SQL."""
    done = trunkline("radius", "node", "sql", role)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no plain role name" in " ".join(done.stderr.split())


def test_an_installation_on_sqlite_makes_no_bundle(node):
    """A SQLite file cannot be followed from another machine: `export` says so."""
    done = trunkline(
        "radius", "node", "export", node.home / "b", "--stdin", env={"TRUNKLINE_HOME": str(node.home)}
    )
    assert done.returncode == 3
    assert "nodes need PostgreSQL" in done.stderr
    assert not (node.home / "b").exists()


def test_a_home_that_is_no_node_says_how_to_become_one(tmp_path):
    """No view key: one sentence, nothing is made."""
    with pytest.raises(NodeNotJoined, match="trunkline radius node join"):
        RadiusNode(settings_in(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_snapshot_is_refused_not_the_subscribers(node):
    """A snapshot that the view key does not open would lock everybody out: the node does not start with it."""
    check_snapshot(node)
    (node.home / "view.key").write_bytes(KEY)
    with pytest.raises(ViewIsForeign, match="another view key"):
        RadiusNode(node)


@pytest.mark.parametrize("name", ["view.key", "voucher.key"])
def test_a_damaged_key_file_is_told_in_one_sentence(node, name):
    """Cut off, or no file: which file, and where to get another one."""
    (node.home / name).write_bytes(b"half a key")
    with pytest.raises(KeyNotUsable, match=r"it has 10 octets.*node join"):
        RadiusServer(node, in_process=True).start()
    (node.home / name).unlink()
    (node.home / name).mkdir()
    with pytest.raises(KeyNotUsable, match=name):
        RadiusServer(node, in_process=True).start()


def test_a_foreign_view_is_not_followed(node, network):
    """A database that was built with another view key: what the node knows goes on answering."""
    built = Built(open_derived(node), network)  # sealed with another key than the node's
    network.hold("S-1", "admin", "block")
    built.changed(("hold", "S-1.admin"))
    with RadiusServer(node, limits=Limits(reject_delay=0), in_process=True) as server:
        client = client_of(server)
        with pytest.raises(ViewIsForeign):
            server.worker.view.follow(built.db)
        assert client.login("s1@example.net", "pw-1").accepted
        client.close()
    built.db.close()


def test_two_nodes_of_one_name_notice_each_other(node, network):
    """Both acknowledge under one name: both know, and one that was merely restarted does not complain."""
    built = Built(open_derived(node), network)
    first, second, again = View(None), View(None), View(None)
    first.acknowledge(built.db, "n1-0")
    again.acknowledge(built.db, "n1-0")  # a restart: the first one never speaks again
    again.acknowledge(built.db, "n1-0")
    assert not again.twin
    second.acknowledge(built.db, "n1-0")
    again.acknowledge(built.db, "n1-0")
    second.acknowledge(built.db, "n1-0")
    assert (again.twin, second.twin) == (True, True)
    built.db.close()


def test_a_node_that_was_away_for_a_week_catches_up(node, network):
    """An old snapshot answers at once, with what it knew; the first contact brings everything since."""
    (node.home / "view.key").write_bytes(KEY)
    built = Built(open_derived(node), network)
    snapshot(built.db, node.home / "radius" / "view")
    for number in range(1, 4):
        network.hold(f"S-{number}", "admin", "block")
    built.changed(*(("hold", f"S-{number}.admin") for number in range(1, 4)))
    old = View.load(node.home / "radius" / "view", SEAL.fingerprint)
    assert (old.seq, built.changes()) == (old.seq, old.seq + 6)
    stop = threading.Event()
    follower = Follower(node, old, "n1-0", stop, keeper=False)
    follower.start()
    eventually(lambda: acknowledged(built.db, built.changes(), ["n1-0"], cap=0) == [], cap=10)
    stop.set()
    follower.join(timeout=10)
    built.db.close()


def test_an_old_view_is_told(node):
    """Never followed, just followed, or an hour ago: status and doctor say how old the answers may be."""
    folder = node.home / "radius" / "view"
    assert support.view_age(node.home) is None
    assert [one.level for one in check_view(node)] == ["warn"]
    touch_followed(folder)
    assert [one.level for one in check_view(node)] == ["ok"]
    long_ago = clock.now().timestamp() - 3600
    os.utime(folder / "view.followed", (long_ago, long_ago))
    found = list(check_view(node))
    assert (found[0].level, "60 min ago" in found[0].message) == ("warn", True)
    assert 3600 <= (support.view_age(node.home) or 0) < 3700
    (node.home / "view.key").write_bytes(KEY)
    assert [one.level for one in check_view(node)] == ["fail"]


def test_status_on_a_node_without_its_database(node):
    """`radius status` answers from the node alone, with status 1, instead of failing."""
    touch_followed(node.home / "radius" / "view")
    env = {**os.environ, "TRUNKLINE_HOME": str(node.home), "TRUNKLINE_INDEX_URL": AWAY}
    done = trunkline("radius", "status", "--json", env=env)
    told = json.loads(done.stdout)
    assert (done.returncode, told["database"], told["workers"]) == (1, False, [])
    assert told["view_age"] is not None


def address_of(node: ServedNode) -> str:
    """What S-2 gets here."""
    return framed(node.client.login("s2@example.net", "pw-2"))


def account(node: ServedNode, call: str, kind: int) -> None:
    """One acknowledged record of S-2."""
    body = pair(40, struct.pack(">I", kind)) + pair(44, call.encode()) + pair(1, b"s2@example.net")
    body += class_of("S-2", "p") + pair(46, struct.pack(">I", 0 if kind == 1 else 60))
    octets = pair(42, struct.pack(">I", 1000)) + pair(43, struct.pack(">I", 1000)) if kind == 2 else b""
    assert node.client.account(body + octets) is not None, node.log()


@pytest.mark.real
def test_two_nodes_survive_their_database_and_lose_nothing(tmp_path: Path, network):
    """Two nodes follow one PostgreSQL as roles that may read nothing else. It is killed: both answer, and never give
    one address twice, one of them killed and started meanwhile. It comes back: both catch up, and every acknowledged
    record is there once. Drained, a node has nothing left that would be missed.
    """
    network.put("pool", "west-cgn", NODE_CGN)
    with mortal_cluster(tmp_path) as cluster:
        cluster.sql("CREATE DATABASE isp")
        owner = cluster.url("isp")
        recorded = Database(owner)
        upgrade(recorded)
        settings = settings_in(tmp_path / "control", database_url=owner, index_url=owner)
        built = Built(open_derived(settings), network)
        cluster.sql(grants.sql("node_login"), "isp")
        url = owner.replace("postgres@", "node_login@")
        packed = bundles.Bundle(1, KEY, url, url)
        nodes = [ServedNode(tmp_path / name, name, packed) for name in ("n1", "n2")]
        workers = ["n1-0", "n2-0"]
        try:
            for node in nodes:
                node.launch()
            for node in nodes:
                node.wait()
            eventually(lambda: acknowledged(built.db, built.changes(), workers, cap=0) == [], cap=20)
            given = [eventually(functools.partial(address_of, node), cap=20) for node in nodes]
            network.hold("S-1", "admin", "block")
            built.changed(("hold", "S-1.admin"))
            assert acknowledged(built.db, built.changes(), workers, cap=10) == []
            for number, node in enumerate(nodes):
                account(node, f"live-{number}", 1)
            cluster.kill()
            for number, node in enumerate(nodes):
                assert not node.client.login("s1@example.net", "pw-1").accepted
                assert framed(node.client.login("s2@example.net", "pw-2")) == given[number]
                given.append(framed(node.client.login("s3@example.net", "pw-3")))
                account(node, f"live-{number}", 2)
                account(node, f"away-{number}", 1)
            nodes[0].kill()
            nodes[0].start()
            assert not nodes[0].client.login("s1@example.net", "pw-1").accepted  # its snapshot knows the hold
            assert (
                framed(nodes[0].client.login("s2@example.net", "pw-2")) == given[0]
            )  # and its ledger, who has what
            assert len(set(given)) == 4
            for number, node in enumerate(nodes):
                account(node, f"away-{number}", 2)
                account(nodes[1 - number], f"away-{number}", 2)  # the NAS tries the other one, too
            assert all(node.waiting() for node in nodes)
            cluster.start()
            network.drop("hold", "S-1.admin")
            built.changed(("hold", "S-1.admin"))
            eventually(lambda: acknowledged(built.db, built.changes(), workers, cap=0) == [], cap=30)
            eventually(
                lambda: not any(node.waiting() for node in nodes),
                cap=30,
                says=lambda: [n.log() for n in nodes],
            )
            for node in nodes:
                assert node.client.login("s1@example.net", "pw-1").accepted, node.log()
            check_records(recorded)
            check_rights(url)
            check_draining(recorded, nodes[1])
        finally:
            for node in nodes:
                node.end()
            built.db.close()
            recorded.close()


def check_records(recorded: Database) -> None:
    """Four calls, all ended, their octets counted once."""
    with recorded.read() as conn:
        rows = conn.execute(sa.select(session.c.acct_session_id, session.c.state)).all()
        used = conn.execute(sa.select(usage_day.c.up_octets, usage_day.c.down_octets)).one()
    wanted = [f"{what}-{number}".encode() for what in ("away", "live") for number in (0, 1)]
    assert sorted((bytes(row[0]), row[1]) for row in rows) == [(call, "closed") for call in wanted]
    assert tuple(used) == (4000, 4000)


def check_draining(recorded: Database, node: ServedNode) -> None:
    """Asked to drain, the node is disposable soon: no block is its own, and no accounting waits on its disk."""
    with recorded.write() as conn:
        drain(conn, node.name)

    def disposable() -> bool:
        with recorded.read() as conn:
            return any(one.node == node.name and one.disposable for one in states(conn, clock.now()))

    eventually(disposable, cap=30, says=node.log)
    assert node.client.login("s2@example.net", "pw-2") is None  # silence: the NAS asks the other node


def check_rights(url: str) -> None:
    """The nodes' role reads neither customers, money, change sets nor the index, and makes no tables."""
    db = Database(url)
    for forbidden in (
        "SELECT 1 FROM invoice",
        "SELECT 1 FROM customer",
        "SELECT 1 FROM change",
        "SELECT 1 FROM derived.document",
        "DELETE FROM derived.view_record",
        "CREATE TABLE public.mine (x int)",
    ):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), db.write() as conn:
            conn.exec_driver_sql(forbidden)
    db.close()


def test_the_nodes_rights_come_back_with_new_tables(database_url):
    """Once the role exists, whoever makes tables gives it its rights, time and again; SQLite has no roles."""
    from aaa.grants import grant_nodes

    db = Database(database_url)
    with db.write() as conn:
        grant_nodes(conn)
    db.close()
