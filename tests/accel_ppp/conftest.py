"""A folder that looks like an accel-ppp BNG behind a real sshd; accel-ppp itself is a stand-in (standin.py)."""

import base64
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from drivers.contract import LiveSession, Target
from drivers.ssh import fingerprint
from inventory.resolve import resolve_device
from renderers.accel_ppp.renderer import render
from tests.accel_ppp import network
from tests.support import eventually, free_port, need

PLAYED = ("accel-cmd", "systemctl")
# Only noted: the machine itself stays as it is. A shell, for a commit calls them two dozen times.
NOTED = ("ip", "nft", "sysctl")
NOTES = '#!/bin/sh\nprintf "%s\\n" "${0##*/} $*" >>"${0%/*}/../device/log"\n'


class Device:
    """The folder, and what stands in it."""

    def __init__(self, root: Path, target: Target) -> None:
        self.root, self.target = root, target
        (root / "bin").mkdir(parents=True)
        (root / "device").mkdir()
        shutil.copy(Path(__file__).parent / "standin.py", root / "bin/standin.py")
        (root / "bin/standin.py").chmod(0o755)
        for name in PLAYED:
            (root / "bin" / name).symlink_to("standin.py")
        (root / "bin/notes.sh").write_text(NOTES)
        (root / "bin/notes.sh").chmod(0o755)
        for name in NOTED:
            (root / "bin" / name).symlink_to("notes.sh")
        (root / "bin/sync").symlink_to(
            "/bin/true"
        )  # or each commit waits for whatever the machine has to write

    def dial(
        self, login: str = "s1@example.net", sid: str = "5f3a1c00000001", number: int = 0
    ) -> LiveSession:
        """A session appears."""
        path = self.root / "device/sessions.json"
        known = json.loads(path.read_text()) if path.exists() else []
        row = {
            "sid": sid,
            "ifname": f"ppp{number}",
            "ip": f"100.64.0.{number + 2}",
            "calling-sid": "02:00:00:00:00:01",
            "state": "active",
            "type": "pppoe",
            "username": login,
        }
        path.write_text(json.dumps([*known, row]))
        return LiveSession(sid, login, row["ifname"], row["ip"], row["calling-sid"])

    def log(self) -> list[str]:
        """What was asked of accel-cmd, systemctl, ip, nft and sysctl."""
        path = self.root / "device/log"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        """End what the agent left waiting: each timer leads a session of its own and names this folder."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                waits = f"{self.root}/etc/trunkline/agent' expire".encode() in entry.read_bytes()
            except OSError:
                continue
            if waits:
                os.killpg(int(entry.parent.name), signal.SIGKILL)


def config(**replaced: tuple[str, str]) -> str:
    """The example's rendered set of files."""
    reader = network.reader(network.documents(**replaced))
    return render(resolve_device(reader, "bng1"), network.Opened()).config


@pytest.fixture(scope="session")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A real sshd on loopback that lets us in with a key."""
    sshd = need("sshd", apt="openssh-server")
    keygen, sftp = (
        need("ssh-keygen", apt="openssh-client"),
        need("/usr/lib/openssh/sftp-server", apt="openssh-sftp-server"),
    )
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\n"
        f"PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp {sftp}\n"
        f"SetEnv HOME={folder}\n"  # or a shell would run what the person's own dot files say, at every command
    )
    running = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)

    wire = base64.b64decode((folder / "host.pub").read_text().split()[1])
    eventually(lambda: _listens(port), cap=10)
    yield Target(
        device="bng1",
        platform="accel_ppp",
        host="127.0.0.1",
        port=port,
        login=getpass.getuser(),
        key_path=str(folder / "key"),
        host_key=fingerprint(wire),
    )
    running.terminate()
    running.wait()


def _listens(port: int) -> bool:

    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def device(login: Target, tmp_path: Path) -> Iterator[Device]:
    """A BNG with nothing on it."""

    root = tmp_path / "bng"
    made = Device(root, msgspec.structs.replace(login, options={"root": str(root)}))
    yield made
    made.close()
