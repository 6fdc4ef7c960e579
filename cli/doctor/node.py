"""This node: its settings, its home folder and its ports."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from cli.doctor.finding import Finding
from core.errors import TrunklineError
from core.settings import Settings

# SQLite's write-ahead log needs shared memory between processes: not over a network (sqlite.org, wal.html).
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}
_ROOM = 1 << 30
# Seconds without the database after which a node's answers may surprise somebody.
_STALE = 600


def check_node() -> Iterator[Finding]:
    """Everything that follows from the settings; a setting that can't be read is the first finding."""
    try:
        settings = Settings.load()
    except TrunklineError as error:
        yield Finding("settings", "fail", str(error), "mend it and run doctor again")
        return
    yield Finding("settings", "ok", f"home is {settings.home}")
    yield from check_home(settings.home)
    yield from check_view(settings)
    yield from check_ports(settings)
    yield from check_certificates(settings.home / "radius" / "tls")


def check_certificates(folder: Path) -> Iterator[Finding]:
    """Certificates for EAP and RadSec can be used, where there are any."""
    if not folder.exists():
        return
    from aaa.eap.certificates import CertificatesNotUsable, load

    try:
        soon = load(folder).soon
    except CertificatesNotUsable as error:
        yield Finding("certificates", "fail", str(error), "EAP by TLS is refused until then")
        return
    yield Finding("certificates", "warn" if soon else "ok", soon or f"{folder} can be used")


def check_home(home: Path, mounts: str | None = None) -> Iterator[Finding]:
    """The home folder can be written, is private, local and has room."""
    base = _existing(home)
    if not os.access(base, os.W_OK | os.X_OK):
        yield Finding(
            "home", "fail", f"{base} cannot be written", "choose another with --home or TRUNKLINE_HOME"
        )
        return
    kind = _filesystem(base, Path("/proc/mounts").read_text() if mounts is None else mounts)
    if kind in _REMOTE:
        hint = "keep it on a local disk, or set database_url to PostgreSQL"
        yield Finding("home", "fail", f"{base} is on {kind}, where SQLite loses data", hint)
        return
    yield from _privacy(home)
    free = shutil.disk_usage(base).free
    if free < _ROOM:
        yield Finding("disk", "warn", f"only {free >> 20} MiB free at {base}", "make room")
    else:
        yield Finding("disk", "ok", f"{free >> 30} GiB free")


def _privacy(home: Path) -> Iterator[Finding]:
    if home.exists() and home.stat().st_mode & 0o077:
        yield Finding("home", "warn", f"{home} can be read by other accounts", f"run: chmod 700 {home}")
    else:
        yield Finding("home", "ok", f"{home} can be written")


def check_view(settings: Settings) -> Iterator[Finding]:
    """A RADIUS node's snapshot opens with its view key, and is not old."""
    from aaa.errors import ViewIsForeign
    from aaa.radius.worker import view_folder
    from aaa.support import view_age
    from aaa.view.lookup import damage
    from cli.node.start import check_snapshot

    if "radius" not in settings.roles or not (settings.home / "radius" / "view" / "view.base").exists():
        return
    if why := damage(view_folder(settings)):
        yield Finding("view", "fail", why)
        return
    try:
        check_snapshot(settings)
    except ViewIsForeign as error:
        yield Finding("view", "fail", str(error))
        return
    age = view_age(settings.home)
    if age is None or age > _STALE:
        told = (
            "never followed the database"
            if age is None
            else f"last followed the database {age / 60:.0f} min ago"
        )
        hint = "it answers from its snapshot; see `trunkline radius status`"
        yield Finding("view", "warn", f"this node {told}", hint)
    else:
        yield Finding("view", "ok", f"followed {age:g} s ago")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _filesystem(place: Path, mounts: str) -> str:
    """Type of the file system that holds `place`; the deepest mount point above it decides."""
    rows = [line.split() for line in mounts.splitlines()]
    above = [(row[1], row[2]) for row in rows if len(row) > 2 and place.resolve().is_relative_to(row[1])]
    return max(above, key=lambda found: len(found[0]), default=("", ""))[1]


def check_ports(settings: Settings) -> Iterator[Finding]:
    """The ports that `trunkline serve` will ask for are free."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = [
        ("api", tcp, settings.api_host, settings.api_port),
        ("RADIUS authentication", udp, settings.radius_host, settings.radius_auth_port),
        ("RADIUS accounting", udp, settings.radius_host, settings.radius_acct_port),
    ]
    for role, kind, host, port in wanted:
        why = _refusal(kind, host, port)
        if why:
            hint = "stop what uses it, or choose another port in the settings"
            yield Finding("ports", "warn", f"{host}:{port} ({role}): {why}", hint)
        else:
            yield Finding("ports", "ok", f"{host}:{port} is free for {role}")


def _refusal(kind: socket.SocketKind, host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As the server does: a connection that is still closing is no reason.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
    return ""
