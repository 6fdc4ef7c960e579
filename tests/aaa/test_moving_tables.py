"""What shadow keeps: counts that add up, the differences of today, and no more than it may, on both databases."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from aaa.models import moving_difference, moving_tally
from aaa.proxy import moving
from aaa.proxy.meaning import meaning
from aaa.proxy.movers import Movers
from aaa.proxy.moving import Found, Tally, forget, known_different, write
from aaa.proxy.shadow import differences
from aaa.radius import packet as wire
from aaa.radius.authenticate import Verdict
from aaa.radius.packet import Packet, pair
from aaa.vendors.policy import Policy
from aaa.vendors.registry import names, reply_block

ALL = moving.Only(Movers({"example.net": "shadow"}, {}, frozenset({"bng1"})))
DAY, NOW = date(2026, 11, 20), datetime(2026, 11, 20, 12, tzinfo=UTC)


def found(login: str, kind: str, at: datetime = NOW, nas: str = "bng1") -> Found:
    """A difference."""
    return Found(nas, login, "example.net", kind, "ours", "theirs", 1, at)


def test_counts_add_up_and_differences_are_todays(database):
    """Two workers' counts become one; a login's kinds are those of its last comparison; agreeing forgets it."""
    for what, number in (("agreed", 3), ("agreed", 4), ("rate", 2), ("differed", 2)):
        with database.write() as conn:
            write(conn, Counter({Tally(DAY, "example.net", "bng1", what): number}), [], [])
    with database.write() as conn:
        write(conn, {}, [found("a", "rate"), found("a", "pool"), found("b", "rate")], [])
    with database.write() as conn:
        write(conn, {}, [found("a", "rate", NOW + timedelta(hours=1))], [("bng1", "b")])
    with database.read() as conn:
        assert known_different(conn) == {("bng1", "a")}
        (row,) = moving.examples(conn, 10, ALL)
        assert (row["kind"], row["seen"], row["first_at"] < row["last_at"]) == ("rate", 2, True)
        (scope,) = moving.scopes(conn, "nas", DAY, ALL)
        assert (scope.agreed, scope.differed, scope.open, scope.percent, scope.ready) == (
            7,
            2,
            1,
            77.78,
            False,
        )
        assert moving.kinds(conn, DAY, ALL) == {"rate": 2}
        assert moving.scopes(conn, "realm", DAY + timedelta(days=1), ALL) == []
        assert moving.scopes(conn, "realm", DAY, replace(ALL, nas="bng2")) == []


def test_what_was_cut_over_is_neither_counted_nor_shown(database):
    """Of two realms at two NASes only what the old server still answers is there; by one or the other."""
    pairs = [
        ("one.net", "bng1"),
        ("one.net", "bng2"),
        ("two.net", "bng1"),
        ("", "bng1"),
        (moving.OTHERS, "bng2"),
    ]
    tally = {Tally(DAY, realm, nas, what): 1 for realm, nas in pairs for what in ("differed", "rate")}
    rows = [Found(nas, f"a@{realm}", realm, "rate", "o", "t", 1, NOW) for realm, nas in pairs]
    with database.write() as conn:
        write(conn, tally, rows, [])
    by_realm = moving.Only(Movers({"two.net": "shadow"}, {}, frozenset()))
    by_nas = moving.Only(Movers({}, {"bng2": "proxy"}, frozenset()))
    nobody = moving.Only(Movers({}, {}, frozenset()))
    told = []
    with database.read() as conn:
        for only in (by_realm, by_nas, nobody, replace(by_realm, realm="one.net")):
            scopes = [
                (one.name, one.open) for by in ("realm", "nas") for one in moving.scopes(conn, by, DAY, only)
            ]
            logins = sorted(one["login"] for one in moving.examples(conn, 10, only))
            gone = [name for _by, name in moving.cut_over(moving.compared(conn), only)]
            told.append((scopes, logins, moving.kinds(conn, DAY, only), gone))
    assert told == [
        ([("two.net", 1), ("bng1", 1)], ["a@two.net"], {"rate": 1}, ["one.net", "bng2"]),
        (
            [("(others)", 1), ("one.net", 1), ("bng2", 2)],
            ["a@(others)", "a@one.net"],
            {"rate": 2},
            ["two.net", "bng1"],
        ),
        ([], [], {}, ["one.net", "two.net", "bng1", "bng2"]),
        ([], [], {}, ["one.net", "bng2"]),
    ]


def test_no_more_is_kept_than_may_be(database, monkeypatch):
    """The newest differences stay, counts go after ninety days."""
    monkeypatch.setattr(moving, "_MOST", 5)
    rows = [found(f"l{number:02d}", "rate", NOW + timedelta(minutes=number)) for number in range(12)]
    old = Tally((NOW - timedelta(days=91)).date(), "example.net", "bng1", "agreed")
    with database.write() as conn:
        write(conn, {old: 1, Tally(DAY, "example.net", "bng1", "agreed"): 1}, rows, [])
        forget(conn, NOW)
    with database.read() as conn:
        assert sorted(conn.scalars(sa.select(moving_difference.c.login))) == [
            f"l{n:02d}" for n in range(7, 12)
        ]
        assert conn.scalars(sa.select(moving_tally.c.day)).all() == [DAY]


def accept(*pairs: bytes) -> Packet:
    """An Access-Accept of these attributes."""
    made = wire.read(wire.sealed(wire.ACCESS_ACCEPT, 1, bytes(16), b"s", b"".join(pairs)))
    assert made is not None
    return made


def test_one_speed_in_every_vendors_words():
    """50 up and 500 down is the same for whoever writes it; a burst, or another number, is not."""
    policy = Policy(down=500_000_000, up=50_000_000)
    block = reply_block("mikrotik", policy)
    wanted = frozenset({"down 500000000", "up 50000000"})
    for name in names():
        assert meaning(accept(reply_block(name, policy)).pairs)["rate"] == wanted, name
    for text, same in (
        (b"50M/500M", True),
        (b"50m/500000k", True),
        (b"50M/400M", False),
        (b"50M/500M 60M/600M", False),
    ):
        theirs = accept(pair(26, (14988).to_bytes(4) + pair(8, text)))
        kinds = [one.kind for one in differences(Verdict(block, ""), theirs)]
        assert kinds == ([] if same else ["rate"])


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    "more", [{}, {"garden": True}, {"pool4": "west-cgn", "pdpool": "west-pd", "vrf": "210"}]
)
def test_another_speed_differs_in_the_rate_alone(name, more):
    """Of every vendor's reply of ours, whatever else is in it: another speed, or none, is a difference of `rate`."""
    policy = Policy(down=500_000_000, up=50_000_000, **more)
    for other in (
        replace(policy, down=400_000_000),
        replace(policy, up=40_000_000),
        replace(policy, down=0, up=0),
    ):
        ours, theirs = reply_block(name, policy), accept(reply_block(name, other))
        kinds = {one.kind for one in differences(Verdict(ours, ""), theirs)}
        # juniper-cos: in the garden the garden's policy is also the limit of the upload.
        same = name == "juniper-cos" and policy.garden and other.down == policy.down
        assert kinds == (set() if same else {"rate"}), (name, other)


