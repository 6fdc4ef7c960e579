"""kill -9 of the device: what was acknowledged stays, an unconfirmed commit reverts, nothing is ever half."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers import registry
from drivers.contract import DeviceUnreachable, Driver, Target
from drivers.virtual.device import DeviceSpec
from drivers.virtual.fleet import VirtualFleet
from tests.drivers.conftest import LOGINS
from tests.support import ROOT, eventually

OLD = "system\n  hostname core1\n"
NEW = OLD + "interface et0\n  mtu 9000\n"


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    """The folder of a device that runs OLD and is switched off."""
    with VirtualFleet(tmp_path, [DeviceSpec(name="core1", role="router", logins=LOGINS)]):
        return tmp_path


class Powered(NamedTuple):
    """A device in a process of its own."""

    process: subprocess.Popen[str]
    target: Target

    def opened(self):
        return registry.opened(self.target)


@contextmanager
def powered(flash: Path) -> Iterator[Powered]:
    """Switch the device on; at the end it is killed, as in a power cut."""
    process = subprocess.Popen(
        [sys.executable, "-m", "drivers.virtual", str(flash)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        _, host, port, key = process.stdout.readline().split()
        password = LOGINS["net"].password
        yield Powered(
            process,
            Target(
                device="core1",
                platform="virtual",
                host=host,
                port=int(port),
                login="net",
                password=password,
                host_key=key,
            ),
        )
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def running(driver: Driver) -> str:
    return str(driver.get_config()["running"])


def commit(driver: Driver, configuration: str, **how) -> None:
    driver.load_replace_candidate(config=configuration)
    driver.commit_config(**how)


def test_a_killed_device_keeps_its_key_port_and_configuration(flash):
    """Everything that identifies a device is on its flash."""
    with powered(flash) as device, device.opened() as driver:
        commit(driver, NEW)
    with powered(flash) as device, device.opened() as driver:
        assert running(driver) == NEW


def test_an_unconfirmed_commit_reverts_at_start_when_its_time_has_passed(flash):
    """The deadline is on the flash; being dead does not stop it."""
    with powered(flash) as device, device.opened() as driver:
        commit(driver, NEW, revert_in=1)
        deadline = time.time() + 1
        assert running(driver) == NEW
    eventually(lambda: time.time() > deadline, cap=5)
    with powered(flash) as device, device.opened() as driver:
        assert running(driver) == OLD
        assert driver.has_pending_commit() is False


def test_an_unconfirmed_commit_still_waits_after_a_quick_restart_and_can_be_confirmed(flash):
    """A reboot is no confirmation and no refusal."""
    with powered(flash) as device, device.opened() as driver:
        commit(driver, NEW, revert_in=60)
    with powered(flash) as device, device.opened() as driver:
        assert driver.has_pending_commit() is True
        assert running(driver) == NEW
        driver.confirm_commit()
    with powered(flash) as device, device.opened() as driver:
        assert running(driver) == NEW
        assert driver.has_pending_commit() is False


def test_a_restarted_device_reverts_by_its_own_timer(flash):
    """The rest of the time runs on after the restart, with nobody logged in."""
    with powered(flash) as device, device.opened() as driver:
        commit(driver, NEW, revert_in=3)
    with powered(flash) as device:
        file = flash / "core1" / "configuration.json"
        eventually(lambda: b'"pending":null' in file.read_bytes(), cap=10)
        with device.opened() as driver:
            assert running(driver) == OLD


@pytest.mark.slow
def test_killed_in_a_storm_of_commits_the_device_runs_one_of_them(flash):
    """The flash has the last acknowledged configuration or the one that was under way; never a mixture."""
    acknowledged = [0]

    def storm(device: Powered) -> None:
        with device.opened() as driver:
            for number in range(64, 4000):
                commit(driver, f"{OLD}interface et0\n  mtu {number}\n")
                acknowledged.append(number)

    def storm_until_cut(device: Powered) -> None:
        with pytest.raises(DeviceUnreachable):
            storm(device)

    for _ in range(3):
        acknowledged[:] = [0]
        with powered(flash) as device:
            thread = threading.Thread(target=storm_until_cut, args=(device,))
            thread.start()
            eventually(lambda: len(acknowledged) > 20, cap=20)
            device.process.kill()
            thread.join(timeout=20)
        with powered(flash) as device, device.opened() as driver:
            mtu = int(running(driver).split("mtu ")[1])
        assert mtu in (acknowledged[-1], acknowledged[-1] + 1)
