"""The NAPALM driver of the virtual device: one SSH connection, one command a channel."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from napalm.base.base import NetworkDriver

from core.structs import make_ready
from drivers.contract import (
    Capabilities,
    CommitFailed,
    DeviceUnreachable,
    LiveSession,
    Neighbour,
    NotSupported,
    ObjectOp,
    ObjectResult,
    Observation,
    OnuState,
    Target,
)
from drivers.ssh import Answer, Connection
from drivers.virtual import object_ops
from drivers.virtual.grammar import SECTIONS
from drivers.virtual.tree import masked

CAPABILITIES = Capabilities(
    revert="hard",
    replace=True,
    merge=True,
    sections=frozenset(SECTIONS),
    atomic=True,
    sessions=4,
    observe=frozenset({"neighbours", "onus", "stations", "sessions", "optics"}),
    end_session=True,
    objects=object_ops.KINDS,
)

_T = TypeVar("_T")


class VirtualDriver(NetworkDriver):  # type: ignore[misc]  # napalm carries no types
    """`optional_args`: port, key_file, host_key (pinned fingerprint), device (its id in messages)."""

    def __init__(
        self,
        hostname: str,
        username: str,
        password: str,
        timeout: int = 60,
        optional_args: dict[str, Any] | None = None,
    ) -> None:
        given = optional_args or {}
        self.hostname, self.username, self.password, self.timeout = hostname, username, password, timeout
        self.target = Target(
            device=given.get("device", hostname),
            platform="virtual",
            host=hostname,
            port=given.get("port", 22),
            login=username,
            password=password,
            key_path=given.get("key_file", ""),
            host_key=given.get("host_key", ""),
            timeout=timeout,
        )
        self._connection: Connection | None = None

    def open(self) -> None:
        """Log in. Raises DeviceUnreachable, HostKeyMismatch, LoginRefused."""
        self._connection = Connection(self.target)

    def close(self) -> None:
        """Log out; the device forgets our candidate."""
        if self._connection:
            self._connection.close()

    def is_alive(self) -> dict[str, bool]:
        """Whether the connection stands."""
        return {"is_alive": bool(self._connection and self._connection.is_alive())}

    def get_facts(self) -> dict[str, Any]:
        """Name, model, version in NAPALM's shape."""
        facts: dict[str, Any] = self._show("version", dict[str, Any])
        return facts | {"fqdn": facts["hostname"]}

    def get_config(  # NAPALM's signature
        self,
        retrieve: str = "all",
        full: bool = False,  # noqa: ARG002
        sanitized: bool = False,
        format: str = "text",  # noqa: ARG002
    ) -> dict[str, str]:
        """The running configuration; this device boots what it runs, so startup is the same."""
        text = self._told("show configuration").output
        text = masked(text) if sanitized else text
        asked = {"all": ("running", "startup")}.get(retrieve, (retrieve,))
        return {name: text if name in asked else "" for name in ("running", "startup", "candidate")}

    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """A whole configuration as candidate. Raises CommitFailed with every syntax error and its line."""
        self._told("load replace", _text(filename, config))

    def load_merge_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """Lines on top of what runs; `no LINE` removes. Raises CommitFailed."""
        self._told("load merge", _text(filename, config))

    def load_sections_candidate(self, config: str, sections: Sequence[str]) -> None:
        """Some sections of a whole configuration; the others stay as they run. Raises CommitFailed."""
        self._told(f"load sections {' '.join(sections)}", config)

    def compare_config(self) -> str:
        """What a commit would change, as `+` and `-` lines below their blocks; "" for nothing."""
        return self._told("compare").output

    def commit_config(self, message: str = "", revert_in: int | None = None) -> None:
        """Run the candidate, for `revert_in` seconds only unless confirmed. Raises CommitFailed."""
        confirmed = "" if revert_in is None else f" confirmed {revert_in}"
        comment = f" comment {' '.join(message.split())}" if message.strip() else ""
        self._told(f"commit{confirmed}{comment}")

    def has_pending_commit(self) -> bool:
        """Whether a commit waits for its confirmation."""
        return bool(self._show("pending", dict[str, Any]))

    def confirm_commit(self) -> None:
        """Make the pending commit final. Raises CommitFailed when its time was up."""
        self._told("confirm")

    def discard_config(self) -> None:
        """Forget the candidate."""
        self._told("discard")

    def rollback(self) -> None:
        """Run again what ran before the last commit, pending or final."""
        if self.has_pending_commit():
            self._told("commit cancel")
            return
        self._told("rollback 1")
        self._told("commit comment rollback")

    def observe(self) -> Observation:
        """Neighbours, ONUs with their optics, number of stations, live sessions."""
        return Observation(
            neighbours=self._show("neighbours", tuple[Neighbour, ...]),
            onus=self._show("onus", tuple[OnuState, ...]),
            stations=len(self._show("stations", list[str])),
            sessions=self._show("sessions", tuple[LiveSession, ...]),
        )

    def end_session(self, session: LiveSession) -> bool:
        """End a subscriber's session; False when there was none."""
        return self._run(f"clear session {session.session_id}").status == 0

    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]:
        """Make every op true: read, send what is missing, read back. One refusal stops no other op."""
        for op in ops:
            if op.kind not in CAPABILITIES.objects:
                raise NotSupported("virtual", f"hold subscriber objects of kind '{op.kind}'")
        return [result for group in object_ops.groups(ops) for result in self._applied(group)]

    def _applied(self, ops: list[ObjectOp]) -> list[ObjectResult]:
        refusals = [object_ops.unusable(op) for op in ops]
        sendable = [op for op, why in zip(ops, refusals, strict=True) if not why]
        results = iter(self._sent(sendable))
        return [ObjectResult(False, False, why) if why else next(results) for why in refusals]

    def _sent(self, ops: list[ObjectOp]) -> list[ObjectResult]:
        before = self._present(ops)
        plans = [object_ops.commands(op, present) for op, present in zip(ops, before, strict=True)]
        answers = iter(self._batch([line for plan in plans for line in plan]))
        told = ["; ".join(a.answer for _ in plan if not (a := next(answers)).ok) for plan in plans]
        after = self._present(ops) if any(plans) else before
        return [
            ObjectResult(ok := object_ops.is_so(op, present), ok and bool(plan), answer)
            for op, present, plan, answer in zip(ops, after, plans, told, strict=True)
        ]

    def _present(self, ops: list[ObjectOp]) -> list[dict[str, Any] | None]:
        answers = self._batch([object_ops.query(op) for op in ops])
        return [answer.answer if answer.ok else None for answer in answers]

    def _batch(self, lines: list[str]) -> list["_LineAnswer"]:
        if not lines:
            return []
        output = self._told("batch", "\n".join(lines)).output
        return [msgspec.json.decode(line, type=_LineAnswer) for line in output.splitlines()]

    def _show(self, what: str, shape: type[_T]) -> _T:
        return msgspec.json.decode(self._told(f"show {what} | json").output, type=shape)

    def _told(self, command: str, text: str = "") -> Answer:
        answer = self._run(command, text)
        if answer.status != 0:
            raise CommitFailed(self.target.device, answer.error or answer.output, restored=True)
        return answer

    def _run(self, command: str, text: str = "") -> Answer:
        if self._connection is None:
            raise DeviceUnreachable(self.target, "the driver is not open")
        return self._connection.run(command, text)


class _LineAnswer(msgspec.Struct, frozen=True):
    ok: bool
    answer: Any


def _text(filename: str | None, config: str | None) -> str:
    return Path(filename).read_text() if filename else config or ""


def open_target(target: Target) -> VirtualDriver:
    """The driver for a target, not opened yet."""
    named = {
        "port": target.port,
        "key_file": target.key_path,
        "host_key": target.host_key,
        "device": target.device,
    }
    driver = VirtualDriver(target.host, target.login, target.password, optional_args=named)
    driver.target = target
    return driver


DRIVER = VirtualDriver


make_ready()  # a driver is imported when a device is first spoken to, by one of many threads
