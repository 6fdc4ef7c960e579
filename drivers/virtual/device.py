"""One virtual device: its flash, its configuration, what lives on it. The SSH server is in `server`."""

import threading
import time
from pathlib import Path

import asyncssh
import msgspec

from drivers.ssh import fingerprint
from drivers.virtual import store
from drivers.virtual.configuration import Configuration
from drivers.virtual.faults import Faults
from drivers.virtual.objects import Objects
from drivers.virtual.subscribers import Sessions

ROLES = ("router", "bng", "olt", "ap")


class Login(msgspec.Struct, frozen=True):
    """Who may log in: with a password, or with one of the public keys (OpenSSH lines)."""

    password: str = ""
    public_keys: tuple[str, ...] = ()


class DeviceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a device; `port` 0 takes a free one and keeps it. `factory` is its first configuration."""

    name: str
    role: str
    host: str = "127.0.0.1"
    port: int = 0
    logins: dict[str, Login] = {}
    sessions: int = 4
    factory: str = ""


class VirtualDevice:
    """A device whose flash is the folder `root`; a new one is made from `spec`, a known one keeps its port."""

    def __init__(self, root: Path, spec: DeviceSpec) -> None:
        if spec.role not in ROLES:
            raise ValueError(f"{spec.name}: role '{spec.role}' is none of {', '.join(ROLES)}")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = root
        known = store.load(root / "device.json", DeviceSpec, spec)
        self.spec = msgspec.structs.replace(spec, port=spec.port or known.port)
        self.key = _host_key(root / "host_key")
        self.faults = Faults(root / "faults")
        self.configuration = Configuration(root / "configuration.json", spec.role, _factory(spec))
        self.objects = Objects(root / "objects.json")
        self.sessions = Sessions()
        self.stations: set[str] = set()
        self.started = time.monotonic()
        self.lock = threading.RLock()

    @property
    def name(self) -> str:
        """The device's id in the network repository."""
        return self.spec.name

    @property
    def host_key(self) -> str:
        """The fingerprint to pin: `SHA256:…`."""
        return fingerprint(self.key.public_data)

    def bound(self, port: int) -> None:
        """Remember the port that the server got."""
        self.spec = msgspec.structs.replace(self.spec, port=port)
        store.save(self.root / "device.json", self.spec)

    def is_down(self, *words: str) -> bool:
        """Whether a fault declares one of these (port, neighbour, serial, station) down."""
        return not set(words).isdisjoint(self.faults.of("down"))

    def pons(self) -> frozenset[str]:
        """The PONs that the running configuration has."""
        lines = (line.split(" ") for line in self.configuration.tree())
        return frozenset(words[1] for words in lines if words[0] == "pon")


def _factory(spec: DeviceSpec) -> str:
    return spec.factory or f"system\n  hostname {spec.name}\n"


def _host_key(path: Path) -> asyncssh.SSHKey:
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519")
        store.write(path, made.export_private_key())
    return asyncssh.read_private_key(str(path))
