"""The real parts that the lab runs on, and the Debian package that brings each."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cli.doctor.finding import Finding


class Part(NamedTuple):
    """A program, the Debian package that brings it, and what it does for us."""

    program: str
    package: str
    role: str


PARTS = (
    Part("vtysh", "frr", "routers"),
    Part("frr-reload.py", "frr-pythontools", "replacing a router's configuration"),
    Part("linux.uml", "user-mode-linux", "the guest of the PPPoE BNG"),
    Part("modprobe", "kmod", "the guest's modules"),
    Part("pppd", "ppp", "PPP sessions"),
    Part("pppoe-server", "pppoe", "the PPPoE BNG"),
    Part("sshd", "openssh-server", "management access"),
    Part("hostapd", "hostapd", "the access point"),
    Part("wpa_supplicant", "wpasupplicant", "the station"),
    Part("eapol_test", "eapoltest", "EAP logins"),
    Part("radclient", "freeradius-utils", "a second opinion on RADIUS"),
    Part("postgres", "postgresql", "the database of larger networks"),
    Part("chromium", "chromium", "looking at the console"),
    Part("ip", "iproute2", "network namespaces"),
    Part("nft", "nftables", "the walled garden"),
    Part("ping", "iputils-ping", "reachability"),
    Part("curl", "curl", "fetching a page as a subscriber"),
)
_FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/frr", "/usr/bin", "/bin")


def find(program: str) -> str | None:
    """Where a program is, looking also where Debian keeps daemons."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    # Present is enough: pppd may be started by root and the group dip only.
    return shutil.which(program, os.F_OK, path) or (str(versions[-1]) if versions else None)


def check_parts(find_program: Callable[[str], str | None] = find) -> Iterator[Finding]:
    """Which real parts are here; none of them is needed for the demo."""
    missing = [part for part in PARTS if find_program(part.program) is None]
    for part in missing:
        message = f"{part.program} is missing ({part.role}; only for the lab)"
        yield Finding("parts", "warn", message, f"apt-get install {part.package}")
    if not missing:
        yield Finding("parts", "ok", f"all {len(PARTS)} programs of the lab are here")


def check_root(uid: int | None = None) -> Iterator[Finding]:
    """The lab makes network namespaces, which takes root; nothing else does."""
    if (os.geteuid() if uid is None else uid) == 0:
        yield Finding("root", "ok", "the lab can make network namespaces")
    else:
        yield Finding("root", "warn", "not root: everything but the lab works", "for the lab: sudo make lab")
