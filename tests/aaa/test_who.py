"""Who held an address: by address, inside prefixes, by ports, through NAT by its rule; before and after retention."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.accounting.record import INTERIM, START, STOP
from aaa.accounting.retention import retain
from aaa.accounting.store import sweep_silent
from aaa.who import AddressNotUsable, who
from intents.loader import load
from intents.pool.schema import Pool
from inventory.nat import inside, is_public_of, needed, outside
from tests.aaa.test_accounting import NOON, record, write
from tests.aaa.test_retention import KEPT, at
from tests.support import trunkline


def pool_of(prefixes: list[str], public: str, ports: int, split: dict[str, list[str]] | None = None) -> Pool:
    """A pool with deterministic NAT, read as from a file."""
    nat = {"public": [public], "ports": ports}
    told = {"family": "ipv4", "use": "cgnat", "prefixes": prefixes, "split": split or {}, "nat": nat}
    loaded = load("network/pools/cgn.yaml", json.dumps(told).encode() + b"\n")
    assert not isinstance(loaded, list), loaded
    pool: Pool = loaded.value
    return pool


CGN = pool_of(["100.64.0.0/28", "100.64.9.0/30"], "203.0.113.128/30", 16128)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, UTC)


def ask(database, address: str, seconds: float, port: int | None = None, pools=None) -> list[tuple[str, str]]:
    with database.read() as conn:
        return [(one.service, one.sure) for one in who(conn, address, moment(seconds), port, pools)]


def test_an_address_that_two_had_one_after_the_other(database):
    """Each has it in its own time; between them nobody."""
    for number, start in ((1, 0), (2, 1000)):
        name: dict[str, Any] = {
            "session_id": b"%d" % number,
            "service": f"S-{number}",
            "framed_address": "100.64.0.7",
        }
        write(database, record(START, at=NOON + start, session_time=0, **name))
        write(database, record(STOP, at=NOON + start + 600, session_time=600, **name))
    for _round in range(2):  # from sessions, then from history
        assert ask(database, "100.64.0.7", 300) == [("S-1", "certain")]
        assert ask(database, "100.64.0.7", 1300) == [("S-2", "certain")]
        assert ask(database, "100.64.0.7", 800) == ask(database, "100.64.0.8", 300) == []
        assert retain(database, KEPT, at(40))


def test_how_sure_it_is(database):
    """Certain between two reports; likely after the last one; possible when two claim it."""
    write(database, record(START, framed_address="100.64.0.7", interim=60), record(INTERIM, 300, interim=60))
    assert ask(database, "100.64.0.7", 200) == [("S-1", "certain")]
    assert ask(database, "100.64.0.7", 400) == [("S-1", "likely")]
    assert sweep_silent(database, moment(900)) == 1
    assert ask(database, "100.64.0.7", 800) == [("S-1", "likely")]
    write(
        database,
        record(START, 100, session_time=0, session_id=b"2", service="S-2", framed_address="100.64.0.7"),
    )
    assert sorted(ask(database, "100.64.0.7", 200)) == [("S-1", "possible"), ("S-2", "possible")]


def test_an_ipv6_address_inside_a_framed_or_delegated_prefix(database):
    """Any address of the prefix is the session's, in any spelling; its neighbour's is not."""
    given_: dict[str, Any] = {"framed_prefix": "2001:db8:1:2::/64", "delegated_prefix": "2001:db8:4000::/56"}
    write(database, record(START, framed_address6="2001:db8::5", **given_), record(STOP, 600, **given_))
    for address in ("2001:db8:1:2:ffff::1", "2001:0DB8:4000:00ff::9", "2001:db8::5"):
        assert ask(database, address, 60) == [("S-1", "certain")]
    for address in ("2001:db8:1:3::1", "2001:db8:4000:100::1", "2001:db8::6"):
        assert ask(database, address, 60) == []


def test_the_ports_that_the_nas_told_and_those_of_the_rule(database):
    """A shared public address needs a port; whose it is says the NAS (RFC 8045) or the pool's deterministic NAT."""
    told: dict[str, Any] = {"public_address": "198.51.100.1", "port_first": 2048, "port_last": 3071}
    write(database, record(START, framed_address="100.64.0.5", **told), record(STOP, 600))
    assert (
        ask(database, "198.51.100.1", 60, 2048)
        == ask(database, "198.51.100.1", 60, 3071)
        == [("S-1", "certain")]
    )
    assert ask(database, "198.51.100.1", 60, 3072) == []
    there = outside(CGN, "100.64.0.5")
    assert there is not None
    assert (there.address, there.first, there.last) == ("203.0.113.129", 17152, 33279)
    assert ask(database, there.address, 60, there.last, {"cgn": CGN}) == [("S-1", "likely")]
    assert ask(database, there.address, 60, there.last + 1, {"cgn": CGN}) == []
    with pytest.raises(AddressNotUsable, match="shared by many behind pool cgn: say which port"):
        ask(database, there.address, 60, None, {"cgn": CGN})


