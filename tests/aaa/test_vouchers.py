"""Vouchers: sold as codes, kept as hashes, used at hotspots by whatever a hotspot sends, over when they are over."""

import csv
import io
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from aaa.accounting.record import INTERIM, START, STOP
from aaa.limits import telling, vouchers
from aaa.limits.codes import Codes, new_code, normal
from aaa.limits.limit import VOUCHER, Limit, Limits
from aaa.limits.vouchers import Made, Terms, VoucherNotUsable
from aaa.models import refusal, session, voucher
from aaa.observe.tail import listening
from aaa.radius.packet import pair
from aaa.vendors.registry import text_of
from aaa.view.compile import compile_voucher, hotspots
from aaa.view.records import Access, Wanted, class_of, decode, service_key, voucher_key
from aaa.view.seal import Seal
from cli.radius.voucher import app
from core import clock, events
from core.db import Database
from tests.aaa.limited import Limited
from tests.aaa.network import reading
from tests.aaa.test_accounting import record, write
from tests.support import eventually
from tests.world import World

NOON = datetime(2025, 11, 20, 12, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
MAC, OTHER = "00:11:22:33:44:0a", "00:11:22:33:44:0b"


def hotspot(network, name: str, vendor: str, source: str) -> tuple[str, str]:
    """A NAS that takes vouchers."""
    network.bng(name, vendor, source, ma="auto")
    text = network.texts["device", name].replace("  coa:", "  hotspot: true\n  coa:")
    network.put("device", name, text)
    return "device", name


class Shop:
    """A view in which vouchers are sold."""

    def __init__(self, limited: Limited, codes: Codes) -> None:
        self.limited, self.codes = limited, codes

    def sell(self, **terms: Any) -> Made:
        with self.limited.recorded.write() as conn:
            (made,) = vouchers.create(conn, self.codes, Terms("fibre-100", **terms), 1, "cafe", "kim")
        self.limited.settle()
        return made

    def access(self, made: Made) -> Access:
        digest = self.codes.digest(made.code)
        assert digest is not None
        found: Access = self.limited.record(voucher_key(digest), Access)
        return found

    def wanted(self, made: Made) -> Wanted:
        found: Wanted = self.limited.record(service_key(made.voucher), Wanted)
        return found

    def session(self, made: Made, kind: int, after: int = 0, calling: str = MAC, **more: Any) -> None:
        """Accounting of the voucher's session, as a worker reads it."""
        given: dict[str, Any] = {
            "service": made.voucher,
            "calling": calling,
            "reject": True,
            "session_id": calling.encode(),
        }
        write(
            self.limited.recorded,
            record(kind, after, at=clock.now().timestamp(), session_time=after, **given | more),
        )
        self.limited.settle()

    def state(self, made: Made) -> str:
        with self.limited.recorded.read() as conn:
            found = conn.scalar(sa.select(voucher.c.state).where(voucher.c.voucher == made.voucher))
        return str(found)


@pytest.fixture
def shop(database, tmp_path, network):
    hotspot(network, "spot1", "mikrotik", "127.0.0.3")
    limited = Limited(database, Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield Shop(limited, Codes.of(tmp_path))
    limited.derived.close()


def test_a_voucher_lasts_from_its_first_login_and_is_of_its_first_device(shop):
    """24 hours: told as Session-Timeout before the first login, an end afterwards; bound to the MAC that came first;
    over at its end, and then it is held, not unknown.
    """
    with clock.frozen(NOON):
        made = shop.sell(seconds=86400)
        access = shop.access(made)
        assert (access.macs, access.until, set(access.nas)) == ((), 0, {"spot1"})
        told = text_of(access.blocks[0])
        assert "Session-Timeout = 86400" in told
        assert "Mikrotik-Rate-Limit = 20000000/100000000" in told
        clock.advance(timedelta(hours=1))
        shop.session(made, START)
        access = shop.access(made)
        assert (access.macs, access.status) == ((b"00112233440a",), "full")
        assert access.until == int((NOON + timedelta(hours=25)).timestamp())
        clock.advance(timedelta(minutes=10))
        shop.session(made, STOP, 600)
        assert shop.access(made).status == "ok"
        clock.advance(timedelta(hours=24))
        shop.limited.settle()
        assert (shop.state(made), shop.access(made).status, shop.wanted(made).policy) == (
            "used",
            "held",
            None,
        )
        clock.advance(timedelta(days=31))
        shop.limited.settle()
        assert shop.access(made) is None
        assert shop.limited.rows() == shop.limited.cold()


def test_a_voucher_for_two_devices_takes_two_and_no_third(shop):
    """Bound as they come; with both there it is full, and theirs alone."""
    made = shop.sell(seconds=3600, devices=2)
    shop.session(made, START, most=2)
    assert (shop.access(made).macs, shop.access(made).status) == ((), "ok")
    shop.session(made, START, calling=OTHER, most=2)
    assert (len(shop.access(made).macs), shop.access(made).status) == (2, "full")


def test_a_voucher_of_two_gigabytes_ends_with_them(shop):
    """Octets of interims count both ways; the session is to end, and the next login is held."""
    made = shop.sell(octets=2 * 10**9)
    assert shop.wanted(made).metered
    shop.session(made, START, metered=True)
    shop.session(made, INTERIM, 300, up=10**9, down=9 * 10**8, metered=True)
    assert shop.state(made) == "active"
    shop.session(made, INTERIM, 600, up=10**9, down=10**9, metered=True)
    assert (shop.state(made), shop.access(made).status, shop.wanted(made).policy_hash) == (
        "used",
        "held",
        "blocked",
    )


def test_a_hotspot_is_told_what_is_left_of_a_voucher_at_each_login(shop):
    """All of 10 GB at the first login, beyond 32 bits in two attributes; what its sessions left when one has ended,
    both ways and of all devices; a live session changes nothing; nothing left is held. `limits` tells each way.
    """
    shop.limited.settle(hotspot(shop.limited.network, "spot2", "chillispot", "127.0.0.4"))
    made = shop.sell(octets=10 * 10**9, devices=2)

    def told() -> list[str]:
        access = shop.access(made)
        return [one for one in text_of(access.blocks[access.nas["spot2"]]) if "Max-Total" in one]

    assert told() == ["ChilliSpot-Max-Total-Octets = 1410065408", "ChilliSpot-Max-Total-Gigawords = 2"]
    shop.session(made, START, metered=True)
    shop.session(made, INTERIM, 300, up=10**9, down=10**9, metered=True)
    assert told() == ["ChilliSpot-Max-Total-Octets = 1410065408", "ChilliSpot-Max-Total-Gigawords = 2"]
    shop.session(made, START, calling=OTHER, metered=True)
    shop.session(made, STOP, 600, up=10**9, down=9 * 10**9 - 1000, metered=True)
    assert told() == ["ChilliSpot-Max-Total-Octets = 1000"]
    with shop.limited.recorded.read() as conn:
        (used,) = telling.told(conn, made.voucher).used
    assert (used["up_octets"], used["down_octets"], used["seconds"]) == (10**9, 9 * 10**9 - 1000, 600)
    shop.session(made, STOP, 300, calling=OTHER, up=500, down=500, metered=True)
    assert (shop.state(made), shop.access(made).status) == ("used", "held")
    assert shop.limited.rows() == shop.limited.cold()


def test_a_voucher_of_an_older_version_is_told_whole_until_it_begins(shop):
    """Its row says nothing of what is left: all of it before the first login, no guess afterwards."""
    for begun, told in ((False, "ChilliSpot-Max-Total-Octets = 1000"), (True, "")):
        data = {"digest": "00", "plan": "fibre-100", "octets": 1000, "begun": begun}
        limit = Limit("voucher-old", VOUCHER, "voucher", data=data)
        network = shop.limited.network
        hotspot(network, "spot2", "chillispot", "127.0.0.4")
        with reading(network) as reader:
            limits = Limits({"voucher-old": (limit,)})
            records = compile_voucher(reader, "voucher-old", limits, hotspots(reader))
        access = decode(records[-1].record, Access)
        assert access is not None
        attributes = text_of(access.blocks[access.nas["spot2"]])
        assert next((one for one in attributes if "Max-Total" in one), "") == told


def test_a_cancelled_batch_is_over_and_said_who_did_it(shop):
    """By the batch's name, a code as people type it, or an id; twice is once; nobody's code is said again."""
    one, two = shop.sell(seconds=60), shop.sell(seconds=60)
    with shop.limited.recorded.write() as conn:
        assert vouchers.find(conn, shop.codes, one.code.lower().replace("-", " ")) == [one.voucher]
        assert vouchers.cancel(conn, vouchers.find(conn, shop.codes, "cafe"), "lee") == 2
        assert vouchers.cancel(conn, vouchers.find(conn, shop.codes, two.voucher), "lee") == 0
        assert {event.actor for event in events.recent(conn, ["voucher.cancelled"])} == {"lee"}
        with pytest.raises(VoucherNotUsable) as refused:
            vouchers.find(conn, shop.codes, new_code())
    assert "-" not in str(refused.value)
    shop.limited.settle()
    assert shop.access(one).status == "held"


def test_a_voucher_begins_on_its_first_day_and_ends_with_its_last(shop):
    """Before: held. Within: as long as it has seconds, and no longer than its last day."""
    with clock.frozen(NOON):
        first, last = NOON + timedelta(days=1), NOON + timedelta(days=2)
        made = shop.sell(seconds=10 * 86400, valid_from=first, valid_until=last)
        assert (shop.state(made), shop.access(made).status) == ("early", "held")
        clock.advance(timedelta(days=1))
        shop.limited.settle()
        assert (shop.state(made), shop.access(made).status) == ("fresh", "ok")
        shop.session(made, START)
        assert shop.access(made).until == int(last.timestamp())


def test_hotspots_and_plans_that_change_are_effective_in_every_voucher(shop):
    """Another hotspot, another speed: the vouchers know without being made again."""
    made = shop.sell(seconds=60)
    network = shop.limited.network
    shop.limited.settle(hotspot(network, "spot2", "chillispot", "127.0.0.4"))
    network.plan("fibre-100", "10M", "1M")
    shop.limited.settle(("plan", "fibre-100"))
    access = shop.access(made)
    assert set(access.nas) == {"spot1", "spot2"}
    assert "ChilliSpot-Bandwidth-Max-Down = 10000" in text_of(access.blocks[access.nas["spot2"]])
    assert shop.limited.rows() == shop.limited.cold()


def test_a_code_is_kept_nowhere(shop, tmp_path):
    """Neither the recorded database nor the view has a code; the key that hashes them is 0600."""
    made = shop.sell(seconds=60)
    shop.session(made, START, login=made.voucher)
    letters = normal(made.code).encode()
    assert not any(letters in key + rest for key, _owner, rest in shop.limited.rows())
    with shop.limited.recorded.read() as conn:
        for table in (voucher, session):
            assert letters.decode() not in repr(conn.execute(sa.select(table)).all()).replace("-", "")
    assert (tmp_path / "voucher.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("terms", "count", "why"),
    [
        ({}, 1, "good for ever"),
        ({"seconds": 1}, 0, "0 vouchers"),
        ({"seconds": 1, "devices": 99}, 1, "99 devices"),
        ({"valid_until": NOON}, 1, "over already"),
        ({"valid_from": LATER, "valid_until": LATER}, 1, "before they begin"),
        ({"octets": 1 << 63}, 1, "cannot be counted"),
        ({"seconds": 1, "batch": "b" * 64}, 1, "at most 63 characters"),
    ],
)
def test_vouchers_that_make_no_sense_are_not_made(shop, terms, count, why):
    """One sentence, and nothing is written."""
    given = {"batch": "b"} | terms
    batch = given.pop("batch")
    with pytest.raises(VoucherNotUsable, match=why), shop.limited.recorded.write() as conn:
        vouchers.create(conn, shop.codes, Terms("fibre-100", **given), count, batch, "kim")


def test_a_code_is_the_same_however_it_is_typed():
    """Small letters, blanks, no dashes, an en dash; never 0, 1, I or O; what is no code is none."""
    code = new_code()
    assert len(normal(code)) == 12
    assert not set(normal(code)) & set("01IO")
    typed = [code.lower(), code.replace("-", ""), code.replace("-", " "), code.replace("-", "\u2013")]
    assert {normal(one) for one in typed} == {normal(code)}
    assert normal("s1@example.net") == normal("K7QF-2MWX") == ""


def test_a_hotspot_logs_a_voucher_in_by_whatever_it_sends(node, network, recorded, anew):
    """PAP with no, the same or another password, and CHAP, as MikroTik's and ChilliSpot's hotspots send them: accepted
    with the database away, at hotspots only; a BNG's NAS refuses it; accounting, refusals and whoever tails see its id,
    not the code.
    """
    hotspot(network, "spot1", "mikrotik", "127.0.0.1")
    network.drop("device", "bng1")
    network.put(
        "edge",
        "west",
        network.texts["edge", "west"].replace("  - {device: bng1, port: bond1, priority: 200}\n", ""),
    )
    limited = Limited(recorded, Database(f"sqlite:///{node.home / 'other.db'}"), network, Seal.of(node.home))
    shop = Shop(limited, Codes.of(node.home))
    made = shop.sell(seconds=3600)
    server, client = anew(network, limited.limits())
    calling = pair(31, MAC.encode())
    with listening(node.home) as events:
        server.worker.watched.look()
        assert client.login(made.code, "", attributes=calling, ppp=False).accepted
        seen = next(events)
    server.worker.watched.look()
    assert seen is not None
    assert (seen.login, seen.service) == (made.voucher, made.voucher)
    for password, chap in (("", False), (made.code, False), ("x", False), (made.code, True), ("", True)):
        reply = client.login(made.code.lower(), password, chap=chap, attributes=calling, ppp=False)
        assert reply.accepted, (password, chap)
        assert "Session-Timeout = 3600" in reply.attributes
    assert not client.login(new_code(), "", attributes=calling, ppp=False).accepted
    from tests.aaa.conftest import client_of

    other = client_of(server, "127.0.0.2")
    assert not other.login(made.code, "", attributes=calling, ppp=False).accepted
    other.close()
    start = pair(40, struct.pack(">I", 1)) + pair(44, b"hot-1") + pair(1, made.code.encode()) + calling
    assert client.account(start + class_of(made.voucher, "p"))

    def told() -> tuple[str, str]:
        with recorded.read() as conn:
            return conn.scalar(sa.select(session.c.login)), conn.scalar(
                sa.select(refusal.c.login).where(refusal.c.reason == "wrong-port")
            )

    assert eventually(lambda: None not in (seen := told()) and seen, cap=5) == (made.voucher, made.voucher)
    limited.derived.close()


def test_the_command_makes_lists_and_cancels(tmp_path, monkeypatch):
    """create prints each code once, as text, JSON or CSV; list has none; cancel by code; a plan that is not there is
    named with those that are.
    """
    world = World(tmp_path / "home")
    world.one.settle()
    world.close()
    monkeypatch.setenv("TRUNKLINE_HOME", str(tmp_path / "home"))

    def ask(*args: str):
        return CliRunner().invoke(app, args)

    wrong = ask("create", "--plan", "nothing", "--hours", "1")
    assert wrong.exit_code == 2
    plan = wrong.stderr.replace("│", " ").split("there are ")[1].split(",")[0].split()[0]
    done = ask(
        "create", "--plan", plan, "--count", "2", "--hours", "24", "--data", "2G", "--batch", "cafe", "--csv"
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["batch"] for row in rows] == ["cafe", "cafe"], done.stderr
    assert ask("cancel", rows[0]["code"]).stdout == "1 voucher cancelled\n"
    told = json.loads(ask("list", "--batch", "cafe", "--json").stdout)
    assert sorted(one["state"] for one in told["vouchers"]) == ["cancelled", "fresh"]
    assert rows[1]["code"] not in json.dumps(told)
