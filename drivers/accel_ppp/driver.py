"""NAPALM's driver for an accel-ppp BNG, over SSH and SFTP. `agent.sh` does the device's side: see README.md.

`revert_in` is hard: the timer runs on the device, and a reboot before the confirmation restores as well. A change that
accel-ppp's `reload` does not take needs a restart, which ends every session: the comparison says so, and the commit is
refused while sessions live, unless the target's option `restart` is `always`.
"""

import re
from collections.abc import Sequence
from typing import Any

from drivers.accel_ppp.conf import mistakes, restart_reasons
from drivers.accel_ppp.files import CONF, RULES
from drivers.contract import Capabilities, CommitFailed, LiveSession, Observation, Target
from drivers.files_on_device import AGENT, BngRefused, FilesDriver, arguments_of

CAPABILITIES = Capabilities(
    revert="hard",
    replace=True,
    sections=frozenset({"subscriber"}),
    atomic=True,
    sessions=8,
    observe=frozenset({"sessions"}),
    end_session=True,
)
_SID = re.compile(r"[A-Za-z0-9]{1,64}")
_NO_SUCH_SESSION = 6
_COLUMNS = 7
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(.*)")
_READS_ONCE = (1, 14, 0)
"""The last release that reads its pools and its servers' secrets at its start alone."""


class AccelPppDriver(FilesDriver):
    """An accel-ppp BNG. `optional_args` of its own: restart (idle | always), root (to try it in a folder)."""

    platform = "accel_ppp"
    rules = RULES

    def __init__(
        self,
        hostname: str,
        username: str,
        password: str = "",
        timeout: int = 60,
        optional_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(hostname, username, password, timeout, optional_args)
        given = optional_args or {}
        self.root = str(given.get("root", ""))
        self.restart_always = given.get("restart", "idle") == "always"

    # -- candidate: checked here, as accel-pppd has no mode that only checks -----------------------------------

    def load_replace_candidate(self, filename: str | None = None, config: str | None = None) -> None:
        """Keep a whole set of files as the candidate. Raises CommitFailed for what accel-ppp would misread."""
        super().load_replace_candidate(filename, config)
        file = (self._candidate or {}).get(CONF)
        wrong = list(mistakes(file.text)) if file else []
        if wrong:
            self._candidate = None
            raise CommitFailed(self.target.device, f"{CONF}: " + "; ".join(wrong[:5]), restored=True)

    def compare_config(self) -> str:
        """A unified diff without secrets; its last line says when accel-pppd must restart, which ends every session."""
        shown = super().compare_config()
        reasons = self._reasons() if shown else []
        if not reasons:
            return shown
        return (
            f"{shown}restart required, which ends every session; reload does not take: {', '.join(reasons)}\n"
        )

    def _reasons(self) -> list[str]:
        old, new = self._files({CONF}).get(CONF), (self._candidate or {}).get(CONF)
        if old is None or new is None:
            return []
        return restart_reasons(old.text, new.text, is_later(self._version()))

    def _version(self) -> str:
        if self._run(f"test -x {self.root}{AGENT}").status:
            return ""
        return self._agent("version").output.strip()

    def _how(self) -> Sequence[str]:
        if not self._reasons():
            return ("reload",)
        return ("restart",) if self.restart_always else ("restart-if-idle",)

    # -- what the device says ------------------------------------------------------------------------------

    def get_facts(self) -> dict[str, Any]:
        """NAPALM's facts; the serial number is the machine id, `os_version` accel-ppp's own."""
        asked = "hostname; cat /etc/machine-id; cut -d' ' -f1 /proc/uptime; ls /sys/class/net | tr '\\n' ' '"
        hostname, serial, uptime, interfaces = self._run(asked).output.splitlines()[:4]
        return {
            "hostname": hostname,
            "fqdn": hostname,
            "vendor": "accel-ppp",
            "model": "Linux BNG (accel-ppp)",
            "os_version": self._version(),
            "serial_number": serial,
            "uptime": float(uptime),
            "interface_list": interfaces.split(),
        }

    def observe(self) -> Observation:
        """The sessions that are up. Raises BngRefused when accel-pppd's CLI does not answer."""
        if self._run(f"test -x {self.root}{AGENT}").status or not self._files().get(CONF):
            return Observation(sessions=())
        return Observation(sessions=tuple(sessions_of(self._must("sessions"))))

    def end_session(self, session: LiveSession) -> bool:
        """End a session: by our id (Acct-Session-Id is accel-ppp's `sid`), or else by interface and address and login.

        True only when it is gone from accel-ppp's list; False when there is none such.
        """
        for live in self.observe().sessions or ():
            if live.login == session.login and same(live, session):
                return self._end(live)
        return False

    def _end(self, live: LiveSession) -> bool:
        answer = self._agent("end", live.session_id, cap=max(self.target.timeout, 40))
        if answer.status == _NO_SUCH_SESSION:
            return False
        if answer.status:
            raise BngRefused(self.target.device, f"end session {live.session_id}", answer)
        return True


def sessions_of(table: str) -> list[LiveSession]:
    """The active sessions of `show sessions sid,ifname,ip,calling-sid,state,type,username`.

    Two lines of heading, then a row each, cells between `|` padded with spaces; the login is last and may hold a `|`.
    """
    found = []
    for row in table.splitlines()[2:]:
        cells = [cell.strip() for cell in row.split("|", _COLUMNS - 1)]
        if len(cells) == _COLUMNS and cells[4] == "active" and _SID.fullmatch(cells[0]):
            sid, interface, address, calling, _state, _type, login = cells
            found.append(
                LiveSession(
                    session_id=sid,
                    login=login,
                    interface=interface,
                    address=address,
                    calling_station=calling,
                )
            )
    return found


def same(live: LiveSession, asked: LiveSession) -> bool:
    """Whether what was asked for names this session: by its id, or without one by interface and address."""
    if asked.session_id:
        return asked.session_id == live.session_id
    pairs = ((asked.interface, live.interface), (asked.address, live.address))
    given = [(one, other) for one, other in pairs if one]
    return bool(given) and all(one == other for one, other in given)


def is_later(version: str) -> bool:
    """Whether the accel-ppp that says this of itself follows 1.14.0; a build between releases counts as the older."""
    found = _VERSION.search(version)
    if found is None:
        return False
    return tuple(int(part) for part in found.groups()[:3]) > _READS_ONCE


def open_target(target: Target) -> AccelPppDriver:
    """The driver for a target, not opened yet."""
    return AccelPppDriver(
        target.host, target.login, target.password, int(target.timeout), arguments_of(target)
    )


DRIVER = AccelPppDriver
