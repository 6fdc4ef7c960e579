"""One FRR instance per namespace: five daemons, no configuration at all."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.lab import namespaces

DAEMONS = ("zebra", "staticd", "ospfd", "ospf6d", "bgpd")
_BINARIES = Path("/usr/lib/frr")


def start(name: str, folder: Path) -> None:
    """Start the daemons of the namespace `name`; its pathspace has the same name. They detach when they run."""
    for base in (Path("/var/run/frr"), Path("/etc/frr")):
        place = base / name
        place.mkdir(parents=True, exist_ok=True)
        shutil.chown(place, "frr", "frr")
    Path("/etc/frr", name, "vtysh.conf").write_text("service integrated-vtysh-config\n")
    log = folder / "frr.log"
    log.touch()
    shutil.chown(log, "frr", "frr")
    with namespaces.inside(name):
        for daemon in DAEMONS:
            _start_daemon(daemon, name, log)


def _start_daemon(daemon: str, name: str, log: Path) -> None:
    command = [str(_BINARIES / daemon), "-d", "-N", name, "-A", "127.0.0.1", "--log", f"file:{log}"]
    with log.open("ab") as out:  # never a pipe: the daemon would hold it open
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60, check=False
        )
    if done.returncode:
        raise namespaces.LabFailed(f"start {daemon} of {name}", log.read_text())


def ask(name: str, *commands: str) -> list[dict[str, Any]]:
    """Answers of `show … json` commands, {} where a daemon says nothing."""
    arguments = [word for command in commands for word in ("-c", command)]
    shown = namespaces.run(["vtysh", "-N", name, *arguments])
    return list(_documents(shown))


def _documents(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        found, end = decoder.raw_decode(text, at)
        yield found
        at = text.find("{", end)
