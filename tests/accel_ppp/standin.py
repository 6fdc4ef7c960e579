#!/usr/bin/python3 -IS
"""A stand-in for `accel-cmd` and `systemctl`: accel-ppp is not in Debian and does not run here.

It is no accel-ppp: it keeps sessions in a file and answers in the layout of accel-ppp 1.14.0's `show sessions`
(cli/show_sessions.c), `terminate`, `reload` (cli/std_cmd.c) and accel-cmd's exit status 3 when nobody listens.
Everything lies in the folder `device` beside the folder it stands in.
"""

import json
import sys
from pathlib import Path

DEVICE = Path(__file__).resolve().parent.parent / "device"
CONF = Path(__file__).resolve().parent.parent / "etc/accel-ppp.conf"
RUNNING, SESSIONS, LOG = DEVICE / "loaded.conf", DEVICE / "sessions.json", DEVICE / "log"


def say(text: str) -> None:
    sys.stdout.write(text + "\r\n")


def sessions() -> list[dict[str, str]]:
    return json.loads(SESSIONS.read_text()) if SESSIONS.exists() else []


def show(columns: list[str]) -> None:
    """Headings in the middle of their column, as wide as its longest cell."""
    rows = [[each.get(column, "") for column in columns] for each in sessions()]
    widths = [max(len(name), *(len(row[n]) for row in rows), 0) for n, name in enumerate(columns)]
    heads = []
    for name, width in zip(columns, widths, strict=True):
        left = " " * (width // 2 - len(name) // 2 + 1 if width > len(name) + 1 else 1)
        heads.append((left + name).ljust(width + 2))
    say("|".join(heads))
    say("+".join("-" * (width + 2) for width in widths))
    for row in rows:
        say("|".join(f" {cell} ".ljust(width + 2) for cell, width in zip(row, widths, strict=True)))


def terminate(sid: str, force: str) -> None:
    """A session called "stubborn" does not mind a soft end."""
    kept = [
        one for one in sessions() if one["sid"] != sid or (force == "soft" and one["username"] == "stubborn")
    ]
    SESSIONS.write_text(json.dumps(kept))


def command(words: list[str]) -> None:
    match words:
        case ["show", "version"]:
            say((DEVICE / "version").read_text().strip() if (DEVICE / "version").exists() else "1.14.0")
        case ["show", "sessions", columns]:
            show(columns.split(","))
        case ["terminate", "sid", sid, force]:
            terminate(sid, force)
        case ["reload"] if (DEVICE / "refuse-reload").exists():
            say("failed")
        case ["reload"]:
            RUNNING.write_text(CONF.read_text())
        case _:
            say("command unknown")


def accel_cmd() -> int:
    if not RUNNING.exists():
        return 3
    for line in sys.stdin.read().splitlines():
        note(f"cli {line}")
        command(line.split())
    return 0


def systemctl(verb: str) -> int:
    note(f"systemctl {verb}")
    SESSIONS.unlink(missing_ok=True)
    RUNNING.unlink(missing_ok=True)
    if verb == "restart":
        RUNNING.write_text(CONF.read_text())
    return 0


def note(text: str) -> None:
    with LOG.open("a") as log:
        log.write(text + "\n")


if __name__ == "__main__":
    DEVICE.mkdir(exist_ok=True)
    if Path(sys.argv[0]).name == "accel-cmd":
        sys.exit(accel_cmd())
    sys.exit(systemctl(sys.argv[1]))
