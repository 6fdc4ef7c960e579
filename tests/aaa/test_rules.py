"""Which files decide what a service gets, and whose commits those are."""

import json
import os

import pytest

from aaa.rules import decided, rules
from tests.aaa.network import Network
from tests.support import trunkline
from tests.world import GARDEN, World


def says(network: Network, service: str) -> dict[str, str]:
    """What each file says."""
    return {rule.path: rule.says for rule in rules(network.reader(), service)}


def test_every_part_of_a_reply_names_its_file(network):
    """Plan, line, edge and service of a plain service."""
    told = {path.split("/")[-1]: one for path, one in says(network, "S-1").items()}
    assert told["fibre-500.yaml"] == "rate 500 Mbit/s down, 50 Mbit/s up"
    assert told["L-1.yaml"] == "circuit-id 'olt1 xpon 0/1/0:1.eth1'"
    assert told["west.yaml"] == "IPv4 from pool west-cgn"
    assert any(
        "served by bng1 (mikrotik), bng2 (pppd)" in rule.says for rule in rules(network.reader(), "S-1")
    )


def test_holds_come_with_effect_and_cause(network):
    """A throttle and the garden: both are told, and where the address comes from then."""
    network.hold("S-1", "nonpayment", "walled-garden", "cause: INV-7")
    network.hold("S-1", "abuse", "throttle", "rate: {down: 1M, up: 1M}")
    found = [rule.says for rule in rules(network.reader(), "S-1")]
    assert "walled-garden because of INV-7" in found
    assert "throttle 1 Mbit/s down, 1 Mbit/s up" in found
    assert "addresses of the garden's pool west-garden, no IPv6" in found


def test_nobody_has_no_rules(network):
    """A service that is not there decides nothing."""
    assert rules(network.reader(), "S-404") == []


@pytest.fixture
def world(tmp_path):
    """An installation with trunk, index and view."""
    one = World(tmp_path, services=2)
    one.one.settle()
    yield one
    one.close()


def test_explain_names_the_commit_of_every_rule(world):
    """The hold's own commit is named, not the newest of trunk; the command says the same, as text and as JSON."""
    path = "holds/{}/S-1.nonpayment.yaml".format(next(p for p in world.files if p.endswith("S-1.yaml"))[9:14])
    commit = world.push({path: GARDEN}, "Hold S-1")
    world.push({"network/sites/perth1.yaml": "name: Perth One\n"}, "Rename a site")
    world.one.indexer.run_once()
    world.one.view_builder.run_once()
    with world.one.reader() as reader, world.one.db.read() as conn:
        found = decided(conn, world.one.repo, reader.revision, rules(reader, "S-1"))
    assert {one.path: one.commit for one in found}[path] == commit
    env = {**os.environ, "TRUNKLINE_HOME": str(world.settings.home)}
    done = trunkline("radius", "explain", "S-1", env=env)
    assert done.returncode == 0, done.stderr
    assert f"{path}  {commit[:12]} by unverified" in done.stdout
    told = json.loads(trunkline("radius", "explain", "S-1", "--json", env=env).stdout)
    assert commit in {rule["commit"] for rule in told["rules"]}
