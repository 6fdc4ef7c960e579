"""NAPALM's driver for FRRouting (8.x), over SSH to the forced command of `on_device.py`.

`revert_in` is soft: the old configuration stays on the router, a reboot loads it, and `rollback` brings it back;
but we must be alive to call it when the time is over.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napalm.base.base import NetworkDriver

from core.errors import Retryable, Terminal
from drivers.contract import (
    Capabilities,
    CommitFailed,
    LiveSession,
    NotSupported,
    ObjectOp,
    ObjectResult,
    Observation,
    Target,
)
from drivers.frr import getters
from drivers.frr.compare import difference, masked
from drivers.frr.sections import combined
from drivers.ssh import Connection

CAPABILITIES = Capabilities(
    revert="soft",
    replace=True,
    merge=True,
    sections=frozenset({"interfaces", "routing"}),
    atomic=True,
    sessions=8,
    observe=frozenset({"neighbours"}),
)


class CandidateRefused(CommitFailed):
    """FRR's own parser does not accept the candidate; nothing was run."""

    def __init__(self, device: str, answer: str) -> None:
        super().__init__(device, f"its parser refuses the candidate: {answer}", restored=True)


class FrrRefused(Terminal):
    """The router's side of the driver says no."""

    def __init__(self, device: str, question: str, answer: str) -> None:
        super().__init__(f"{device} refuses to {question}: {answer}")


class RouterBusy(Retryable):
    """Another session is changing the router."""

    def __init__(self, device: str, answer: str) -> None:
        super().__init__(f"{device} is busy: {answer}")


class NoAnswer(Retryable):
    """The router's answer is not in our words."""

    def __init__(self, device: str, question: str, said: str) -> None:
        super().__init__(
            f"{device} did not understand '{question}': {said}; is on_device.py its forced command?"
        )


