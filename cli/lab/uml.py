"""User-Mode Linux guests: a Linux with a kernel of its own as an ordinary program, on the host's root read-only.

A guest's network cards are taps in a namespace of the caller's. Everything it writes lies in one folder on the
host (`etc/`, `console.log`), so a guest that is started again finds its configuration. See README.md.
"""

import base64
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from core.errors import Retryable

INIT = Path(__file__).parent / "guest" / "init.sh"
WHOLE_STATE = Path(__file__).parent / "guest" / "xstate.c"
"""What linux.uml needs beside it on a processor with AMX."""
MODULES = (
    *("ppp_generic", "ppp_async", "ppp_synctty", "pppoe", "8021q", "ipv6"),
    *("sch_htb", "sch_fq_codel", "sch_ingress", "cls_matchall", "act_police"),
    *(
        "iptable_filter",
        "iptable_nat",
        "ip6table_filter",
        "ip6table_raw",
        "ip6t_rpfilter",
        "xt_conntrack",
        "xt_devgroup",
        "xt_REDIRECT",
        "xt_nat",
        "xt_limit",
    ),
    *("xt_tcpudp", "xt_multiport", "xt_TCPMSS", "ipt_REJECT", "nf_tables"),
)
"""What the guests' programs need; modprobe brings what these need."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  unlinked by the kernel as soon as it is open
_ROOM = 1 << 30
SSHD = """\
Port 22
HostKey /etc/ssh/guest_host_key
AuthorizedKeysFile /etc/ssh/guest_authorized_keys
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
Subsystem sftp internal-sftp
"""


class GuestFailed(Retryable):
    """A guest did not come up or has ended; carries the end of its console."""

    def __init__(self, name: str, why: str, console: str) -> None:
        super().__init__(f"guest {name} {why}; the end of its console:\n{console}")
        self.name, self.console = name, console


class SshKey(msgspec.Struct, frozen=True):
    """A fresh Ed25519 key pair in OpenSSH's formats, with the public key's pin `SHA256:…`."""

    private: bytes
    public: str

    @property
    def pin(self) -> str:
        """The fingerprint as `management.host-key` wants it."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def new_key() -> SshKey:
    """A key pair for a guest's host key or for logging in to it."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return SshKey(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


class Guest:
    """One guest. `network` is a shell script that gives vec0, vec1, … (the taps in order) their addresses."""

    def __init__(
        self, name: str, folder: Path, namespace: str, taps: Sequence[str], network: str, memory: str = "160M"
    ) -> None:
        self.name, self.folder, self.namespace = name, folder, namespace
        self.taps, self.network, self.memory = tuple(taps), network, memory
        self.host_key, self.login_key = new_key(), new_key()
        self._running: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    @property
    def key_path(self) -> Path:
        """The private key that logs in as root."""
        return self.folder / "login_key"

    @property
    def console(self) -> Path:
        """What the guest's kernel and init say."""
        return self.folder / "console.log"

    def prepare(self) -> None:
        """Make the guest's folder: its own /etc, keys, and what init reads. Once, before the first start."""
        etc = self.folder / "etc"
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
        _write(etc / "hostname", self.name + "\n")
        _write(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        _write(etc / "resolv.conf", "nameserver 203.0.113.53\n")
        # A plain shell at a home of its own: the host's dot files are not the guest's.
        passwd = [line for line in (etc / "passwd").read_text().splitlines() if not line.startswith("root:")]
        _write(etc / "passwd", "\n".join(["root:x:0:0:root:/run:/bin/sh", *passwd, ""]))
        _write(etc / "ssh" / "guest_sshd_config", SSHD)
        _write(etc / "ssh" / "guest_host_key", self.host_key.private.decode(), 0o600)
        _write(etc / "ssh" / "guest_authorized_keys", self.login_key.public + "\n", 0o600)
        _write(self.key_path, self.login_key.private.decode(), 0o600)
        _write(self.folder / "guest.env", f"NAME={self.name}\nMODULES='{' '.join(MODULES)}'\n")
        _write(self.folder / "network.sh", self.network)
        _write(self.folder / "init", INIT.read_text(), 0o755)  # an installed package keeps no x bit

    def start(self) -> None:
        """Boot. The guest dies with the thread that calls this, even when we are killed."""
        cards = [
            f"vec{n}:transport=tap,ifname={tap},depth=64,mac={_mac(self.name, n)}"
            for n, tap in enumerate(self.taps)
        ]
        boot = ["linux.uml", f"mem={self.memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        boot += [
            f"init={self.folder}/init",
            f"GUEST={self.folder}",
            f"uml_dir={self.folder}",
            *cards,
            "con0=null,fd:1",
            "con=null",
        ]
        within = ["ip", "netns", "exec", self.namespace, "setpriv", "--pdeathsig", "KILL"]
        if " amx_tile" in Path("/proc/cpuinfo").read_text():
            within += ["env", f"LD_PRELOAD={self._whole_state()}"]
        self._said_before = self.console.stat().st_size if self.console.exists() else 0
        with self.console.open("ab") as console:
            self._running = subprocess.Popen(
                [*within, *boot],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self._place_of_memory())},
            )
        self._wait_bound()

    def _place_of_memory(self) -> Path:
        """Where the kernel makes the file that is its memory: on a disk the host would write it out again and again.

        A shared memory that is too small (a container's) or that runs no programs will not do: then the folder.
        """
        told = os.statvfs(_SHARED_MEMORY) if _SHARED_MEMORY.is_dir() else None
        if told and told.f_bavail * told.f_frsize > _ROOM and not told.f_flag & os.ST_NOEXEC:
            return _SHARED_MEMORY
        return self.folder

    def _whole_state(self) -> Path:
        """WHOLE_STATE, compiled. Raises GuestFailed without a C compiler."""
        made = self.folder / "xstate.so"
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(made), str(WHOLE_STATE)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise GuestFailed(
                self.name, "needs a C compiler on this processor (apt-get install gcc libc6-dev)", ""
            ) from error
        except subprocess.CalledProcessError as error:
            raise GuestFailed(self.name, f"could not be prepared: {error.stderr}", "") from error
        return made

    def _wait_bound(self, cap: float = 20) -> None:
        """Return when the guest's own program runs: from then on it dies with us. Before, it is still `ip` or setpriv,
        which a kill of ours would leave behind."""
        name = Path("/proc", str(self.pid), "comm")
        deadline = time.monotonic() + cap
        while self.alive and time.monotonic() < deadline:
            with suppress(OSError):
                if name.read_text().strip().startswith("linux"):
                    return
            time.sleep(0.01)

    def wait_up(self, cap: float = 90) -> float:
        """Wait until init says that the guest is up; seconds that it took. Raises GuestFailed."""
        started, up = time.monotonic(), f"guest {self.name} is up".encode()
        while time.monotonic() - started < cap:
            if up in self.console.read_bytes()[self._said_before :]:
                return time.monotonic() - started
            if not self.alive:
                raise GuestFailed(self.name, "ended while booting", self.last_lines())
            time.sleep(0.1)
        raise GuestFailed(self.name, f"was not up within {cap:g} s", self.last_lines())

    @property
    def alive(self) -> bool:
        """The guest's kernel is running."""
        return self._running is not None and self._running.poll() is None

    @property
    def pid(self) -> int:
        """The guest's kernel as a program of ours; 0 when it is not running."""
        return self._running.pid if self._running is not None else 0

    def last_lines(self, count: int = 30) -> str:
        """The end of the console."""
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-count:])

    def stop(self) -> None:
        """Pull the plug: the kernel and its threads are one session of ours."""
        if self._running is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait(timeout=10)
        self._running = None


def _mac(name: str, card: int) -> str:
    """A card keeps its address over a restart, as a real one does: neighbours remember it."""
    digest = hashlib.sha256(name.encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:4], card))


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
