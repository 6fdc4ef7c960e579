"""The device's side of Kea's control socket and reservations; needs nothing but Python. Run by the agent.

kea.py answers | reload | leases | end ADDRESS | objects FILE (operations as JSON on its input)
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from typing import Any

Reservation = dict[str, Any]
Identity = tuple[str, str]
Result = list[Any]

SOCKET = "/run/kea/kea4-ctrl-socket"
NOT_FOUND = 3
"""Kea's result of a lease command that found nothing (its manual, The Control Channel)."""


def command(name: str, **arguments: Any) -> dict[str, Any]:
    """Send a command; Kea's answer. OSError when nobody listens."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(60)
        channel.connect(SOCKET)
        channel.sendall(json.dumps({"command": name, "arguments": arguments}).encode())
        channel.shutdown(socket.SHUT_WR)
        parts = iter(lambda: channel.recv(65536), b"")
        answer: dict[str, Any] = json.loads(b"".join(parts))
        return answer


def answers() -> bool:
    """Whether Kea listens."""
    try:
        return bool(command("status-get")["result"] == 0)
    except (OSError, ValueError):
        return False


def reload() -> str:
    """Let Kea read its files again; "" or why it does not. A Kea that does not run reads them when it starts."""
    if not answers():
        return ""
    try:
        answer = command("config-reload")
    except (OSError, ValueError) as error:
        return f"no answer to config-reload ({error})"
    return "" if answer["result"] == 0 else str(answer["text"])


def leases() -> int:
    """Every lease that runs, one JSON object a line."""
    start = "start"
    while True:
        answer = command("lease4-get-page", **{"from": start, "limit": 1000})
        found = answer.get("arguments", {}).get("leases", [])
        for lease in found:
            if lease["state"] == 0 and lease["cltt"] + lease["valid-lft"] > time.time():
                sys.stdout.write(json.dumps(lease) + "\n")
        if len(found) < 1000:
            return 0
        start = found[-1]["ip-address"]


def identity(reservation: Reservation) -> Identity:
    """What tells a reservation from the others."""
    return next((name, reservation[name]) for name in ("circuit-id", "hw-address") if name in reservation)


def objects(path: str, operations: list[dict[str, Any]]) -> list[Result]:
    """Make every operation true in the file; Kea reads it once for all. Answers [ok, changed, why] for each."""
    with open(path) as source:
        table = {identity(one): one for one in json.load(source)}
    holders = {one["ip-address"]: who for who, one in table.items() if "ip-address" in one}
    results = [applied(table, holders, operation) for operation in operations]
    changes = any(changed for _, changed, _ in results)
    # Whoever ended before Kea had read the file left `.old`: what looks unchanged is in the file, and not in Kea yet.
    unread = os.path.exists(path + ".old")
    if not changes and not unread:
        return results
    if changes:
        write(path, list(table.values()))
    why = reload()
    if not why:
        os.unlink(path + ".old")
        return results
    os.replace(path + ".old", path)
    reload()
    return [
        [False, False, why] if changed or unread else [ok, changed, said] for ok, changed, said in results
    ]


def applied(
    table: dict[Identity, Reservation], holders: dict[str, Identity], operation: dict[str, Any]
) -> Result:
    """One operation on the table."""
    wanted = operation["reservation"]
    who = identity(wanted)
    present = table.get(who)
    address = wanted.get("ip-address")
    if operation["op"] == "delete":
        if present is None:
            return [True, False, ""]
        holders.pop(table.pop(who).get("ip-address", ""), None)
        return [True, True, ""]
    if present == wanted:
        return [True, False, ""]
    if address and holders.get(address, who) != who:
        return [False, False, f"{address} is reserved for {' '.join(holders[address])}"]
    if present:
        holders.pop(present.get("ip-address", ""), None)
    table[who] = wanted
    if address:
        holders[address] = who
    return [True, True, ""]


def write(path: str, reservations: list[Reservation]) -> None:
    """Put the file in place by rename, readable as the old one was; the old one stays as `.old`."""
    old = os.stat(path)
    with open(path + ".new", "w") as out:
        out.write("[\n" + ",\n".join(map(json.dumps, reservations)) + "\n]\n")
        out.flush()
        os.fsync(out.fileno())
        os.fchown(out.fileno(), old.st_uid, old.st_gid)
        os.fchmod(out.fileno(), old.st_mode & 0o777)
    with contextlib.suppress(FileExistsError):  # then it is what Kea read last
        os.link(path, path + ".old")
    os.replace(path + ".new", path)


def end(address: str) -> int:
    """Delete a lease: 0 gone, 6 there was none."""
    result = command("lease4-del", **{"ip-address": address})["result"]
    return {0: 0, NOT_FOUND: 6}.get(int(result), 1)


def main(verb: str, *words: str) -> int:
    """The exit status of a verb."""
    if verb == "answers":
        return 0 if answers() else 1
    if verb == "reload":
        why = reload()
        sys.stderr.write(f"{why}\n")
        return 1 if why else 0
    if verb == "leases":
        return leases()
    if verb == "end":
        return end(*words)
    json.dump(objects(words[0], json.load(sys.stdin)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
