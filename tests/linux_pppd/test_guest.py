"""Guests as ordinary programs: what they say is kept, and they end with us, whatever ends us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.lab import namespaces
from cli.lab.uml import Guest, GuestFailed, new_key
from tests.support import eventually, need

pytestmark = pytest.mark.real

STARTS_A_GUEST_AND_WAITS = """
import sys, time
from pathlib import Path
from cli.lab import namespaces
from cli.lab.uml import Guest
name = namespaces.full_name("g")
namespaces.create([name])
guest = Guest("orphan", Path(sys.argv[1]), name, (), "true")
guest.prepare()
guest.start()
print(name, guest.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def namespace():
    """A namespace of our own."""
    need("linux.uml", apt="user-mode-linux", root=True)
    name = namespaces.full_name("g")
    namespaces.create([name])
    yield name
    namespaces.remove([name])


def test_a_guest_that_does_not_come_up_shows_its_console(namespace: str, tmp_path: Path):
    """GuestFailed carries the end of what the kernel said."""
    guest = Guest("broken", tmp_path / "broken", namespace, (), "true")
    guest.prepare()
    (guest.folder / "init").write_text("#!/bin/false\n")
    guest.start()
    try:
        with pytest.raises(GuestFailed, match="panic") as caught:
            guest.wait_up(60)
        assert "broken" in str(caught.value)
    finally:
        guest.stop()


def test_a_guest_and_its_namespace_do_not_outlive_a_kill_of_their_owner(tmp_path: Path):
    """kill -9 ends the guest at once; the next lab removes the namespace."""
    need("linux.uml", apt="user-mode-linux", root=True)
    owner = subprocess.Popen(
        [sys.executable, "-c", STARTS_A_GUEST_AND_WAITS, str(tmp_path / "g")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert owner.stdout is not None
    name, pid = owner.stdout.readline().split()
    assert _runs(pid)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    eventually(lambda: not _runs(pid), cap=20)
    assert name in namespaces.remove_stale()
    assert name not in namespaces.stale()


def _runs(pid: str) -> bool:
    """Whether a process runs; a dead one that nobody has waited for yet (a zombie, proc(5)) does not."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_keys_have_openssh_fingerprints(tmp_path: Path):
    """The pin is what `ssh-keygen -l` prints."""
    need("ssh-keygen", apt="openssh-client")
    key = new_key()
    path = tmp_path / "key.pub"
    path.write_text(key.public)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], capture_output=True, text=True, check=True)
    assert key.pin in shown.stdout
