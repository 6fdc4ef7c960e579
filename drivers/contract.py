"""What a driver is: a NAPALM `NetworkDriver` and a declaration of what it can do.

Any NAPALM driver from outside works too; what it cannot do is declared, never skipped. A platform is a folder
`drivers/<platform>/driver.py` with `DRIVER` (a class taking NAPALM's constructor arguments), `CAPABILITIES`
and optionally `open_target(target) -> Driver` where the constructor does not fit.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from core.errors import Retryable, Terminal

Revert = Literal["hard", "soft", "none"]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan may promise for a platform."""

    revert: Revert
    """hard: the device's own timer; soft: we must be alive; none: there is no way back but another push."""
    replace: bool = False
    """A whole configuration can be put in the place of the running one."""
    merge: bool = False
    """Lines can be added to the running configuration."""
    sections: frozenset[str] = frozenset()
    """Sections of ownership (a device's `sections`) that can be replaced while the others stay as they run.

    Such a driver has `load_sections_candidate(config, sections)`, which takes only these sections of a whole
    configuration; without it `manage: partial` can only merge, and what left the intent stays on the device.
    """
    atomic: bool = False
    """All of a commit or nothing."""
    sessions: int = 1
    """Management sessions at the same time."""
    observe: frozenset[str] = frozenset()
    """Which parts of `Observation` are filled: neighbours, onus, stations, sessions, optics."""
    end_session: bool = False
    """A subscriber session can be ended through the driver."""
    objects: frozenset[str] = frozenset()
    """Kinds of subscriber objects (lane 2) that `apply_objects` takes: onu, service-port, sip."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to log in. `host_key` is the pinned OpenSSH fingerprint `SHA256:…`."""

    device: str
    platform: str
    host: str
    port: int = 22
    login: str = ""
    password: str = ""
    key_path: str = ""
    host_key: str = ""
    timeout: float = 30.0
    options: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Target({self.device} {self.platform} {self.login}@{self.host}:{self.port})"


class Neighbour(msgspec.Struct, frozen=True):
    """An adjacency: `protocol` ospf | ospf6 | bgp | lldp; `state` as the protocol names it; `up` what it means."""

    protocol: str
    neighbour: str
    state: str
    up: bool


class LiveSession(msgspec.Struct, frozen=True):
    """A subscriber session as the device sees it."""

    session_id: str
    login: str
    interface: str = ""
    address: str = ""
    calling_station: str = ""


class OnuState(msgspec.Struct, frozen=True):
    """An ONU on a PON, as the OLT sees it; powers in dBm."""

    pon: str
    onu: int
    serial: str
    online: bool
    receive_power: float | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of itself; parts that its capabilities do not name stay None."""

    neighbours: tuple[Neighbour, ...] | None = None
    onus: tuple[OnuState, ...] | None = None
    stations: int | None = None
    sessions: tuple[LiveSession, ...] | None = None


class ObjectOp(msgspec.Struct, frozen=True, kw_only=True):
    """One idempotent change of a subscriber object on a device (lane 2).

    `key` names the object on the device, e.g. {"pon": "0/1/0", "onu": 17}; `attributes` is its wanted state.
    """

    op: Literal["put", "delete"]
    kind: str
    key: dict[str, Any]
    attributes: dict[str, Any] = {}


class ObjectResult(msgspec.Struct, frozen=True):
    """What became of an ObjectOp, verified by reading back: `changed` False means it already was so."""

    ok: bool
    changed: bool
    answer: str = ""


@runtime_checkable
class Driver(Protocol):
    """The part of NAPALM's NetworkDriver that the device machine uses, plus observation and session ends.

    Promises: `load_*` changes nothing running; `compare_config` is "" when nothing would change; a second
    `commit_config` of the same candidate changes nothing; `commit_config(revert_in=s)` returns with a pending
    commit that undoes itself after s seconds (hard) or when `rollback` is called (soft); `rollback` restores the
    configuration before the last commit, also after a commit that failed half way.
    """

    def open(self) -> None: ...
    def close(self) -> None: ...
    def is_alive(self) -> dict[str, Any]: ...
    def get_facts(self) -> dict[str, Any]: ...
    def get_config(
        self, retrieve: str = "all", full: bool = False, sanitized: bool = False, format: str = "text"
    ) -> dict[str, Any]: ...
    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None: ...
    def load_merge_candidate(self, filename: str | None = None, config: str | None = None) -> None: ...
    def compare_config(self) -> str: ...
    def commit_config(self, message: str = "", revert_in: int | None = None) -> None: ...
    def has_pending_commit(self) -> bool: ...
    def confirm_commit(self) -> None: ...
    def discard_config(self) -> None: ...
    def rollback(self) -> None: ...
    def observe(self) -> Observation: ...
    def end_session(self, session: LiveSession) -> bool: ...
    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]: ...


@runtime_checkable
class SectionDriver(Driver, Protocol):
    """A driver whose capabilities name `sections`."""

    def load_sections_candidate(self, config: str, sections: Sequence[str]) -> None:
        """Take only these sections of a whole configuration; the others stay as they run."""


class DeviceUnreachable(Retryable):
    """The device's management address does not answer."""

    def __init__(self, target: Target, why: str) -> None:
        super().__init__(f"{target.device} at {target.host}:{target.port} is not reachable: {why}")
        self.target = target


class HostKeyMismatch(Terminal):
    """The device shows another host key than its intent pins."""

    def __init__(self, target: Target, seen: str) -> None:
        super().__init__(
            f"{target.device} shows host key {seen}, its intent pins {target.host_key or 'none'}; "
            "if the device was replaced, put the new key into management.host-key"
        )
        self.target = target


class LoginRefused(Terminal):
    """The device refuses our login."""

    def __init__(self, target: Target, why: str = "") -> None:
        super().__init__(f"{target.device} refuses the login '{target.login}' {why}".rstrip())
        self.target = target


class CommitFailed(Terminal):
    """The device did not take the configuration; `restored` says whether the old one is running."""

    def __init__(self, device: str, answer: str, restored: bool) -> None:
        state = (
            "the old configuration is running" if restored else "the old configuration could NOT be restored"
        )
        super().__init__(f"{device} did not take the configuration ({answer.strip()}); {state}")
        self.device, self.answer, self.restored = device, answer, restored


class NotSupported(Terminal):
    """The platform cannot do this; its capabilities say so."""

    def __init__(self, platform: str, what: str) -> None:
        super().__init__(f"platform {platform} cannot {what}; its driver declares so")
