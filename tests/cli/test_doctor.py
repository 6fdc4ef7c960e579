"""`trunkline doctor` sees what is wrong and says what to do; it changes nothing."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

from cli.doctor import machine, node, parts, python
from core.settings import Settings
from tests.support import ROOT, free_port, trunkline


def levels(findings) -> list[str]:
    """The levels of some findings."""
    return [finding.level for finding in findings]


def test_the_answer_follows_the_json_contract():
    """`--json` is an envelope; problems are what is not ok; status 1 only for a failure."""
    done = trunkline("doctor", "--json")
    told = json.loads(done.stdout)
    assert told["schema"] == "trunkline.doctor/1"
    unwell = [check for check in told["checks"] if check["level"] != "ok"]
    assert len(told["problems"]) == len(unwell)
    assert done.returncode == (0 if told["well"] else 1)


def test_another_distribution_with_a_package_of_ours_is_a_failure():
    """A `billing` from elsewhere is named with the way out."""
    found = list(python.check_collisions({"billing": ["trunkline", "acme-billing"], "core": ["trunkline"]}))
    assert levels(found) == ["fail"]
    assert "pip uninstall acme-billing" in found[0].hint


def test_a_room_imported_from_elsewhere_is_a_failure(tmp_path: Path):
    """Python finding `billing` in another folder is told with that folder."""
    found = list(python.check_origins(lambda room: tmp_path / "billing.py" if room == "billing" else None))
    assert levels(found) == ["fail"]
    assert str(tmp_path) in found[0].message


def test_a_billing_py_in_the_working_folder_is_a_warning(tmp_path: Path):
    """It hides the room only from `python -m`, so the doctor warns."""
    (tmp_path / "billing.py").touch()
    assert levels(python.check_shadows(tmp_path)) == ["warn"]
    assert levels(python.check_shadows(ROOT)) == []


def test_a_requirement_that_is_not_met_is_a_failure():
    """A version that hangs on a crafted packet is not accepted."""
    old = {"pyrad": "2.5.4"}
    found = list(python.check_requirements(["pyrad>=2.6.0"], lambda name: old[name]))
    assert [finding.message for finding in found] == ["pyrad 2.5.4 is not >=2.6.0"]


def test_an_old_python_is_a_failure():
    """3.10 is too old, 3.11 will do."""
    assert levels(python.check_version((3, 10, 9))) == ["fail"]
    assert levels(python.check_version((3, 11, 0))) == ["ok"]


def test_a_clock_before_our_own_installation_is_a_failure():
    """A machine without a battery starts in 1970."""
    early, late = datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    assert levels(machine.check_clock(early, late)) == ["fail"]


def test_unknown_time_zones_are_a_failure():
    """A slim image without tzdata cannot tell local days."""
    assert levels(machine.check_zones("No/Such")) == ["fail"]


def test_few_open_files_are_a_warning():
    """The remedy is a command."""
    found = list(machine.check_files(1024))
    assert levels(found) == ["warn"]
    assert "ulimit -n" in found[0].hint


def test_sqlite_on_a_network_disk_is_a_failure(tmp_path: Path):
    """Its write-ahead log needs shared memory, which NFS has not."""
    mounts = f"disk / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
    assert levels(node.check_home(tmp_path / "var", mounts)) == ["fail"]


def test_a_home_that_others_can_read_is_a_warning(tmp_path: Path):
    """The home holds keys and customers."""
    tmp_path.chmod(0o755)
    assert "warn" in levels(node.check_home(tmp_path))
    tmp_path.chmod(0o700)
    assert "warn" not in levels(node.check_home(tmp_path))


def test_a_port_in_use_is_a_warning(tmp_path: Path):
    """The setting's port is tried by binding it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = {"api_port": taken.getsockname()[1], "radius_auth_port": free_port(socket.SOCK_DGRAM)}
        settings = Settings.load(tmp_path, {}, **given, radius_acct_port=free_port(socket.SOCK_DGRAM))
        assert levels(node.check_ports(settings)) == ["warn", "ok", "ok"]


def test_a_missing_part_names_its_package():
    """The remedy is the apt command."""
    found = list(parts.check_parts(lambda program: None if program == "vtysh" else "/bin/x"))
    assert [finding.hint for finding in found] == ["apt-get install frr"]


def test_every_part_comes_from_a_package_that_make_test_installs():
    """The doctor's table and deploy/apt-packages.txt agree."""
    lines = (ROOT / "deploy" / "apt-packages.txt").read_text().splitlines()
    listed = {line.split("#")[0].strip() for line in lines} - {""}
    assert {part.package for part in parts.PARTS} <= listed
