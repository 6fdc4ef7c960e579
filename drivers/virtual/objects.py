"""The OLT's subscriber objects: ONUs and service ports, with the refusals that real OLTs give.

They live beside the configuration: replacing a configuration never touches a subscriber.
"""

from pathlib import Path

import msgspec

from drivers.virtual import store
from drivers.virtual.errors import Refused

MODES = ("bridge", "route")
STATES = ("up", "down")


class Onu(msgspec.Struct, frozen=True, kw_only=True):
    """A registered ONU."""

    pon: str
    onu: int
    serial: str
    model: str = ""
    mode: str = "bridge"


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    """What carries a service of an ONU's port into the access network; rates in kbit/s, 0 = not limited."""

    index: int
    pon: str
    onu: int
    port: str
    svlan: int
    cvlan: int = 0
    down: int = 0
    up: int = 0
    state: str = "up"


class Table(msgspec.Struct, frozen=True):
    """Everything of one OLT; keys are what must be unique."""

    onus: dict[str, Onu] = {}
    ports: dict[str, ServicePort] = {}
    found: dict[str, str] = {}
    """Autofind: serial -> PON of ONUs that light up and are not registered."""


class Objects:
    """The subscriber table of one OLT, kept in `path`. `pons` are those that its configuration has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.table = store.load(path, Table, Table())
        self._saved = msgspec.json.encode(self.table)

    def add_onu(self, onu: Onu, pons: frozenset[str]) -> None:
        """Register an ONU."""
        self._needs_pon(onu.pon, pons)
        if _key(onu.pon, onu.onu) in self.table.onus:
            raise Refused(f"ONU {onu.pon} {onu.onu} exists")
        self._keep(onu)

    def set_onu(self, onu: Onu) -> None:
        """Change a registered ONU (another serial: it was exchanged); its service ports stay."""
        self.onu(onu.pon, onu.onu)
        self._keep(onu)

    def _keep(self, onu: Onu) -> None:
        place = _key(onu.pon, onu.onu)
        holder = next((key for key, other in self.table.onus.items() if other.serial == onu.serial), place)
        if holder != place:
            raise Refused(f"serial {onu.serial} is registered at {holder}")
        if onu.mode not in MODES:
            raise Refused(f"mode {onu.mode} is none of {', '.join(MODES)}")
        self.table.onus[place] = onu
        self.table.found.pop(onu.serial, None)

    def delete_onu(self, pon: str, onu: int) -> None:
        """Take an ONU away; its service ports must be gone."""
        gone = self.onu(pon, onu)
        if any((port.pon, port.onu) == (pon, onu) for port in self.table.ports.values()):
            raise Refused(f"ONU {pon} {onu} has service ports")
        del self.table.onus[_key(pon, onu)]
        self.table.found[gone.serial] = pon

    def add_port(self, port: ServicePort) -> ServicePort:
        """Add a service port; index 0 takes the first free one."""
        self.onu(port.pon, port.onu)
        if port.state not in STATES:
            raise Refused(f"state {port.state} is none of {', '.join(STATES)}")
        if str(port.index) in self.table.ports:
            raise Refused(f"service-port index {port.index} is in use")
        if holder := self.find_port(port.pon, port.onu, port.port):
            raise Refused(f"{port.pon} {port.onu} {port.port} has service-port {holder.index}")
        self._needs_free_vlans(port)
        made = msgspec.structs.replace(port, index=port.index or self._free_index())
        self.table.ports[str(made.index)] = made
        return made

    def delete_port(self, index: int) -> None:
        """Take a service port away."""
        self.port(index)
        del self.table.ports[str(index)]

    def set_state(self, index: int, state: str) -> None:
        """Let a service port carry traffic, or not."""
        if state not in STATES:
            raise Refused(f"state {state} is none of {', '.join(STATES)}")
        self.table.ports[str(index)] = msgspec.structs.replace(self.port(index), state=state)

    def onu(self, pon: str, onu: int) -> Onu:
        """A registered ONU."""
        if _key(pon, onu) not in self.table.onus:
            raise Refused(f"ONU {pon} {onu} does not exist")
        return self.table.onus[_key(pon, onu)]

    def port(self, index: int) -> ServicePort:
        """A service port by its index."""
        if str(index) not in self.table.ports:
            raise Refused(f"service-port {index} does not exist")
        return self.table.ports[str(index)]

    def find_port(self, pon: str, onu: int, port: str) -> ServicePort | None:
        """The service port of an ONU's port."""
        wanted = (pon, onu, port)
        return next((p for p in self.table.ports.values() if (p.pon, p.onu, p.port) == wanted), None)

    def plug_in(self, serial: str, pon: str) -> None:
        """An unregistered ONU lights up on a PON (somebody connected it)."""
        if all(onu.serial != serial for onu in self.table.onus.values()):
            self.table.found[serial] = pon

    def save(self) -> None:
        """Keep the table where it changed; called once a batch, before the answers go out."""
        content = msgspec.json.encode(self.table)
        if content != self._saved:
            store.write(self.path, content)
            self._saved = content

    def _needs_pon(self, pon: str, pons: frozenset[str]) -> None:
        if pon not in pons:
            raise Refused(f"PON {pon} does not exist")

    def _needs_free_vlans(self, port: ServicePort) -> None:
        for other in self.table.ports.values():
            if port.cvlan and (other.svlan, other.cvlan) == (port.svlan, port.cvlan):
                raise Refused(f"VLANs {port.svlan}/{port.cvlan} are used by service-port {other.index}")

    def _free_index(self) -> int:
        index = len(self.table.ports) + 1
        while str(index) in self.table.ports:
            index -= 1
        return index


def _key(pon: str, onu: int) -> str:
    return f"{pon} {onu}"
