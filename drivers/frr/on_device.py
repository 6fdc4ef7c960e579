"""The device's side of the FRR driver: the one command that Trunkline's SSH key may run on a router.

Installed on the router as a forced command (see README.md); needs nothing but Python 3 and FRR's own `vtysh` and
`frr-reload.py`. What it was asked for comes in SSH_ORIGINAL_COMMAND, a body on stdin; the answer is one JSON
object on stdout. Because it runs on the router, a change that fails half way is undone there, whatever becomes of
the SSH session. All state lies in one folder: `candidate.conf`, `previous.conf` (before the last commit),
`startup.conf` (what a reboot would load while a commit waits for its confirmation) and `state.json`.
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


_SYSTEM = re.compile(
    r"(no )?(agentx|banner|debug|domainname|enable|ip forwarding|ipv6 forwarding|log|password|service|username)\b"
)
"""Top-level lines that are the host's own (logging, forwarding, local passwords); a replacement keeps them."""


class Refused(Exception):
    """What was asked for cannot be done; the sentence is for the operator."""


class Busy(Refused):
    """It can be done later."""


@dataclass(frozen=True)
class Router:
    """One FRR instance: its pathspace (`-N`, empty for the only one), our state folder, the cap per command."""

    pathspace: str
    state: Path
    cap: float
    reload: str = "/usr/lib/frr/frr-reload.py"

    def vtysh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run vtysh on this instance."""
        where = ["-N", self.pathspace] if self.pathspace else []
        return self._run(["vtysh", *where, *arguments])

    def reconcile(self, mode: str, target: Path) -> subprocess.CompletedProcess[str]:
        """FRR's own reload tool: `--test` shows the commands, `--reload` runs them."""
        where = ["-N", self.pathspace] if self.pathspace else []
        return self._run([self.reload, mode, *where, str(target)])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=self.cap, check=False, close_fds=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"no answer within {self.cap:g} s")

    def running(self) -> str:
        """The running configuration without its heading."""
        done = self.vtysh("-c", "show running-config no-header")
        if done.returncode or "!" not in done.stdout:
            raise Refused(f"vtysh does not show the running configuration: {said(done)}")
        return done.stdout

    @property
    def startup(self) -> Path:
        """The file that FRR loads when it starts."""
        return Path("/etc/frr", self.pathspace, "frr.conf")

    def file(self, name: str) -> Path:
        """A file of ours."""
        return self.state / name


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a tool complained about: its lines without the chatter of its log."""
    lines = (done.stderr + "\n" + done.stdout).splitlines()
    telling = [line.strip() for line in lines if line.strip() and not re.match(r"\d{4}-\d\d-\d\d ", line)]
    return "; ".join(dict.fromkeys(telling)) or f"exit status {done.returncode}"


def write(path: Path, text: str) -> None:
    """Put a whole file in place, readable by us only, on disk before we go on."""
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def read_state(router: Router) -> Answer:
    """`state`: idle | applying | pending; `deadline` in seconds since the epoch while pending."""
    try:
        found: Answer = json.loads(router.file("state.json").read_text())
    except (FileNotFoundError, ValueError):
        found = {"state": "idle"}
    return found


def set_state(router: Router, state: str, **more: Any) -> None:
    """Remember where we are before the step that it announces."""
    write(router.file("state.json"), json.dumps({"state": state, **more}))


@contextlib.contextmanager
def only_one(router: Router) -> Iterator[None]:
    """One change at a time on a router; a second one is refused, it does not wait.

    The tools that we start inherit the lock: should we be killed, it is free when the last of them has ended.
    """
    with open(router.file("lock"), "w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another session is changing this router") from None
        yield


def show(router: Router, words: list[str]) -> Answer:
    """`show <words>`: any show command of FRR."""
    line = " ".join(["show", *words])
    if re.search(r"[|\n;]", line):
        raise Refused("a show command is one plain line")
    done = router.vtysh("-c", line)
    if done.returncode:
        raise Refused(said(done))
    return {"text": done.stdout}


_NEIGHBOURS = {"ospf": "ip ospf neighbor", "ospf6": "ipv6 ospf6 neighbor", "bgp": "bgp summary"}


def neighbours(router: Router, _words: list[str]) -> Answer:
    """FRR's own JSON of its OSPF, OSPFv3 and BGP neighbours, as texts; "" from a daemon that does not run."""
    texts = {name: router.vtysh("-c", f"show {what} json").stdout for name, what in _NEIGHBOURS.items()}
    return {"texts": {name: text if text.lstrip().startswith("{") else "" for name, text in texts.items()}}


