"""Whatever bytes arrive, loading answers; whatever value is dumped, it loads again."""

import datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.problems import Problem
from intents import codes, dump, kinds, loader
from intents.kinds import KINDS
from intents.loader import Document
from intents.plan.schema import Plan, Price, RatePair, Slot
from intents.scalars import Amount, Duration, Rate, TimeOfDay, VlanSet, Volume
from intents.service.schema import Service, ServiceIpv6, Session
from intents.yaml_strict import parse
from tests.intents.files import network

PATHS = [*network(), "network/sites/x.yaml", "nowhere/x.yaml", "trunkline.yaml", "services/aa/bb/x.yaml"]
_FRAGMENTS = [line.encode() + b"\n" for text in network().values() for line in text.splitlines()]
_ODD = [
    b"\t",
    b"&a ",
    b"*a",
    b"!!str ",
    b"---\n",
    b"\xff",
    b"- ",
    b"? ",
    b"{",
    b"]",
    b"'",
    b'"',
    b"|\n",
    b"\\u0000",
]


def answered(path: str, raw: bytes) -> None:
    """Loading gives a document, or problems with known codes and places in the file."""
    found = loader.load(path, raw)
    if isinstance(found, Document):
        return
    assert found
    for one in found:
        assert isinstance(one, Problem)
        assert one.code in codes.CODES, one
        assert one.line <= raw.count(b"\n") + raw.count(b"\r") + 1
        str(one).encode()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PATHS), st.binary(max_size=200))
@example("trunkline.yaml", b"a: " + b"9" * 5000)
@example("trunkline.yaml", b"{" * 300)
@example("trunkline.yaml", b'"\\ud800"')
def test_loading_never_raises_on_any_bytes(path, raw):
    """Arbitrary bytes."""
    answered(path, raw)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PATHS), st.lists(st.sampled_from(_FRAGMENTS + _ODD), max_size=12))
def test_loading_never_raises_on_pieces_of_good_files(path, pieces):
    """Lines of good files in any order, with odd things between them: near to what people write."""
    answered(path, b"".join(pieces))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(network())), st.data())
def test_loading_never_raises_when_one_value_is_replaced(path, data):
    """A good file with any value in the place of one of its own."""
    import yaml

    if path.endswith(".j2"):
        return
    value, _ = parse(network()[path])
    holder = value
    while True:
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
        if not (isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans())):
            break
        holder = holder[key]
    holder[key] = data.draw(_JSON)
    answered(path, yaml.safe_dump(value, allow_unicode=True).encode())


ids = st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True)
lines = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
rates = st.builds(Rate, st.integers(0, 10**13))
pairs = st.builds(RatePair, down=rates, up=rates)
plans = st.builds(
    Plan,
    type=st.sampled_from(["voice", "iptv", "l2"]),
    name=st.none() | lines,
    rate=st.none() | pairs,
    schedule=st.lists(
        st.builds(
            Slot,
            days=st.sampled_from(["all", "weekend", ("mon",), ("sat", "sun")]),
            from_=st.builds(TimeOfDay, st.integers(0, 1440)),
            to=st.builds(TimeOfDay, st.integers(0, 1440)),
            rate=pairs,
        ),
        max_size=2,
    ).map(tuple),
    prices=st.lists(
        st.builds(
            Price,
            id=ids,
            from_=st.dates(),
            amount=st.decimals(-(10**6), 10**6, places=2).map(lambda number: Amount(str(number))),
            every=st.sampled_from(["month", "year"]),
            tax=st.none() | ids,
        ),
        max_size=1,
    ).map(tuple),
)
services = st.builds(
    Service,
    customer=ids,
    type=st.just("internet"),
    state=st.just("planned"),
    plan=ids,
    start=st.none() | st.dates(datetime.date(2000, 1, 1)),
    line=ids,
    session=st.none() | st.builds(Session, method=st.just("ipoe"), login=lines, circuit_id=st.none() | lines),
    ipv6=st.none() | st.builds(ServiceIpv6, wan=st.sampled_from(["slaac", "none"])),
    on_hold=st.sampled_from(["auto", "manual"]),
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.tuples(st.just("plan"), plans), st.tuples(st.just("service"), services)))
def test_what_is_dumped_loads_as_the_same_value(pair):
    """Canonical YAML keeps every text and number as it is: `NO`, `0o7`, `1e3`, `10:20:30`, dates, rates."""
    kind, value = pair
    path = kinds.path_of(kind, "x1")
    again = loader.load(path, dump.to_yaml(kind, value))
    assert isinstance(again, Document), again
    assert again.value == value


@given(st.sampled_from([Rate, Volume, Duration]), st.integers(0, 10**15))
def test_a_quantity_reads_back_what_it_writes(cls, number):
    """The unit is chosen so that nothing is lost."""
    assert cls.parse(cls(number).text) == number


@given(st.sets(st.integers(1, 4094), min_size=1, max_size=30))
def test_vlans_read_back_what_they_write(ids):
    """A set of VLANs covers exactly its ids."""
    made = VlanSet.parse(sorted(ids))
    assert set(made.ids()) == ids
    assert VlanSet.parse(made.text) == made


@given(st.sampled_from(sorted(set(KINDS) - {"config", "template", "hold"})), ids)
def test_a_path_and_its_identity_are_one(kind, identifier):
    """`parse_path` is the inverse of `path_of`."""
    assert kinds.parse_path(kinds.path_of(kind, identifier)) == (kind, identifier)
