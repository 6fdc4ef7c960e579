"""NAPALM's driver for a Linux PPPoE BNG, over SSH and SFTP. `agent.sh` does the device's side: see README.md.

`revert_in` is hard: the timer runs on the device, and a reboot before the confirmation restores as well.
"""

import re
import shlex
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

import paramiko
from napalm.base.base import NetworkDriver

from core.errors import Terminal
from drivers.contract import (
    Capabilities,
    CommitFailed,
    DeviceUnreachable,
    LiveSession,
    NotSupported,
    ObjectOp,
    ObjectResult,
    Observation,
    Target,
)
from drivers.linux_pppd.files import File, NotAFileSet, difference, parse, text_of
from drivers.ssh import Answer, Connection

CAPABILITIES = Capabilities(
    revert="hard",
    replace=True,
    sections=frozenset({"subscriber"}),
    atomic=True,
    sessions=8,
    observe=frozenset({"sessions"}),
    end_session=True,
)
AGENT = "/etc/trunkline/agent"
STATE = "/etc/trunkline/state"
_INTERFACE = re.compile(r"ppp[0-9]{1,9}")
_NO_SUCH_SESSION = 6


class BngRefused(Terminal):
    """The BNG's side of the driver says no."""

    def __init__(self, device: str, question: str, answer: Answer) -> None:
        said = answer.error.strip() or answer.output.strip() or f"status {answer.status}"
        super().__init__(f"{device} refuses to {question}: {said}")


