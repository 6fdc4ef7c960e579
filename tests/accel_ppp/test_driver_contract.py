"""The accel_ppp driver keeps every promise of the driver contract: a real sshd, files in a folder, a stand-in.

accel-ppp itself cannot be had here; what these tests prove is the driver and its agent, not accel-ppp's answers.
"""

import msgspec
import pytest

from drivers import registry
from drivers.contract import CommitFailed, LiveSession
from tests.accel_ppp.conftest import Device, config
from tests.drivers.contract_suite import DriverContract, Subject
from tests.support import eventually

pytestmark = pytest.mark.real


class TestAccelPpp(DriverContract):
    @pytest.fixture
    def subject(self, device: Device) -> Subject:
        base = config()
        return Subject(
            target=device.target,
            base=base,
            other=config(bng1=("ac-name: bng1", "ac-name: other")),
            broken=base.replace("[pppoe]\n", "[pppoe\n"),
            live_session=device.dial,
            revert_in=1,
        )


def commit(device: Device, text: str, **how) -> None:
    """Replace and commit in a session of its own."""
    with registry.opened(device.target) as driver:
        driver.load_replace_candidate(config=text)
        driver.commit_config(**how)


def test_from_nothing_the_daemon_is_started_with_vlans_and_firewall(device: Device):
    """One commit makes S-VLANs, settings, firewall and starts accel-pppd."""
    commit(device, config())
    log = device.log()
    assert "systemctl restart" in log
    assert "ip link show eth1.100" in log
    assert f"nft -f {device.root}/etc/trunkline/firewall/rules.nft" in log
    assert (device.root / "etc/accel-ppp.conf").stat().st_mode & 0o777 == 0o600


def test_a_change_that_reload_takes_ends_no_session(device: Device):
    """Another AC name: `reload`, no restart, and the session lives on."""
    commit(device, config())
    device.dial()
    commit(device, config(bng1=("ac-name: bng1", "ac-name: other")))
    assert device.log().count("systemctl restart") == 1
    assert "cli reload" in device.log()
    with registry.opened(device.target) as driver:
        assert len(driver.observe().sessions or ()) == 1


POOL = {"east_cgn": ("100.65.0.0/24", "100.65.0.0/25")}


def test_the_comparison_says_when_a_restart_is_needed(device: Device):
    """Whoever approves the plan reads that every session ends, and why."""
    commit(device, config())
    with registry.opened(device.target) as driver:
        driver.load_replace_candidate(config=config(**POOL))
        assert driver.compare_config().splitlines()[-1].endswith("reload does not take: [ip-pool]")


def test_a_restart_is_refused_while_sessions_live_and_nothing_changes(device: Device):
    """The refusal counts the sessions and names the option."""
    commit(device, config())
    device.dial()
    before = (device.root / "etc/accel-ppp.conf").read_text()
    with pytest.raises(CommitFailed, match=r"1 sessions live on it.*restart: always") as caught:
        commit(device, config(**POOL))
    assert caught.value.restored
    assert (device.root / "etc/accel-ppp.conf").read_text() == before
    assert device.log().count("systemctl restart") == 1


def test_an_idle_daemon_is_restarted(device: Device):
    """Nobody is cut off."""
    commit(device, config())
    commit(device, config(**POOL))
    assert device.log().count("systemctl restart") == 2


def test_the_option_allows_a_restart_under_sessions(device: Device):
    """`options: {restart: always}` in the device's intent."""
    commit(device, config())
    device.dial()
    options = {**device.target.options, "restart": "always"}
    device.target = msgspec.structs.replace(device.target, options=options)
    commit(device, config(**POOL))
    assert device.log().count("systemctl restart") == 2


def test_a_later_accel_ppp_takes_pools_by_reload(device: Device):
    """What follows 1.14.0 rebuilds its pools under live sessions."""
    (device.root / "device/version").write_text("1.15.0")
    commit(device, config())
    device.dial()
    commit(device, config(**POOL))
    assert device.log().count("systemctl restart") == 1


def test_a_reload_that_fails_is_undone_and_the_daemon_s_words_are_told(device: Device):
    """accel-cmd says "failed"; the old files are back."""
    commit(device, config())
    before = (device.root / "etc/accel-ppp.conf").read_text()
    (device.root / "device/refuse-reload").touch()
    with pytest.raises(CommitFailed, match="failed"):
        commit(device, config(bng1=("ac-name: bng1", "ac-name: other")))
    assert (device.root / "etc/accel-ppp.conf").read_text() == before


def test_secrets_show_in_no_comparison_and_no_sanitized_configuration(device: Device):
    """A rotated secret shows as a difference, never as text."""
    commit(device, config())
    with registry.opened(device.target) as driver:
        driver.load_replace_candidate(config=config(bng1=("radius-secret", "fresh-secret")))
        shown = driver.compare_config() + driver.get_config(sanitized=True)["running"]
        assert "secrets differ" in shown
        assert "fresh-secret" not in shown
        assert "radius-secret" not in shown


def test_a_session_that_ignores_a_soft_end_is_ended_hard(device: Device):
    """PPP may say goodbye first; then the session goes anyhow."""
    commit(device, config())
    live = device.dial(login="stubborn")
    with registry.opened(device.target) as driver:
        assert driver.end_session(live) is True
    ends = [line for line in device.log() if line.startswith("cli terminate")]
    assert ends == [f"cli terminate sid {live.session_id} soft", f"cli terminate sid {live.session_id} hard"]


def test_a_session_of_another_login_is_left_alone(device: Device):
    """The id must be that of this login."""
    commit(device, config())
    live = device.dial()
    with registry.opened(device.target) as driver:
        assert driver.end_session(msgspec.structs.replace(live, login="x")) is False
        assert driver.observe().sessions == (live,)


def test_observation_reads_every_column_and_a_login_with_a_bar(device: Device):
    """The login is the last column: whatever stands in it, the others are right."""
    commit(device, config())
    first = device.dial()
    second = device.dial(login="odd | login", sid="5f3a1c00000002", number=10)
    with registry.opened(device.target) as driver:
        assert driver.observe().sessions == (first, second)


def test_without_a_session_id_interface_and_address_name_the_session(device: Device):
    """Accounting of a NAS that lost its id still finds it."""
    commit(device, config())
    live = device.dial()
    with registry.opened(device.target) as driver:
        asked = LiveSession("", live.login, live.interface, live.address)
        assert driver.end_session(asked) is True


def test_an_unconfirmed_restart_is_undone_by_a_restart(device: Device):
    """The device's timer brings the old pools back, which takes a restart as well."""
    commit(device, config())
    commit(device, config(**POOL), revert_in=1)
    eventually(lambda: device.log().count("systemctl restart") == 3, cap=20)
    eventually(lambda: "100.65.0.2-254" in (device.root / "device/loaded.conf").read_text(), cap=20)


def test_an_empty_set_stops_the_daemon(device: Device):
    """From nothing and back to nothing."""
    commit(device, config())
    commit(device, "")
    assert device.log()[-1] == "systemctl stop"
    assert not (device.root / "etc/accel-ppp.conf").exists()
    with registry.opened(device.target) as driver:
        assert driver.observe().sessions == ()