class FrrDriver(NetworkDriver):  # type: ignore[misc]
    """FRRouting. `optional_args`: port, key_file, host_key (the pinned `SHA256:…`), device (its name)."""

    platform = "frr"

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
        self._mode = "replace"

    def open(self) -> None:
        """Log in. Raises DeviceUnreachable, HostKeyMismatch (before we log in) or LoginRefused."""
        self._session = Connection(self.target)

    def close(self) -> None:
        """Log out."""
        if self._session:
            self._session.close()
        self._session = None

    def is_alive(self) -> dict[str, bool]:
        """Whether the session stands and FRR answers on it."""
        if not self._session or not self._session.is_alive():
            return {"is_alive": False}
        try:
            return {"is_alive": bool(self._ask("status")["alive"])}
        except Retryable:
            return {"is_alive": False}

    def _ask(self, command: str, body: str = "", cap: float | None = None) -> dict[str, Any]:
        if self._session is None:
            raise FrrRefused(self.target.device, command, "the session is not open")
        said = self._session.run(command, body, cap)
        try:
            answer: dict[str, Any] = json.loads(said.output)
        except ValueError as error:
            raise NoAnswer(self.target.device, command, said.error.strip() or said.output[:200]) from error
        if answer.get("busy"):
            raise RouterBusy(self.target.device, answer["text"])
        if not answer["ok"]:
            raise FrrRefused(self.target.device, command, answer["text"])
        return answer

    def _show(self, command: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._ask(f"show {command}")["text"] or "{}")
        return found

    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """Stage a whole configuration; the host's own lines (logging, forwarding) stay.

        Raises CandidateRefused with FRR's sentence and line.
        """
        self._stage("replace", filename, config)

    def load_merge_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """Stage lines to be added. Raises CandidateRefused with FRR's sentence and line."""
        self._stage("merge", filename, config)

    def load_sections_candidate(self, config: str, sections: Sequence[str]) -> None:
        """Stage these sections of a whole configuration; the others stay as they run. Raises CandidateRefused."""
        self._stage("replace", None, combined(config, self._ask("config")["running"], sections))

    def _stage(self, mode: str, filename: str | None, config: str | None) -> None:
        text = Path(filename).read_text() if filename else config or ""
        if not text.strip():
            raise CandidateRefused(self.target.device, "it is empty")
        try:
            self._ask(f"stage {mode}", text if text.endswith("\n") else f"{text}\n")
        except FrrRefused as refusal:
            raise CandidateRefused(self.target.device, str(refusal)) from refusal
        self._mode = mode

    def compare_config(self) -> str:
        """What the candidate would change, context lines unmarked; "" for nothing. Passwords are masked."""
        answer = self._ask("compare")
        return difference(answer["text"], answer["candidate"], merge=self._mode == "merge")

    def commit_config(self, message: str = "", revert_in: int | None = None) -> None:
        """Apply the candidate; with `revert_in` seconds it waits for `confirm_commit` or `rollback`.

        Raises CommitFailed when FRR stopped half way; the router has then gone back by itself (`restored`).
        """
        answer = self._ask(f"commit {self._mode} {revert_in or 0}", message, cap=self.target.timeout * 4)
        if not answer["applied"]:
            raise CommitFailed(self.target.device, answer["text"], restored=answer["restored"])

    def has_pending_commit(self) -> bool:
        """Whether a commit waits for its confirmation, or was cut off half way: then only `rollback` helps."""
        status = self._ask("status")
        if status["state"] == "applying" and not status["interrupted"]:
            raise RouterBusy(self.target.device, "a commit is under way")
        return bool(status["state"] == "pending" or status["interrupted"])

    def confirm_commit(self) -> None:
        """Keep the pending commit."""
        self._ask("confirm")

    def discard_config(self) -> None:
        """Forget the candidate."""
        self._ask("discard")

    def rollback(self) -> None:
        """Run what ran before the last commit. Raises CommitFailed when FRR does not take it back."""
        if not self._ask("rollback", cap=self.target.timeout * 4)["restored"]:
            raise CommitFailed(
                self.target.device, "the previous configuration does not apply", restored=False
            )

    def get_config(
        self,
        retrieve: str = "all",
        full: bool = False,  # noqa: ARG002  the names are NAPALM's
        sanitized: bool = False,
        format: str = "text",  # noqa: ARG002
    ) -> dict[str, str]:
        """running, startup, candidate; what `retrieve` does not name is empty."""
        found = self._ask("config")
        texts = {name: found[name] for name in ("running", "startup", "candidate")}
        wanted = {name: text if retrieve in ("all", name) else "" for name, text in texts.items()}
        return {name: masked(text) if sanitized else text for name, text in wanted.items()}

    def get_facts(self) -> dict[str, Any]:
        """NAPALM's facts; the serial number is the machine id."""
        return getters.facts(self._ask("facts"))

    def get_interfaces(self) -> dict[str, dict[str, Any]]:
        """NAPALM's interfaces; speed in Mbit/s."""
        return getters.interfaces(self._show("interface json"))

    def get_bgp_neighbors(self) -> dict[str, dict[str, Any]]:
        """NAPALM's BGP neighbours per VRF."""
        return getters.bgp_neighbors(self._show("bgp vrf all neighbors json"))

    def observe(self) -> Observation:
        """OSPFv2, OSPFv3 and BGP neighbours and their states."""
        found = {name: json.loads(text or "{}") for name, text in self._ask("neighbours")["texts"].items()}
        return Observation(
            neighbours=(
                *getters.ospf(found["ospf"]),
                *getters.ospf6(found["ospf6"]),
                *getters.bgp(found["bgp"]),
            )
        )

    def end_session(self, session: LiveSession) -> bool:  # noqa: ARG002
        """A router holds no subscriber sessions."""
        raise NotSupported(self.platform, "end a subscriber session")

    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]:  # noqa: ARG002
        """A router holds no subscriber objects."""
        raise NotSupported(self.platform, "hold subscriber objects")


def open_target(target: Target) -> FrrDriver:
    """The driver for a target, not opened yet."""
    arguments = {
        "port": target.port,
        "key_file": target.key_path,
        "host_key": target.host_key,
        "device": target.device,
        **target.options,
    }
    return FrrDriver(target.host, target.login, target.password, int(target.timeout), arguments)


DRIVER = FrrDriver