class LinuxPppdDriver(NetworkDriver):  # type: ignore[misc]
    """A Linux BNG. `optional_args`: port, key_file, host_key (the pinned `SHA256:…`), device (its name)."""

    platform = "linux_pppd"

    def __init__(
        self,
        hostname: str,
        username: str,
        password: str = "",
        timeout: int = 60,
        optional_args: dict[str, Any] | None = None,
    ) -> None:
        given = optional_args or {}
        self.hostname, self.username, self.timeout = hostname, username, timeout
        self.target = Target(
            device=given.get("device", hostname),
            platform=self.platform,
            host=hostname,
            port=int(given.get("port") or 22),
            login=username,
            password=password,
            key_path=given.get("key_file") or "",
            host_key=given.get("host_key", ""),
            timeout=timeout,
        )
        self._session: Connection | None = None
        self._candidate: dict[str, File] | None = None

    # -- the session ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """Log in. Raises DeviceUnreachable, HostKeyMismatch (before we log in) or LoginRefused."""
        self._session = Connection(self.target)

    def close(self) -> None:
        """Log out; the candidate is forgotten."""
        if self._session:
            self._session.close()
        self._session, self._candidate = None, None

    def is_alive(self) -> dict[str, bool]:
        """Whether the session stands and the device answers on it."""
        if not self._session or not self._session.is_alive():
            return {"is_alive": False}
        return {"is_alive": self._run("true").status == 0}

    def _run(self, command: str, cap: float | None = None) -> Answer:
        if self._session is None:
            raise DeviceUnreachable(self.target, "the session is not open")
        return self._session.run(command, timeout=cap)

    def _agent(self, *words: object, cap: float | None = None) -> Answer:
        return self._run(shlex.join([AGENT, *map(str, words)]), cap)

    def _sftp(self) -> paramiko.SFTPClient:
        if self._session is None:
            raise DeviceUnreachable(self.target, "the session is not open")
        client = paramiko.SFTPClient.from_transport(self._session.transport)
        assert client is not None
        return client

    # -- candidate and running -----------------------------------------------------------------------------

    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """Keep a whole set of files as the candidate; the device sees it at commit. Raises CommitFailed."""
        text = Path(filename).read_text() if filename else config or ""
        try:
            self._candidate = parse(text)
        except NotAFileSet as error:
            raise CommitFailed(self.target.device, str(error), restored=True) from error

    def load_merge_candidate(
        self,
        filename: str | None = None,  # noqa: ARG002  the names are NAPALM's
        config: str | None = None,  # noqa: ARG002
    ) -> None:
        """Files are replaced as a set."""
        raise NotSupported(self.platform, "merge lines into its files")

    def load_sections_candidate(self, config: str, sections: Collection[str]) -> None:
        """All our files are the section `subscriber`: the whole set with it, what runs without it."""
        if "subscriber" in sections:
            self.load_replace_candidate(config=config)
        else:
            self._candidate = self._files()

    def discard_config(self) -> None:
        """Forget the candidate."""
        self._candidate = None

    def compare_config(self) -> str:
        """A unified diff of the candidate against the files on the device; "" for nothing. Secrets are masked."""
        if self._candidate is None:
            return ""
        return difference(self._files({*self._candidate}), self._candidate)

    def get_config(
        self,
        retrieve: str = "all",
        full: bool = False,  # noqa: ARG002
        sanitized: bool = False,
        format: str = "text",  # noqa: ARG002
    ) -> dict[str, str]:
        """running = startup = the files on the device that are ours; candidate; others are empty."""
        running = text_of(self._files(), sanitized) if retrieve in ("all", "running", "startup") else ""
        candidate = text_of(self._candidate or {}, sanitized) if retrieve in ("all", "candidate") else ""
        return {
            "running": running if retrieve in ("all", "running") else "",
            "startup": running if retrieve in ("all", "startup") else "",
            "candidate": candidate,
        }

    def _files(self, also: set[str] | None = None) -> dict[str, File]:
        """The files that we wrote before, and those of `also` that exist, as they are now."""
        listed = self._run(f"sed 's/^[0-7]* //' {STATE}/manifest 2>/dev/null").output.split()
        paths = sorted({*listed, *(also or ())})
        modes = self._run("stat -c '%a %n' -- " + shlex.join(paths) + " 2>/dev/null").output if paths else ""
        found = dict[str, File]()
        with self._sftp() as client:
            for mode, path in (line.split(" ", 1) for line in modes.splitlines()):
                with client.open(path) as source:
                    found[path] = File(path, mode, source.read().decode(errors="replace"))
        return found

    # -- commit, confirm, rollback -------------------------------------------------------------------------

    def commit_config(
        self,
        message: str = "",  # noqa: ARG002
        revert_in: int | None = None,
    ) -> None:
        """Install the candidate and reload what changed; with `revert_in` seconds the device's timer undoes it.

        Raises CommitFailed: what the programs themselves refused, or what did not start (then undone already).
        """
        if self._candidate is None:
            return
        self._install_agent()
        self._stage(self._candidate)
        answer = self._agent("apply", revert_in or 0, cap=max(self.target.timeout, 60))
        if answer.status:
            said = answer.error.strip() or answer.output.strip() or f"status {answer.status}"
            raise CommitFailed(self.target.device, said, restored=answer.status == 3)
        self._candidate = None

    def _install_agent(self) -> None:
        text = (resources.files("drivers.linux_pppd") / "agent.sh").read_text()
        if self._run(f"cat {AGENT} 2>/dev/null").output == text:
            return
        self._run(f"mkdir -p -m 755 {STATE}")
        with self._sftp() as client:
            _put(client, f"{AGENT}.new", text, 0o755)
            client.posix_rename(f"{AGENT}.new", AGENT)

    def _stage(self, files: dict[str, File]) -> None:
        folders = {f"{STATE}/stage/tree{Path(path).parent}" for path in files} | {f"{STATE}/stage/tree"}
        self._run(f"rm -rf {STATE}/stage; umask 077; mkdir -p " + shlex.join(sorted(folders)))
        manifest = "".join(f"{file.mode} {path}\n" for path, file in sorted(files.items()))
        with self._sftp() as client:
            _put(client, f"{STATE}/stage/manifest", manifest, 0o600)
            for path, file in sorted(files.items()):
                _put(client, f"{STATE}/stage/tree{path}", file.text, 0o600)

    def has_pending_commit(self) -> bool:
        """Whether a commit waits for its confirmation."""
        return self._run(f"test -f {STATE}/pending").status == 0

    def confirm_commit(self) -> None:
        """Keep the pending commit: the timer finds nothing to undo."""
        self._must("confirm")

    def rollback(self) -> None:
        """Install what was there before the last commit. Raises CommitFailed when it does not load."""
        answer = self._agent("restore", cap=max(self.target.timeout, 60))
        if answer.status == 4:
            raise CommitFailed(self.target.device, answer.error, restored=False)
        if answer.status:
            raise BngRefused(self.target.device, "roll back", answer)

    def _must(self, *words: object) -> str:
        answer = self._agent(*words)
        if answer.status:
            raise BngRefused(self.target.device, " ".join(map(str, words)), answer)
        return answer.output

    # -- what the device says ------------------------------------------------------------------------------

    def get_facts(self) -> dict[str, Any]:
        """NAPALM's facts; the serial number is the machine id."""
        asked = "hostname; uname -r; cat /etc/machine-id; cut -d' ' -f1 /proc/uptime; ls /sys/class/net | tr '\\n' ' '"
        hostname, kernel, serial, uptime, interfaces = self._run(asked).output.splitlines()[:5]
        return {
            "hostname": hostname,
            "fqdn": hostname,
            "vendor": "Linux",
            "model": "PPPoE BNG (pppoe-server, pppd)",
            "os_version": kernel,
            "serial_number": serial,
            "uptime": float(uptime),
            "interface_list": interfaces.split(),
        }

    def observe(self) -> Observation:
        """The live PPPoE sessions."""
        if self._run(f"test -x {AGENT}").status:
            return Observation(sessions=())
        return Observation(sessions=tuple(_session(line) for line in self._must("sessions").splitlines()))

    def end_session(self, session: LiveSession) -> bool:
        """End a session found by interface, session id or address, and by login; False when there is none such.

        pppd says goodbye and sends the Accounting Stop; True only when it and its interface are gone.
        """
        for live in self.observe().sessions or ():
            if live.login == session.login and _same(live, session):
                return self._end(live)
        return False

    def _end(self, live: LiveSession) -> bool:
        assert _INTERFACE.fullmatch(live.interface)
        answer = self._agent("end", live.interface, live.login, cap=max(self.target.timeout, 30))
        if answer.status == _NO_SUCH_SESSION:
            return False
        if answer.status:
            raise BngRefused(self.target.device, f"end the session on {live.interface}", answer)
        return True

    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]:  # noqa: ARG002
        """A pppd BNG holds no subscriber objects: RADIUS tells it everything."""
        raise NotSupported(self.platform, "hold subscriber objects")