def facts(router: Router, _words: list[str]) -> Answer:
    """Version, name, uptime in seconds, interfaces, serial (the machine id)."""
    first = router.vtysh("-c", "show version").stdout.splitlines()[:1]
    version = re.search(r"FRRouting (\S+)", first[0] if first else "")
    interfaces = json.loads(router.vtysh("-c", "show interface json").stdout or "{}")
    machine = Path("/etc/machine-id")
    return {
        "version": version[1] if version else "",
        "hostname": socket.gethostname(),
        "uptime": float(Path("/proc/uptime").read_text().split()[0]),
        "serial": machine.read_text().strip() if machine.exists() else "",
        "interfaces": interfaces,
    }


def config(router: Router, _words: list[str]) -> Answer:
    """Running, startup and candidate configuration."""
    texts = {}
    for name, path in {"startup": router.startup, "candidate": router.file("candidate.conf")}.items():
        texts[name] = path.read_text() if path.exists() else ""
    return {"running": router.running(), **texts}


def stage(router: Router, words: list[str]) -> Answer:
    """`stage replace|merge`: take the candidate from stdin, when FRR's parser accepts it."""
    fresh, text = router.file("candidate.conf.unchecked"), sys.stdin.read()
    write(fresh, with_system_lines(text, router.running()) if words == ["replace"] else text)
    done = router.vtysh("-C", "-f", str(fresh))
    if done.returncode:
        raise Refused(said(done))
    fresh.replace(router.file("candidate.conf"))
    return {}


def with_system_lines(candidate: str, running: str) -> str:
    """The candidate and the host's own lines, at its end so that line numbers in complaints stay true."""
    own = [line for line in running.splitlines() if _SYSTEM.match(line)]
    lines = candidate.splitlines()
    end = len(lines) - 1 if lines and lines[-1].strip() == "end" else len(lines)
    kept = [line for line in own if line not in lines]
    return "\n".join([*lines[:end], *kept, *lines[end:]]) + "\n"


def compare(router: Router, _words: list[str]) -> Answer:
    """The commands that would turn the running configuration into the candidate; "" without a candidate."""
    path = router.file("candidate.conf")
    if not path.exists():
        return {"text": "", "candidate": ""}
    done = router.reconcile("--test", path)
    if done.returncode:
        raise Refused(said(done))
    return {"text": done.stdout, "candidate": path.read_text()}


def _candidate(router: Router) -> Path:
    path = router.file("candidate.conf")
    if not path.exists():
        raise Refused("there is no candidate configuration; load one first")
    return path


def commit(router: Router, words: list[str]) -> Answer:
    """`commit replace|merge [seconds]` and a message on stdin: apply the candidate, or restore what ran before.

    With seconds the commit is pending: a reboot loads the old configuration until `confirm`.
    """
    mode, seconds = words[0], int(words[1]) if len(words) > 1 else 0
    path = _candidate(router)
    with only_one(router):
        before = read_state(router)["state"]
        if before == "pending":
            raise Refused("a commit is waiting for its confirmation; confirm it or roll back first")
        if before == "idle":  # else a commit was cut off half way: what ran before *it* is worth keeping
            _remember(router)
        set_state(router, "applying", since=time.time(), message=sys.stdin.read(1000))
        done = router.reconcile("--reload", path) if mode == "replace" else router.vtysh("-f", str(path))
        if done.returncode:
            restored = _restore(router)
            set_state(router, "idle")
            return {"applied": False, "restored": restored, "text": said(done)}
        _keep(router, seconds)
    return {"applied": True, "text": said(done) if done.stderr.strip() else ""}


