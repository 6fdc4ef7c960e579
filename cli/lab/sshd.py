"""One sshd per router, in the router's namespace, that offers nothing but the FRR driver's forced command."""

import shlex
import shutil
import time
from pathlib import Path

from cli.lab import namespaces

LOGIN = "root"
"""The account of the routers; its one key may run the forced command and nothing else."""

_LISTENS_WITHIN = 20.0
"""Seconds."""

_CONFIG = """\
ListenAddress {address}
Port 22
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin forced-commands-only
AllowUsers root
UsePAM no
UseDNS no
StrictModes no
PrintMotd no
SetEnv HOME={folder}
MaxStartups 50
LogLevel ERROR
"""


def make_key(path: Path) -> str:
    """Make an ed25519 key pair; returns the public half's fingerprint `SHA256:…`."""
    namespaces.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "trunkline-lab", "-f", str(path)])
    return namespaces.run(["ssh-keygen", "-l", "-f", f"{path}.pub"]).split()[1]


def prepare(folder: Path, address: str, client_key: Path, pathspace: str) -> str:
    """Write a router's sshd files and install the forced command; returns the host key's fingerprint."""
    folder.mkdir(parents=True)
    seen = make_key(folder / "host_key")
    script = folder / "on_device.py"
    shutil.copyfile(Path(__file__).parents[2] / "drivers/frr/on_device.py", script)
    words = [
        "/usr/bin/python3",
        "-I",
        "-S",
        str(script),
        "--pathspace",
        pathspace,
        "--state",
        str(folder / "state"),
    ]
    public = client_key.with_name(f"{client_key.name}.pub").read_text().strip()
    (folder / "authorized_keys").write_text(f'restrict,command="{shlex.join(words)}" {public}\n')
    (folder / "sshd_config").write_text(_CONFIG.format(address=address, folder=folder))
    return seen


def start(namespace: str, folder: Path) -> None:
    """Start it; returns when it listens: it detaches before that, and writes its process number after."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = ["/usr/sbin/sshd", "-f", f"{folder}/sshd_config", "-E", f"{folder}/sshd.log"]
    namespaces.run(["ip", "netns", "exec", namespace, *command])
    deadline = time.monotonic() + _LISTENS_WITHIN
    while not (folder / "sshd.pid").exists():
        if time.monotonic() > deadline:
            raise namespaces.LabFailed(f"start sshd in {namespace}", (folder / "sshd.log").read_text())
        time.sleep(0.01)