def _put(client: paramiko.SFTPClient, path: str, text: str, mode: int) -> None:
    with client.open(path, "w") as out:
        out.set_pipelined(True)
        out.write(text.encode())
    client.chmod(path, mode)


def _session(line: str) -> LiveSession:
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    return LiveSession(
        session_id=words.get("id", ""),
        login=words.get("login", ""),
        interface=words["interface"],
        address=words.get("address", ""),
        calling_station=words.get("mac", ""),
    )


def _same(live: LiveSession, asked: LiveSession) -> bool:
    """Whether what was asked for names this session: our own id, or everything given of interface and address.

    Acct-Session-Id is no help: pppd 2.4.9 derives it from the second alone and tells its scripts nothing of it.
    NAS-Port-Id is the access port, which many sessions share: only `pppN` says which one.
    """
    if asked.session_id and asked.session_id == live.session_id:
        return True
    interface = asked.interface if _INTERFACE.fullmatch(asked.interface) else ""
    pairs = ((interface, live.interface), (asked.address, live.address))
    given = [(one, other) for one, other in pairs if one]
    return bool(given) and all(one == other for one, other in given)


def open_target(target: Target) -> LinuxPppdDriver:
    """The driver for a target, not opened yet."""
    arguments = {
        "port": target.port,
        "key_file": target.key_path,
        "host_key": target.host_key,
        "device": target.device,
        **target.options,
    }
    return LinuxPppdDriver(target.host, target.login, target.password, int(target.timeout), arguments)


DRIVER = LinuxPppdDriver
