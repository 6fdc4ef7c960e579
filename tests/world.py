"""A small Internet service provider for tests: repository, installation, virtual devices; everything real but small."""

import contextlib
import functools
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.installation import Installation
from core import crypto, ids
from core.settings import Settings
from drivers.virtual.device import DeviceSpec, Login
from drivers.virtual.fleet import VirtualFleet
from intents.init import init_repository
from tests.migrated import kept_folder, migrated_sqlite
from tests.support import kept_port

ROLES = {"core1": "router", "core2": "router", "bng1": "bng", "olt1": "olt"}
NAS_SECRET = "testing-nas-secret"
PASSWORD = "subscriber-password"
GARDEN = "effect: walled-garden\nsince: 2026-11-20T02:00:00Z\ncause: INV-1\nbatch: dun-1\n"
BLOCK = "effect: block\nsince: 2026-11-20T02:00:00Z\ncause: abuse-1\n"


class World:
    """An installation in `home`, its fleet, and short ways to change trunk as an engineer would."""

    key: crypto.DataKey
    password: str
    coa_port: int
    files: dict[str, str]

    def __init__(self, home: Path, services: int = 3, like: "World | None" = None, **settings: Any) -> None:
        """`like`: `home` is a copy of that world's, which is closed."""
        given: dict[str, object] = {
            "radius_auth_port": 0,
            "radius_acct_port": 0,
            "api_port": 0,
            "test_mode": True,
        }
        self.settings = Settings.load(home, {}, **(given | settings))
        self.key = (
            like.key if like else crypto.create_key(self.settings.key_file, self.settings.identity_file)
        )
        self.password = like.password if like else secrets.token_urlsafe(9)
        self.coa_port = like.coa_port if like else kept_port(socket.SOCK_DGRAM)
        self.fleet = VirtualFleet(home / "devices", [self._spec(name, home) for name in ROLES])
        self.fleet.start()
        self.files = like.files if like else self._files(services)
        if not self.settings.repository.exists():
            init_repository(self.settings, {p: t.encode() for p, t in self.files.items()}, "engineer")
        database = home / "trunkline.db"
        if not database.exists() and self.settings.database_url == f"sqlite:///{database}":
            shutil.copy(migrated_sqlite(), database)
        self.one = Installation(self.settings)

    def _spec(self, name: str, home: Path) -> DeviceSpec:
        """A device keeps its port, in a copied home, too."""
        port = 0 if (home / "devices" / name).exists() else kept_port()
        return DeviceSpec(name=name, role=ROLES[name], port=port, logins={"net": Login(self.password)})

    def close(self) -> None:
        """Stop everything."""
        self.one.reconciler.close()
        self.one.close()
        self.fleet.stop()

    def push(self, changes: dict[str, str | None], message: str = "An engineer's change") -> str:
        """Commit files (None removes) on trunk from a clone, as a merged pull request arrives; returns the commit."""
        clone = self.settings.home / "clone"
        if not clone.exists():
            _git(self.settings.home, "clone", "-q", str(self.settings.repository), str(clone))
        _git(clone, "pull", "-q", "--rebase")
        for path, text in changes.items():
            target = clone / path
            if text is None:
                target.unlink()
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
        _git(clone, "add", "-A")
        _git(clone, "commit", "-q", "-m", message)
        _git(clone, "push", "-q", "origin", "HEAD")
        return _git(clone, "rev-parse", "HEAD").strip()

    def _seal(self, text: str, path: str, name: str) -> str:
        return crypto.seal(self.key, text, path, name)

    def _files(self, services: int) -> dict[str, str]:
        files = {"trunkline.yaml": self._config(), "network/sites/perth1.yaml": "name: Perth 1\n"}
        for number, (name, role) in enumerate(ROLES.items(), start=1):
            path = f"network/devices/{name}.yaml"
            files[path] = self.device(name, role, number)
        files |= _NETWORK
        for number in range(1, services + 1):
            files |= self.subscriber(number)
        return files

    def _config(self) -> str:
        login = self._seal(self.password, "trunkline.yaml", "logins.net-ssh.password")
        return _CONFIG.format(password=login)

    def device(self, name: str, role: str, number: int) -> str:
        """The intent of a virtual device."""
        spec = self.fleet[name]
        text = (
            f"site: perth1\nrole: {role}\nplatform: virtual\nmanage: full\n"
            f"management: {{address: 127.0.0.1, port: {spec.spec.port}, login: net-ssh, "
            f'host-key: "{spec.host_key}"}}\n'
        )
        if role in ("router", "bng"):
            text += (
                f'loopback: {{v4: 198.51.100.{number}/32, v6: "2001:db8:ffff::{number}/128"}}\n'
                "routing: {ospf: {}, ibgp: {mesh: []}}\n"
            )
        if role == "bng":
            secret = self._seal(NAS_SECRET, f"network/devices/{name}.yaml", "nas.secrets")
            text += (
                "nas: {vendor: mikrotik, sources: [127.0.0.1], "
                f'secrets: ["{secret}"], message-authenticator: auto, coa: {{port: {self.coa_port}, rate: 200}}}}\n'
            )
        if role == "olt":
            text += _OLT
        return text

    def subscriber(self, number: int) -> dict[str, str]:
        """A line and an internet service: `S-<n>`, login `s<n>@example.net`, password PASSWORD."""
        line, service = f"L-{number}", f"S-{number}"
        path = f"services/{ids.shard(service)}/{service}.yaml"
        password = self._seal(PASSWORD, path, "session.password")
        return {
            f"lines/{ids.shard(line)}/{line}.yaml": (
                f"type: gpon\nstate: active\nolt: olt1\npon: 0/1/0\nonu: {number}\nserial: HWTC{number:08X}\n"
            ),
            path: (
                f"customer: C-{number}\ntype: internet\nstate: active\nplan: fibre-500\nline: {line}\n"
                f"attach: {{port: eth1, svlan: 101, cvlan: {1000 + number}}}\n"
                f"session: {{method: pppoe, login: s{number}@example.net, "
                f'password: "{password}", limit: 1, over: replace}}\n'
                "ipv4: {mode: cgnat}\n"
            ),
        }


