"""Faults on demand: each looks to the driver as it does on a real network."""

import msgspec
import pytest

from drivers import registry
from drivers.contract import CommitFailed, DeviceUnreachable, LoginRefused
from drivers.virtual.device import DeviceSpec
from drivers.virtual.faults import KINDS
from drivers.virtual.fleet import VirtualFleet
from tests.drivers.conftest import LOGINS

NEW = """system
  hostname router1
interface et0
  mtu 9000
  address 192.0.2.0/31
  address 2001:db8::/127
  ospf area 0.0.0.0
router
  neighbor 198.51.100.2
    remote-asn 64500
"""


@pytest.fixture
def router(fleet):
    return fleet["router1"]


@pytest.fixture
def target(fleet):
    return fleet.target("router1", "net", timeout=2.0)


def test_a_refused_login(router, target):
    """refuse-login: terminal, as with a changed password."""
    router.faults.set("refuse-login")
    with pytest.raises(LoginRefused):
        registry.create(target).open()
    router.faults.clear("refuse-login")
    with registry.opened(target) as driver:
        assert driver.is_alive() == {"is_alive": True}


def test_a_device_that_hangs(router, target):
    """hang: the driver gives up after its time-out, retryable."""
    router.faults.set("hang", "show configuration")
    with registry.opened(msgspec.structs.replace(target, timeout=0.3)) as driver:
        assert driver.has_pending_commit() is False
        with pytest.raises(DeviceUnreachable, match="in time"):
            driver.get_config()


def test_a_connection_that_drops_before_the_commit(router, target):
    """drop-before-commit: the driver does not know; the device is unchanged and unlocked."""
    router.faults.set("drop-before-commit")
    with registry.opened(target) as driver:
        driver.load_replace_candidate(config=NEW)
        with pytest.raises(DeviceUnreachable, match="ended during 'commit'"):
            driver.commit_config()
    assert "et0" not in router.configuration.running
    router.faults.clear()
    with registry.opened(target) as driver:
        driver.load_replace_candidate(config=NEW)
        driver.commit_config()
    assert router.configuration.running == NEW


def test_a_connection_that_drops_after_the_commit(router, target):
    """drop-after-commit: asked again, the device says that it runs the new configuration, unconfirmed."""
    router.faults.set("drop-after-commit")
    with registry.opened(target) as driver:
        driver.load_replace_candidate(config=NEW)
        with pytest.raises(DeviceUnreachable):
            driver.commit_config(revert_in=60)
    with registry.opened(target) as driver:
        assert driver.has_pending_commit() is True
        assert driver.get_config()["running"] == NEW


def test_a_line_that_the_hardware_rejects(router, target):
    """reject: the commit fails with the device's words and the old configuration runs."""
    router.faults.set("reject", "mtu 9000")
    with registry.opened(target) as driver:
        driver.load_replace_candidate(config=NEW)
        with pytest.raises(CommitFailed, match="'mtu 9000' is not accepted by the hardware") as caught:
            driver.commit_config()
        assert caught.value.restored is True
        assert "et0" not in driver.get_config()["running"]


def test_a_slow_device_answers_late(router, target):
    """slow: every answer takes its time; a shorter time-out gives up."""
    router.faults.set("slow", "0.5")
    with (
        registry.opened(msgspec.structs.replace(target, timeout=0.2)) as driver,
        pytest.raises(DeviceUnreachable),
    ):
        driver.has_pending_commit()
    with registry.opened(target) as driver:
        assert driver.has_pending_commit() is False


def test_neighbours_that_are_down(router, target):
    """down: what the gates of a rollout see."""
    with registry.opened(target) as driver:
        driver.load_replace_candidate(config=NEW)
        driver.commit_config()
        assert {(n.protocol, n.neighbour, n.up) for n in driver.observe().neighbours or ()} == {
            ("ospf", "et0", True), ("ospf6", "et0", True), ("bgp", "198.51.100.2", True),
        }  # fmt: skip
        router.faults.set("down", "et0")
        assert {n.neighbour: n.state for n in driver.observe().neighbours or ()} == {
            "et0": "Down", "198.51.100.2": "Established",
        }  # fmt: skip


def test_an_unknown_fault_is_refused(router):
    """A typing mistake must not look like a passed test."""
    with pytest.raises(ValueError, match="unknown fault"):
        router.faults.set("refuse-logins")


def test_every_fault_is_tested_here():
    """A fault that nobody tries may not work."""
    tried = {"refuse-login", "hang", "drop-before-commit", "drop-after-commit", "reject", "slow", "down"}
    assert tried == KINDS


def test_faults_survive_a_restart(tmp_path):
    """They are a file: an operator of the demo can write it with an editor."""
    spec = DeviceSpec(name="r1", role="router", logins=LOGINS)
    VirtualFleet(tmp_path, [spec])["r1"].faults.path.write_text("# by hand\n\ndown et0\nslow 0\n")
    assert VirtualFleet(tmp_path, [spec])["r1"].faults.of("down") == ["et0"]
