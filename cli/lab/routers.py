"""The lab's routers: real FRR in namespaces, empty until Trunkline configures them over SSH.

    with start_routers(LabPlan.of({"r1": "10.255.0.1", "r2": "10.255.0.2"}, [("r1", "eth0", "r2", "eth0")],
                                  "10.255.0.254/24")) as lab:
        with lab.inside(), drivers.registry.opened(lab.target("r1")) as driver: ...

The operator's side is the namespace `ctl` (`lab.inside()` for a thread, `lab.enter()` for the process); the
management network hangs on a bridge there, with the addresses that the intents give. Leaving the context, or the
next start after a kill -9, removes everything.
"""

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.lab import frr, namespaces, sshd
from cli.lab.topology import CONTROL, Cable, LabPlan, RouterPlan
from drivers.contract import Target

_BRIDGE = "mgmt"
_MANAGEMENT_PORT = "mgmt0"
_serials = itertools.count(1)
"""Labs of one process tell their namespaces apart."""


class Lab:
    """A running lab. `host_keys` are the fingerprints that the intents have to pin; times in seconds."""

    def __init__(self, plan: LabPlan) -> None:
        self.plan = plan
        self.folder = Path(tempfile.mkdtemp(prefix=f"trunkline-lab-{os.getpid()}-"))
        self.key_path = self.folder / "client_key"
        self.host_keys: dict[str, str] = {}
        self.started_in = 0.0
        self.serial = next(_serials)
        self.control = self.namespace(CONTROL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def namespace(self, router: str) -> str:
        """The namespace (and FRR pathspace) of a router, or of CONTROL."""
        return namespaces.full_name(f"{self.serial}-{router}")

    def inside(self) -> AbstractContextManager[None]:
        """Be on the operator's side, for this thread."""
        return namespaces.inside(self.control)

    def enter(self) -> None:
        """Go to the operator's side for good: this thread and all that it starts from now on."""
        namespaces.enter(self.control)

    def target(self, router: str, timeout: float = 60.0) -> Target:
        """How to log in to a router, from the operator's side."""
        address = next(plan.management for plan in self.plan.routers if plan.name == router)
        return Target(
            device=router,
            platform="frr",
            host=address,
            login=sshd.LOGIN,
            key_path=str(self.key_path),
            host_key=self.host_keys[router],
            timeout=timeout,
        )

    def start(self) -> None:
        """Make everything; raises LabFailed and leaves nothing behind."""
        begin = time.monotonic()
        try:
            self._make()
        except BaseException:
            self.stop()
            raise
        self.started_in = time.monotonic() - begin

    def _make(self) -> None:
        shutil.chown(self.folder, "root", "frr")
        self.folder.chmod(0o711)  # FRR's daemons write their logs below
        sshd.make_key(self.key_path)
        namespaces.create([self.control, *(self.namespace(router.name) for router in self.plan.routers)])
        _wire_management(self)
        for cable in self.plan.cables:
            _wire(self, cable)
        with ThreadPoolExecutor(4) as pool:
            self.host_keys = dict(pool.map(self._start_router, self.plan.routers))

    def _start_router(self, router: RouterPlan) -> tuple[str, str]:
        name, folder = self.namespace(router.name), self.folder / router.name
        host_key = sshd.prepare(folder, router.management, self.key_path, name)
        folder.chmod(0o711)
        frr.start(name, folder)
        sshd.start(name, folder)
        return router.name, host_key

    def stop(self) -> None:
        """End and remove all of it; harmless when done before."""
        namespaces.remove([self.control, *(self.namespace(router.name) for router in self.plan.routers)])
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self, lines: int = 15) -> str:
        """The last lines of every log, for a failure's message."""
        tails = (
            (path, path.read_text(errors="replace").splitlines()[-lines:])
            for path in self.folder.glob("*/*.log")
        )
        return "\n".join(
            f"== {path.parent.name}/{path.name}\n" + "\n".join(tail) for path, tail in tails if tail
        )


@contextmanager
def start_routers(plan: LabPlan) -> Iterator[Lab]:
    """Start the routers of a plan, empty; left-overs of dead labs go first."""
    namespaces.remove_stale()
    lab = Lab(plan)
    lab.start()
    with lab:
        yield lab


def _wire_management(lab: Lab) -> None:
    """A bridge on the operator's side, one port to every router."""
    length = lab.plan.network.prefixlen
    lines = [f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up"]
    lines += [f"addr add {address} dev {_BRIDGE}" for address in lab.plan.control]
    for number, router in enumerate(lab.plan.routers):
        lines.append(
            f"link add m{number} type veth peer name {_MANAGEMENT_PORT} netns {lab.namespace(router.name)}"
        )
        lines.append(f"link set m{number} master {_BRIDGE} up")
    namespaces.batch(lines, lab.control)
    for router in lab.plan.routers:
        _address_router(lab, router, length)


def _address_router(lab: Lab, router: RouterPlan, length: int) -> None:
    lines = [
        f"addr add {router.management}/{length} dev {_MANAGEMENT_PORT}",
        f"link set {_MANAGEMENT_PORT} up",
    ]
    for port in router.ports:
        lines += [
            f"link add {port} type veth peer name {port[:12]}-x",
            f"link set {port} up",
            f"link set {port[:12]}-x up",
        ]
    namespaces.batch(lines, lab.namespace(router.name))


def _wire(lab: Lab, cable: Cable) -> None:
    (a, port_a), (b, port_b) = cable.a, cable.b
    here, there = lab.namespace(a), lab.namespace(b)
    namespaces.batch(
        [f"link add {port_a} type veth peer name {port_b} netns {there}", f"link set {port_a} up"], here
    )
    namespaces.batch([f"link set {port_b} up"], there)