@pytest.mark.parametrize(
    ("vendor", "code", "value", "aspect", "text"),
    [
        (6527, 126, b"i:q:1:pir=50000", "rate", "up 50000000"),
        (6527, 126, b"e:r:rate=500000", "rate", "down 500000000"),
        (6527, 126, b"i:q:1:pir=5,cir=1", "rate", "Alc-Subscriber-QoS-Override = i:q:1:pir=5,cir=1"),
        (6527, 13, b"gold", "rate", "Alc-SLA-Prof-Str = gold"),
        (4874, 177, b"100m", "rate", "ERX-Cos-Shaping-Rate = 100m"),
        (4874, 10, b"no-mail", "filter", "ERX-Ingress-Policy-Name = no-mail"),
        (4874, 65, b"\x07TL-rate(500000000,1)", "rate", "down 500000000"),
        (4874, 65, b"\x01video", "filter", "ERX-Service-Activate = 1:video"),
        (9, 1, b"ip:sub-qos-policy-in=gold", "rate", "Cisco-AVPair = ip:sub-qos-policy-in=gold"),
        (2011, 2, b"odd", "other", "Huawei-Input-Average-Rate = 0x6f6464"),
    ],
)
def test_an_old_servers_own_words_are_of_their_kind(vendor, code, value, aspect, text):
    """What is no word of our tables is shown as it is, under the kind that it belongs to."""
    told = meaning([(26, vendor.to_bytes(4) + pair(code, value))])
    assert list(told) == [aspect]
    assert text in told[aspect]


def test_what_says_nothing_is_no_difference():
    """Class, greeting, keys, and an address that the NAS chooses do not count; a fixed address does."""
    quiet = [pair(25, b"x"), pair(18, b"hi"), pair(6, bytes((0, 0, 0, 2))), pair(8, b"\xff\xff\xff\xfe")]
    quiet.append(pair(26, (311).to_bytes(4) + pair(16, bytes(34))))
    assert differences(Verdict(b"", ""), accept(*quiet)) == []
    (one,) = differences(Verdict(b"", ""), accept(pair(8, bytes((192, 0, 2, 7)))))
    assert (one.kind, one.ours, one.theirs) == ("address", "-", "Framed-IP-Address = 192.0.2.7")
    (one,) = differences(Verdict(b"", "held"), accept())
    assert (one.kind, one.ours, one.theirs) == ("decision", "reject (held)", "accept")
