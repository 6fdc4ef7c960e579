"""NAPALM's driver for a Linux PPPoE BNG, over SSH and SFTP. `agent.sh` does the device's side: see README.md.

`revert_in` is hard: the timer runs on the device, and a reboot before the confirmation restores as well.
"""

import re
from typing import Any

from drivers.contract import Capabilities, LiveSession, Observation, Target
from drivers.files_on_device import AGENT, BngRefused, FilesDriver, arguments_of
from drivers.linux_pppd.files import RULES

CAPABILITIES = Capabilities(
    revert="hard",
    replace=True,
    sections=frozenset({"subscriber"}),
    atomic=True,
    sessions=8,
    observe=frozenset({"sessions"}),
    end_session=True,
)
_INTERFACE = re.compile(r"ppp[0-9]{1,9}")
_NO_SUCH_SESSION = 6


class LinuxPppdDriver(FilesDriver):
    """A Linux BNG with pppoe-server and pppd. `optional_args` as FilesDriver's."""

    platform = "linux_pppd"
    rules = RULES

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
    return LinuxPppdDriver(
        target.host, target.login, target.password, int(target.timeout), arguments_of(target)
    )


DRIVER = LinuxPppdDriver