def _remember(router: Router) -> None:
    write(router.file("previous.conf"), router.running())
    write(router.file("startup.conf"), router.startup.read_text() if router.startup.exists() else "")


def _keep(router: Router, seconds: int) -> None:
    """After a commit: `frr-reload.py` has written the startup file already, which is too early when pending."""
    if seconds:
        set_state(router, "pending", deadline=time.time() + seconds)
        _put_startup_back(router)
    else:
        router.vtysh("-c", "write memory")
        set_state(router, "idle")


def _put_startup_back(router: Router) -> None:
    """Overwrite in place: the file belongs to FRR's account and must stay so."""
    text = router.file("startup.conf").read_text()
    if router.startup.exists():
        router.startup.write_text(text)


def _restore(router: Router) -> bool:
    """Bring the previous configuration back, twice if once was not enough; says whether it is running."""
    target = router.file("previous.conf")
    for _ in range(2):
        router.reconcile("--reload", target)
        if settled(router.reconcile("--test", target).stdout):
            _put_startup_back(router)
            return True
    return False


def settled(shown: str) -> bool:
    """Whether a `--test` shows nothing but what it always shows."""
    idle = re.compile(r"(no )?hostname |line vty$|Lines To |=+$|$|frr (version|defaults) ")
    return all(idle.match(line) for line in shown.splitlines())


def rollback(router: Router, _words: list[str]) -> Answer:
    """Run again what ran before the last commit."""
    with only_one(router):
        if not router.file("previous.conf").exists():
            raise Refused("nothing was committed here before; there is no configuration to go back to")
        restored = _restore(router)
        if restored:
            router.vtysh("-c", "write memory")
            set_state(router, "idle")
    return {"restored": restored}


def confirm(router: Router, _words: list[str]) -> Answer:
    """Keep a pending commit: what runs is what a reboot loads."""
    with only_one(router):
        if read_state(router)["state"] != "pending":
            raise Refused("no commit is waiting for a confirmation")
        done = router.vtysh("-c", "write memory")
        if done.returncode:
            raise Refused(said(done))
        set_state(router, "idle")
    return {}


def discard(router: Router, _words: list[str]) -> Answer:
    """Forget the candidate."""
    router.file("candidate.conf").unlink(missing_ok=True)
    return {}


def status(router: Router, _words: list[str]) -> Answer:
    """Where the last commit stands; `alive` when FRR answers; `interrupted` when a commit was cut off half way."""
    found = read_state(router)
    alive = router.vtysh("-c", "show version").returncode == 0
    return {**found, "alive": alive, "now": time.time(), "interrupted": _interrupted(router, found["state"])}


def _interrupted(router: Router, state: str) -> bool:
    if state != "applying":
        return False
    try:
        with only_one(router):
            return True
    except Busy:
        return False


VERBS: dict[str, Callable[[Router, list[str]], Answer]] = {
    verb.__name__: verb
    for verb in (show, facts, neighbours, config, stage, compare, commit, rollback, confirm, discard, status)
}


def answer(router: Router, words: list[str]) -> Answer:
    """Do one verb; a refusal is an answer too."""
    if not words or words[0] not in VERBS:
        return {"ok": False, "text": f"not one of {', '.join(sorted(VERBS))}"}
    try:
        return {"ok": True, **VERBS[words[0]](router, words[1:])}
    except Refused as refusal:
        return {"ok": False, "text": str(refusal), "busy": isinstance(refusal, Busy)}


def main() -> None:
    """Read the forced command's own arguments and what the SSH client asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pathspace", default="")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/trunkline-frr"))
    parser.add_argument("--cap", type=float, default=60.0)
    options = parser.parse_args()
    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    router = Router(options.pathspace, options.state, options.cap)
    words = shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    print(json.dumps(answer(router, words)))  # noqa: T201  the answer


if __name__ == "__main__":
    main()