def hold_path(service: str, reason: str = "nonpayment") -> str:
    """The path of a hold."""
    return f"holds/{ids.shard(service)}/{service}.{reason}.yaml"


@contextlib.contextmanager
def world(home: Path, services: int = 3, **settings: Any) -> Iterator[World]:
    """A world that is closed at the end."""
    made = World(home, services, **settings)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def settled_world(home: Path, **settings: Any) -> Iterator[World]:
    """A world whose devices are as trunk says: a copy of one that was brought to rest once in this process."""
    like = _settled()
    shutil.copytree(like.settings.home, home)
    made = World(home, like=like, **settings)
    try:
        yield made
    finally:
        made.close()


@functools.cache
def _settled() -> World:
    with world(kept_folder("world") / "home") as made:
        made.one.settle()
    return made


def _git(where: Path, *args: str) -> str:
    identity = ["-c", "user.name=engineer", "-c", "user.email=engineer@trunkline"]
    done = subprocess.run(["git", *identity, *args], cwd=where, check=True, capture_output=True, text=True)
    return done.stdout


_CONFIG = """\
schema: 1
operator: {{name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}}
aaa: {{servers: [{{address: 127.0.0.1}}], realms: {{example.net: {{}}}}}}
logins: {{net-ssh: {{name: net, password: "{password}"}}}}
identities:
  billing: {{key: "ssh-ed25519 AAAAbilling", paths: [holds/], reasons: [nonpayment]}}
  crm: {{key: "ssh-ed25519 AAAAcrm", paths: [services/, lines/, holds/], reasons: [vacation, activation]}}
guards: {{restrict: {{count: 50}}, deletes: {{count: 50}}}}
rollout: {{canary: 1, steps: [50, 100], soak: 0s, confirm: 30s}}
"""

_OLT = """\
olt:
  edge: perth-west
  uplink: 0/9/0
  circuit-id: "{device} xpon {pon}:{onu}.{port}"
  pons:
    0/1/0: {tech: gpon, split: 64, svlan: 101, cvlans: 1000-1999}
"""

_NETWORK = {
    "network/links/core1--core2.yaml": (
        "type: routed\nends:\n"
        '  - {device: core1, port: eth0, v4: 192.0.2.0/31, v6: "2001:db8:fe::/127"}\n'
        '  - {device: core2, port: eth0, v4: 192.0.2.1/31, v6: "2001:db8:fe::1/127"}\n'
        "metric: {ospf: 10}\n"
    ),
    "network/links/core1--bng1.yaml": (
        "type: routed\nends:\n"
        '  - {device: core1, port: eth1, v4: 192.0.2.2/31, v6: "2001:db8:fe::2/127"}\n'
        '  - {device: bng1, port: up0, v4: 192.0.2.3/31, v6: "2001:db8:fe::3/127"}\n'
        "metric: {ospf: 10}\n"
    ),
    "network/edges/perth-west.yaml": (
        "bngs: [{device: bng1, port: access0, priority: 100}]\nmethods: [pppoe, ipoe]\nsvlans: [100-199]\n"
        "pools: {cgnat: perth-cgn, garden: perth-garden}\n"
    ),
    "network/pools/perth-cgn.yaml": (
        "family: ipv4\nuse: cgnat\nallocate: nas\nsplit: {bng1: [100.64.0.0/21]}\n"
    ),
    "network/pools/perth-garden.yaml": (
        "family: ipv4\nuse: garden\nallocate: nas\nsplit: {bng1: [100.127.0.0/22]}\n"
    ),
    "catalog/plans/fibre-500.yaml": (
        "type: internet\nrate: {down: 500M, up: 50M}\n"
        'prices:\n  - {id: 2025a, from: 2025-01-01, amount: "79.00", every: month, tax: gst}\n'
    ),
}  # fmt: skip
