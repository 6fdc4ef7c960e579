"""The kea driver keeps every promise of the driver contract, on a real Kea."""

import pytest

from cli.lab.ipoe import IpoeLab
from drivers import registry
from drivers.contract import CommitFailed, LiveSession, ObjectOp
from drivers.kea.driver import KeaDriver
from inventory.resolve import resolve_device
from renderers.kea.renderer import render
from tests.drivers.contract_suite import DriverContract, Subject
from tests.kea.network import CIRCUIT, Opened, documents, reader
from tests.support import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow]
CGN = 0x64400000
"""Kea's id of 100.64.0.0/24: the prefix itself."""
CIRCUITS = tuple(
    ObjectOp(op="put", kind="reservation", key={"circuit": name.encode().hex()}, attributes=attributes)
    for name, attributes in (
        ("a", {"class": "tl-perth-cgn", "address": ""}),
        ("b", {"class": "tl-perth-public", "address": "203.0.113.9"}),
        ("c", {"class": "tl.nothing"}),
    )
)


def config(**replaced: tuple[str, str]) -> str:
    """The rendered configuration of the small network."""
    return render(resolve_device(reader(documents(**replaced)), "kea1"), Opened()).config


class TestKea(DriverContract):
    @pytest.fixture
    def subject(self, lab: IpoeLab) -> Subject:
        base = config()

        def lease() -> LiveSession:
            with registry.opened(lab.target) as driver:
                assert isinstance(driver, KeaDriver)
                lease = {"ip-address": "100.64.0.9", "hw-address": "02:00:00:00:00:09", "subnet-id": CGN}
                add = f"kea.command('lease4-add', **{lease})"
                asked = f"import sys; sys.path.insert(0, '/etc/trunkline'); import kea; print({add})"
                assert "'result': 0" in driver._run(f'python3 -c "{asked}"').output
                return next(one for one in driver.observe().sessions or () if one.address == "100.64.0.9")

        return Subject(
            target=lab.target,
            base=base,
            other=config(kea=("lease: 10", "lease: 20")),
            broken=base.replace('"subnet4": [', '"subnet4": [[', 1),
            live_session=lease,
            objects=CIRCUITS,
            revert_in=2,
        )


def test_a_refusal_names_the_line_in_kea_s_own_words(lab: IpoeLab):
    """Kea's parser says where; what runs stays."""
    with registry.opened(lab.target) as driver:
        driver.load_replace_candidate(
            config=config().replace('"authoritative": true', '"authoritative": maybe')
        )
        with pytest.raises(CommitFailed, match=r"kea-dhcp4\.conf:\d+") as caught:
            driver.commit_config()
        assert caught.value.restored


def test_an_address_is_reserved_once_and_the_others_of_the_batch_go_on(lab: IpoeLab):
    """Kea would refuse the whole file; the driver refuses the one object and says whose the address is."""
    taken, free = CIRCUITS[1], CIRCUITS[0]
    thief = ObjectOp(
        op="put", kind="reservation", key={"mac": "02:00:00:00:00:01"}, attributes=taken.attributes
    )
    with registry.opened(lab.target) as driver:
        driver.load_replace_candidate(config=config())
        driver.commit_config()
        results = driver.apply_objects([taken, thief, free])
        assert [(one.ok, one.changed) for one in results] == [(True, True), (False, False), (True, True)]
        assert f"circuit-id {b'b'.hex()}" in results[1].answer
        gone = [ObjectOp(op="delete", kind=one.kind, key=one.key) for one in (taken, free)]
        assert all(one.ok for one in driver.apply_objects(gone))


def test_an_unknown_circuit_lands_in_the_garden_where_the_option_says_so(lab: IpoeLab):
    """A new line shows the page at once; the first reservation that names it leads out at the next renewal."""
    here = {"circuit": CIRCUIT.encode().hex()}
    with registry.opened(lab.target) as driver:
        driver.load_replace_candidate(config=config(kea=("lease: 10", "unknown: garden, lease: 10")))
        driver.commit_config()
        driver.apply_objects([ObjectOp(op="delete", kind="reservation", key=here)])
        lab.plug_in()
        eventually(lambda: lab.address().startswith("100.127.0."), cap=25)
        known = ObjectOp(op="put", kind="reservation", key=here, attributes={"class": "tl-perth-cgn"})
        assert driver.apply_objects([known])[0].ok
        eventually(lambda: lab.address().startswith("100.64.0."), cap=25)
        lab.unplug()
        driver.apply_objects([ObjectOp(op="delete", kind="reservation", key=here)])
        driver.load_replace_candidate(config=config())
        driver.commit_config()


@pytest.mark.parametrize(
    ("key", "attributes", "why"),
    [
        ({"circuit": "xyz"}, {}, "octets in hex"),
        ({"mac": "02-00"}, {}, "aa:bb"),
        ({"circuit": "61", "mac": "02:00:00:00:00:01"}, {}, "named by circuit or mac"),
        ({"circuit": "61"}, {"class": 'x", "evil'}, "client class"),
        ({"circuit": "61"}, {"class": "a", "address": "1.2.3.400"}, "no IPv4 address"),
        ({"circuit": "61"}, {"colour": "blue"}, "no attribute colour"),
    ],
)
def test_what_is_no_reservation_is_refused_before_anything_is_sent(lab: IpoeLab, key, attributes, why):
    """One clear sentence, and nothing on the device changes."""
    with registry.opened(lab.target) as driver:
        [result] = driver.apply_objects(
            [ObjectOp(op="put", kind="reservation", key=key, attributes=attributes)]
        )
    assert not result.ok
    assert why in result.answer