@pytest.mark.parametrize(("address", "port"), [("100.64.0", None), ("nobody", None), ("100.64.0.7", 70000)])
def test_what_is_no_address_is_said(database, address, port):
    """One sentence, no trace."""
    with pytest.raises(AddressNotUsable, match=address):
        ask(database, address, 0, port)


@given(
    st.integers(24, 30), st.integers(28, 32), st.integers(1, 64512), st.lists(st.integers(26, 30), max_size=3)
)
@settings(max_examples=60)
def test_the_rule_gives_every_inside_address_its_own_ports(inner, outer, ports, split):
    """Back through the rule is where one came from; no two share a port; a BNG's part shares no public address."""
    parts = {f"bng{n}": [f"100.64.{n}.0/{length}"] for n, length in enumerate(split)}
    pool = pool_of([f"100.64.0.0/{inner}"], f"203.0.113.0/{outer}", ports, parts)
    seen: dict[tuple[str, int], str] = {}
    owner: dict[str, int] = {}
    for part in range(len(split) or 1):
        for last in range(0, 256, 3):
            address = f"100.64.{part}.{last}"
            there = outside(pool, address)
            if there is None:
                continue
            assert 1024 <= there.first <= there.last <= 65535
            assert there.last - there.first + 1 == ports
            assert seen.setdefault((there.address, there.first), address) == address
            assert owner.setdefault(there.address, part) == part
            assert is_public_of(pool, there.address)
            for port in (there.first, there.last):
                assert inside(pool, there.address, port) == address
    wants, has = needed(pool)
    assert (wants <= has) == all(
        outside(pool, f"100.64.{part}.{(1 << 32 - length) - 1}") is not None
        for part, length in enumerate(split or [inner])
    )


def test_the_command_says_who_when_and_how_sure(node, recorded):
    """Text and JSON; status 1 for nobody, 3 for a moment that is none."""
    write(recorded, record(START, framed_address="100.64.0.7", login="s1@example.net"), record(STOP, 600))
    env = {**os.environ, "TRUNKLINE_HOME": str(node.home)}
    moment_text = (moment(0) + timedelta(seconds=60)).isoformat()

    def command(*args: str):
        return trunkline("radius", "who", *args, env=env)

    done = command("100.64.0.7", "--at", moment_text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("S-1: its address, 2025-11-20 12:00:00 to 2025-11-20 12:10:00 UTC at bng1")
    told = json.loads(command("100.64.0.7", "--at", moment_text, "--json").stdout)
    assert (told["schema"], [one["sure"] for one in told["holders"]]) == (
        "trunkline.radius-who/1",
        ["certain"],
    )
    done = command("100.64.0.8", "--at", "2025-11-20T12:01")
    assert (done.returncode, done.stdout) == (1, "nobody held 100.64.0.8 at 2025-11-20 12:01:00 UTC\n")
    for wrong, why in (
        (["100.64.0.7", "--at", "yesterday"], "is no moment"),
        (["x", "--at", "2025-11-20T12:01"], "'x' is no IPv4 or IPv6 address"),
        (["100.64.0.7", "--at", "2025-11-20T12:01", "--port", "0"], "cannot have port 0"),
    ):
        done = command(*wrong)
        assert (done.returncode, done.stdout) == (2, "")
        assert why in done.stderr
