"""NAPALM's driver for a Kea DHCP server (2.2), over SSH and SFTP. `agent.sh` does the device's side: see README.md.

`revert_in` is hard: the timer runs on the device, and a reboot before the confirmation restores as well.
"""

import json
from typing import Any

from drivers.contract import (
    Capabilities,
    LiveSession,
    NotSupported,
    ObjectOp,
    ObjectResult,
    Observation,
    Target,
)
from drivers.files_on_device import AGENT, BngRefused, FilesDriver, arguments_of
from drivers.kea.files import RULES
from drivers.kea.reservations import KINDS, operation, unusable

CAPABILITIES = Capabilities(
    revert="hard",
    replace=True,
    sections=frozenset({"subscriber"}),
    atomic=True,
    sessions=8,
    observe=frozenset({"sessions"}),
    end_session=True,
    objects=KINDS,
)
_NO_SUCH_LEASE = 6


class KeaDriver(FilesDriver):
    """A Kea server. `optional_args` as FilesDriver's."""

    platform = "kea"
    rules = RULES
    helpers = (("on_device.py", "/etc/trunkline/kea.py"),)

    def get_facts(self) -> dict[str, Any]:
        """NAPALM's facts; the serial number is the machine id, `os_version` Kea's own."""
        asked = "hostname; cat /etc/machine-id; cut -d' ' -f1 /proc/uptime; kea-dhcp4 -v; ls /sys/class/net | xargs"
        hostname, serial, uptime, version, interfaces = self._run(asked).output.splitlines()[:5]
        return {
            "hostname": hostname,
            "fqdn": hostname,
            "vendor": "ISC",
            "model": "Kea DHCPv4 server",
            "os_version": version,
            "serial_number": serial,
            "uptime": float(uptime),
            "interface_list": interfaces.split(),
        }

    def observe(self) -> Observation:
        """The leases that run, as sessions; none while Kea does not run."""
        if self._run(f"test -x {AGENT}").status:
            return Observation(sessions=())
        answer = self._agent("leases")
        found = answer.output.splitlines() if answer.status == 0 else []
        return Observation(sessions=tuple(_session(json.loads(line)) for line in found))

    def end_session(self, session: LiveSession) -> bool:
        """Delete the lease of an address: the subscriber finds out when it renews. False when there is none such."""
        if not session.address or self._run(f"test -x {AGENT}").status:
            return False
        answer = self._agent("end", session.address)
        if answer.status not in (0, _NO_SUCH_LEASE):
            raise BngRefused(self.target.device, f"delete the lease of {session.address}", answer)
        return answer.status == 0

    def apply_objects(self, ops: list[ObjectOp]) -> list[ObjectResult]:
        """Make every op true: one file of all reservations, read by Kea once for all ops that change something."""
        for op in ops:
            if op.kind not in KINDS:
                raise NotSupported("kea", f"hold subscriber objects of kind '{op.kind}'")
        refusals = [unusable(op) for op in ops]
        usable = [operation(op) for op, why in zip(ops, refusals, strict=True) if not why]
        done = iter(self._applied(usable))
        return [ObjectResult(False, False, why) if why else next(done) for why in refusals]

    def _applied(self, operations: list[dict[str, Any]]) -> list[ObjectResult]:
        if not operations:
            return []
        self._install_agent()
        answer = self._agent("objects", text=json.dumps(operations), cap=max(self.target.timeout, 120))
        if answer.status:
            raise BngRefused(self.target.device, "take reservations", answer)
        return [ObjectResult(ok, changed, said) for ok, changed, said in json.loads(answer.output)]


def _session(lease: dict[str, Any]) -> LiveSession:
    return LiveSession(
        session_id=f"{lease['ip-address']}/{lease['cltt']}",
        login=lease["hw-address"],
        address=lease["ip-address"],
        calling_station=lease["hw-address"],
    )


def open_target(target: Target) -> KeaDriver:
    """The driver for a target, not opened yet."""
    return KeaDriver(target.host, target.login, target.password, int(target.timeout), arguments_of(target))


DRIVER = KeaDriver
