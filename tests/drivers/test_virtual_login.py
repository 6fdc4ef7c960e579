"""Getting into a virtual device: keys, passwords, the limit of sessions, the lock, the prompt, its subscribers."""

import subprocess

import paramiko
import pytest

from drivers import registry
from drivers.contract import CommitFailed, DeviceUnreachable, LiveSession, LoginRefused, Target
from drivers.ssh import Connection, fingerprint
from drivers.virtual.device import DeviceSpec, Login
from drivers.virtual.fleet import VirtualFleet
from tests.drivers.conftest import LOGINS, PASSWORD
from tests.support import eventually, need


@pytest.fixture
def key_path(tmp_path):
    path = tmp_path / "id"
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def test_a_public_key_opens_without_a_password(tmp_path, key_path):
    """The key that the device knows logs in; another one does not."""
    public = key_path.with_suffix(".pub").read_text()
    specs = [
        DeviceSpec(name="r1", role="router", logins={"net": Login(public_keys=(public,))}),
        DeviceSpec(name="r2", role="router", logins=LOGINS),
    ]
    with VirtualFleet(tmp_path / "flash", specs) as fleet:
        with registry.opened(fleet.target("r1", "net", key_path=str(key_path))) as driver:
            assert driver.get_facts()["hostname"] == "r1"
        with pytest.raises(LoginRefused):
            registry.create(fleet.target("r2", "net", key_path=str(key_path))).open()
        with pytest.raises(LoginRefused):
            registry.create(fleet.target("r1", "net")).open()


def test_the_fingerprint_is_the_one_that_openssh_shows(fleet, tmp_path):
    """What an operator pins comes from ssh-keygen or ssh-keyscan."""
    file = tmp_path / "key.pub"
    file.write_bytes(fleet["bng1"].key.export_public_key())
    shown = subprocess.run([need("ssh-keygen"), "-lf", file], check=True, capture_output=True, text=True)
    assert shown.stdout.split()[1] == fleet["bng1"].host_key == fingerprint(fleet["bng1"].key.public_data)


def test_more_sessions_than_the_device_has_are_worth_another_try(fleet):
    """The limit is the device's; when a session ends there is room again."""
    target = fleet.target("router1", "net", timeout=5.0)
    held = [Connection(target) for _ in range(fleet["router1"].spec.sessions)]
    with pytest.raises(DeviceUnreachable):
        Connection(target)
    held[0].close()
    eventually(lambda: _can_open(target), cap=5)
    for connection in held[1:]:
        connection.close()


def _can_open(target: Target) -> bool:
    try:
        Connection(target).close()
    except DeviceUnreachable:
        return False
    return True


def test_a_candidate_belongs_to_one_session_and_goes_with_it(fleet):
    """Two writers never mix: the second is told who holds the lock; a lost session frees it."""
    target = fleet.target("router1", "net")
    config = "system\n  hostname other\n"
    with registry.opened(target) as first:
        first.load_replace_candidate(config=config)
        with registry.opened(target) as second, pytest.raises(CommitFailed, match="locked by session"):
            second.load_replace_candidate(config=config)
    with registry.opened(target) as third:
        assert third.compare_config() == ""
        third.load_replace_candidate(config=config)


def test_a_second_commit_waits_for_the_confirmation_of_the_first(fleet):
    """Only one commit is unconfirmed at a time."""
    with registry.opened(fleet.target("router1", "net")) as driver:
        driver.load_replace_candidate(config="system\n  hostname a\n")
        driver.commit_config(revert_in=60, message="set 1")
        driver.load_replace_candidate(config="system\n  hostname b\n")
        with pytest.raises(CommitFailed, match="waits for its confirmation"):
            driver.commit_config()
        driver.confirm_commit()
        with pytest.raises(CommitFailed, match="no commit to confirm"):
            driver.confirm_commit()


def test_people_get_a_prompt(fleet):
    """The same commands by hand, with a lone dot as the end of a text."""
    device = fleet["router1"]
    transport = paramiko.Transport((device.spec.host, device.spec.port))
    try:
        transport.connect(username="net", password=PASSWORD)
        channel = transport.open_session()
        channel.settimeout(5)
        channel.invoke_shell()
        typed = ["load merge", "interface et0", "  mtu 9000", ".", "compare", "commit", "nonsense", "exit"]
        channel.sendall("".join(f"{line}\n" for line in typed).encode())
        shown = b""
        while part := channel.recv(4096):
            shown += part
        assert b"router1> " in shown
        assert b"+ interface et0" in shown
        assert channel.recv_exit_status() == 0
    finally:
        transport.close()
    assert "mtu 9000" in device.configuration.running


def test_ending_a_session_tells_the_nas_stand_in(fleet):
    """`clear session` calls `on_end`, where a stand-in sends its Accounting-Stop."""
    ended: list[LiveSession] = []
    bng = fleet["bng1"]
    bng.sessions.on_end = ended.append
    session = LiveSession("81A0001", "s10482@example.net", "bond1.101", "100.64.0.9", "02:00:5e:10:00:01")
    bng.sessions.open(session)
    with registry.opened(fleet.target("bng1", "net")) as driver:
        assert driver.observe().sessions == (session,)
        assert driver.end_session(session) is True
        assert driver.end_session(session) is False
    assert ended == [session]


def test_a_stand_in_in_another_program_adds_sessions_by_command(fleet):
    """`test session` is the control hook over SSH."""
    with Connection(fleet.target("bng1", "net")) as connection:
        assert connection.run("test session 7 s1@example.net 100.64.0.1").status == 0
    assert fleet["bng1"].sessions.live["7"].address == "100.64.0.1"


def test_stations_of_an_access_point_are_counted(fleet):
    """A station that a fault takes down is gone."""
    ap = fleet["ap1"]
    ap.stations |= {"02:00:5e:10:00:01", "02:00:5e:10:00:02"}
    ap.faults.set("down", "02:00:5e:10:00:02")
    with registry.opened(fleet.target("ap1", "net")) as driver:
        assert driver.observe().stations == 1


def test_one_process_hosts_a_hundred_devices(tmp_path):
    """Each has its own port and key; all answer."""
    specs = [DeviceSpec(name=f"r{number}", role="router", logins=LOGINS) for number in range(100)]
    with VirtualFleet(tmp_path, specs) as fleet:
        assert (
            len({device.spec.port for device in fleet}) == len({device.host_key for device in fleet}) == 100
        )
        for name in ("r0", "r50", "r99"):
            with registry.opened(fleet.target(name, "net")) as driver:
                assert driver.get_facts()["hostname"] == name
    ports = [device.spec.port for device in fleet]
    assert {device.spec.port for device in VirtualFleet.found_in(tmp_path)} == set(ports)


def test_secrets_are_masked_in_a_sanitized_configuration(fleet):
    """get_config(sanitized=True) is fit for a ticket."""
    config = "radius\n  server 10.0.0.1\n    secret hush hush\n"
    with registry.opened(fleet.target("bng1", "net")) as driver:
        driver.load_merge_candidate(config=config)
        driver.commit_config()
        assert "hush" in driver.get_config()["running"]
        assert "hush" not in driver.get_config(sanitized=True)["running"]
