"""`trunkline radius`: answers from the node's own snapshot when the databases are not there."""

import json
import os
from contextlib import nullcontext
from typing import Any

import pytest
import typer

from aaa.radius.server import RadiusServer
from cli.doctor.node import check_view
from cli.radius.quota import require_quota
from intents.plan.schema import Plan, Prepaid
from intents.reader import MemoryReader
from intents.service.schema import Service
from tests.aaa.conftest import QUICK, client_of
from tests.aaa.network import write_snapshot
from tests.aaa.test_accounting import record, write
from tests.support import trunkline


def ask(node, *args: str, **given: Any):
    env = {**os.environ, "TRUNKLINE_HOME": str(node.home)}
    return trunkline("radius", *args, env=env, **given)


def test_a_login_is_tried_and_explained(node):
    """test-login: status 0 and the attributes, or 1 and why; explain: service and replies; nobody: status 3."""
    done = ask(node, "test-login", "s1@example.net", "--nas", "bng2")
    assert done.returncode == 0
    assert done.stdout.startswith("bng2: accepted")
    assert "Filter-Id = 500000/50000" in done.stdout
    done = ask(node, "test-login", "s1@example.net", "--password", "x", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema"], told["reason"]) == (
        1,
        "trunkline.radius-login/1",
        "wrong-credentials",
    )
    assert ask(node, "test-login", "s1@example.net", "--stdin", text="pw-1\n").returncode == 0
    assert ask(node, "test-login", "s1@example.net", "--stdin", text="x\n").returncode == 1
    assert ask(node, "test-login", "s1@example.net", "--stdin", "--password", "x").returncode == 2
    done = ask(node, "test-login", "s1@example.net", "--stdin", text="x" * 5000)
    assert (done.returncode, "at most 128 octets" in done.stderr) == (2, True)
    assert "service S-1, ok" in ask(node, "explain", "S-1").stdout
    done = ask(node, "explain", "nobody@example.net")
    assert done.returncode == 3
    assert "nobody@example.net" in done.stderr


def test_sessions_are_listed_and_silent_workers_are_told(node, recorded):
    """sessions prints one line each; status says no when no worker was heard."""
    write(recorded, record(1, login="s1@example.net", framed_address="100.64.0.7"))
    assert "100.64.0.7" in ask(node, "sessions", "--service", "S-1").stdout
    told = json.loads(ask(node, "sessions", "--json").stdout)
    assert [one["service"] for one in told["sessions"]] == ["S-1"]
    assert ask(node, "sessions", "--nas", "bng9").stdout == "no sessions\n"
    done = ask(node, "status")
    assert (done.returncode, done.stdout) == (1, "accounting journal: 0 segments waiting\n")


def test_a_login_of_another_server_is_said_to_be_that(node, network):
    """explain of a proxied realm's login names the servers that answer it; status 3."""
    aaa = 'realms: {guest.example: {proxy: [192.0.2.9], secret: "enc:v1:eA=="}}'
    text = "schema: 1\noperator: {name: T, timezone: Europe/Malta, currency: EUR}\n" + f"aaa: {{{aaa}}}\n"
    network.put("config", "trunkline", text)
    write_snapshot(network, node)
    done = ask(node, "explain", "ann@Guest.example")
    assert done.returncode == 3
    assert "realm guest.example are answered by 192.0.2.9" in done.stderr


def test_compare_without_shadow_says_what_to_do(node, recorded):
    """Nothing compared: status 1, and the way to begin."""
    done = ask(node, "compare")
    assert (done.returncode, done.stdout) == (
        1,
        "nothing was compared yet: set `moving: shadow` for a NAS or a realm\n",
    )


def test_a_damaged_snapshot_is_told_by_whoever_is_asked(node):
    """A digit of a speed is another one, or half the file is gone: it answers nobody, and status and doctor say so."""
    path = node.home / "radius" / "view" / "view.base"
    whole = path.read_bytes()
    assert json.loads(ask(node, "status", "--json").stdout)["snapshot"] == "usable"
    for damaged in (whole.replace(b"50000000/", b"90000000/", 1), whole[:500]):
        assert damaged != whole
        path.write_bytes(damaged)
        done = ask(node, "status")
        assert done.returncode == 1
        assert "is not usable" in done.stdout
        (found,) = [one for one in check_view(node) if one.level == "fail"]
        assert "copy another node's" in found.message
        with RadiusServer(node, limits=QUICK, in_process=True) as server:
            client = client_of(server, attempts=1, patience=0.3)
            assert client.login("s1@example.net", "pw-1") is None
            client.close()


@pytest.mark.parametrize(
    ("service", "kind", "refused"),
    [
        ("S-1", "prepaid", "plan plain of S-1 has no prepaid quota, so that nothing would change"),
        ("S-1", "fair-use", "'fair-use:' in catalog/plans/plain.yaml gives it one"),
        ("S-2", "fair-use", "plan credit of S-2 has no fair-use quota"),
        ("S-2", "prepaid", ""),
        ("S-3", "prepaid", "there is no service S-3"),
    ],
)
def test_quota_is_granted_where_the_plan_has_some(service, kind, refused):
    """A grant that would change nothing is refused, with what to do."""
    plans = {"plain": Plan(type="internet"), "credit": Plan(type="internet", prepaid=Prepaid())}
    bought = {"S-1": "plain", "S-2": "credit"}
    reader = MemoryReader.of(
        [
            *(("plan", name, plan) for name, plan in plans.items()),
            *(
                ("service", name, Service(customer="C-1", type="internet", state="active", plan=plan))
                for name, plan in bought.items()
            ),
        ]
    )
    with pytest.raises(typer.BadParameter, match=refused) if refused else nullcontext():
        require_quota(reader, service, kind)


@pytest.mark.parametrize(
    "command",
    [
        ("sessions",),
        ("who", "100.64.0.7", "--at", "2026-11-25T14:03"),
        ("status",),
        ("explain", "S-1"),
        ("disconnect", "S-1", "--yes"),
        ("override", "S-1", "--for", "1h", "--reason", "a mistake"),
        ("metrics",),
        ("pools",),
    ],
)
def test_a_mistyped_folder_is_told_and_not_made(tmp_path, command):
    """Whoever asks an installation that is not there gets a sentence, and makes none."""
    there = tmp_path / "mistyped"
    done = trunkline("radius", *command, "--home", str(there), env=dict(os.environ))
    assert done.returncode == 3
    assert f"there is no installation at {there}" in done.stderr
    assert not there.exists()
