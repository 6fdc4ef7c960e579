"""A NAPALM driver of a Linux machine whose configuration is a set of files, over SSH and SFTP.

`agent.sh` beside this file and the platform's own `agent.sh` below it do the device's side (verbs apply, restore,
confirm; the timer of a commit-confirm); the platform's driver adds what its programs say: sessions and facts.
"""

import shlex
from collections.abc import Collection, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

import paramiko
from napalm.base.base import NetworkDriver

from core.errors import Terminal
from drivers.contract import (
    CommitFailed,
    DeviceUnreachable,
    NotSupported,
    ObjectOp,
    ObjectResult,
    Target,
)
from drivers.file_set import File, FileRules, NotAFileSet
from drivers.ssh import Answer, Connection

AGENT = "/etc/trunkline/agent"
STATE = "/etc/trunkline/state"


class BngRefused(Terminal):
    """The BNG's side of the driver says no."""

    def __init__(self, device: str, question: str, answer: Answer) -> None:
        said = answer.error.strip() or answer.output.strip() or f"status {answer.status}"
        super().__init__(f"{device} refuses to {question}: {said}")


class FilesDriver(NetworkDriver):  # type: ignore[misc]
    """`optional_args`: port, key_file, host_key (the pinned `SHA256:…`), device (its name)."""

    platform: ClassVar[str]
    rules: ClassVar[FileRules]
    helpers: ClassVar[Sequence[tuple[str, str]]] = ()
    """What the agent needs beside it: (file in the platform's folder, path on the device)."""
    root = ""
    """Where the device's files begin: "" but for a device that is tried in a folder."""

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

    @property
    def _state(self) -> str:
        return self.root + STATE

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

    def _run(self, command: str, text: str = "", cap: float | None = None) -> Answer:
        if self._session is None:
            raise DeviceUnreachable(self.target, "the session is not open")
        return self._session.run(command, text, timeout=cap)

    def _agent(self, *words: object, text: str = "", cap: float | None = None) -> Answer:
        return self._run(shlex.join([self.root + AGENT, *map(str, words)]), text, cap)

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
            self._candidate = self.rules.parse(text)
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
        return self.rules.difference(self._files({*self._candidate}), self._candidate)

    def get_config(
        self,
        retrieve: str = "all",
        full: bool = False,  # noqa: ARG002
        sanitized: bool = False,
        format: str = "text",  # noqa: ARG002
    ) -> dict[str, str]:
        """running = startup = the files on the device that are ours; candidate; others are empty."""
        running = (
            self.rules.text_of(self._files(), sanitized) if retrieve in ("all", "running", "startup") else ""
        )
        candidate = (
            self.rules.text_of(self._candidate or {}, sanitized) if retrieve in ("all", "candidate") else ""
        )
        return {
            "running": running if retrieve in ("all", "running") else "",
            "startup": running if retrieve in ("all", "startup") else "",
            "candidate": candidate,
        }

    def _files(self, also: set[str] | None = None) -> dict[str, File]:
        """The files that we wrote before, and those of `also` that exist, as they are now."""
        listed = self._run(f"sed 's/^[0-7]* //' {self._state}/manifest 2>/dev/null").output.split()
        paths = sorted(self.root + path for path in {*listed, *(also or ())})
        modes = self._run("stat -c '%a %n' -- " + shlex.join(paths) + " 2>/dev/null").output if paths else ""
        found = dict[str, File]()
        with self._sftp() as client:
            for mode, path in (line.split(" ", 1) for line in modes.splitlines()):
                with client.open(path) as source:
                    name = path.removeprefix(self.root)
                    found[name] = File(name, mode, source.read().decode(errors="replace"))
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
        answer = self._agent("apply", revert_in or 0, *self._how(), cap=max(self.target.timeout, 120))
        if answer.status:
            said = answer.error.strip() or answer.output.strip() or f"status {answer.status}"
            raise CommitFailed(self.target.device, said, restored=answer.status == 3)
        self._candidate = None

    def _how(self) -> Sequence[str]:
        """More words for the agent's `apply`; asked while the candidate stands and the old files are in place."""
        return ()

    def _install_agent(self) -> None:
        self._run(f"mkdir -p -m 755 {self._state}")
        self._install(AGENT, agent_text(self.platform))
        for resource, path in self.helpers:
            self._install(path, (resources.files(f"drivers.{self.platform}") / resource).read_text())

    def _install(self, path: str, text: str) -> None:
        path = self.root + path
        if self._run(f"cat {path} 2>/dev/null").output == text:
            return
        with self._sftp() as client:
            _put(client, f"{path}.new", text, 0o755)
            client.posix_rename(f"{path}.new", path)

    def _stage(self, files: dict[str, File]) -> None:
        tree = f"{self._state}/stage/tree"
        folders = {f"{tree}{Path(path).parent}" for path in files} | {tree}
        self._run(f"rm -rf {self._state}/stage; umask 077; mkdir -p " + shlex.join(sorted(folders)))
        manifest = "".join(f"{file.mode} {path}\n" for path, file in sorted(files.items()))
        with self._sftp() as client:
            _put(client, f"{self._state}/stage/manifest", manifest, 0o600)
            for path, file in sorted(files.items()):
                _put(client, f"{self._state}/stage/tree{path}", file.text, 0o600)

    def has_pending_commit(self) -> bool:
        """Whether a commit waits for its confirmation."""
        return self._run(f"test -f {self._state}/pending").status == 0

    def confirm_commit(self) -> None:
        """Keep the pending commit: the timer finds nothing to undo."""
        self._must("confirm")

    def rollback(self) -> None:
        """Install what was there before the last commit. Raises CommitFailed when it does not load."""
        answer = self._agent("restore", cap=max(self.target.timeout, 120))
        if answer.status == 4:
            raise CommitFailed(self.target.device, answer.error, restored=False)
        if answer.status:
            raise BngRefused(self.target.device, "roll back", answer)

    def _must(self, *words: object) -> str:
        answer = self._agent(*words)
        if answer.status:
            raise BngRefused(self.target.device, " ".join(map(str, words)), answer)
        return answer.output

    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]:  # noqa: ARG002
        """Such a BNG holds no subscriber objects: RADIUS tells it everything."""
        raise NotSupported(self.platform, "hold subscriber objects")


def _put(client: paramiko.SFTPClient, path: str, text: str, mode: int) -> None:
    with client.open(path, "w") as out:
        out.set_pipelined(True)
        out.write(text.encode())
    client.chmod(path, mode)


def agent_text(platform: str) -> str:
    """The agent of a platform: the shared part, then the platform's own."""
    folders = (resources.files("drivers"), resources.files(f"drivers.{platform}"))
    return "\n".join((folder / "agent.sh").read_text() for folder in folders)


def arguments_of(target: Target) -> dict[str, Any]:
    """The `optional_args` of a FilesDriver for a target."""
    return {
        "port": target.port,
        "key_file": target.key_path,
        "host_key": target.host_key,
        "device": target.device,
        **target.options,
    }
