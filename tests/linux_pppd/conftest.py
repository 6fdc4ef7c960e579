"""One BNG and one subscriber's router for the whole session, beside our own RADIUS server."""

from collections.abc import Iterator

import pytest

from cli.lab.bng import BngLab
from drivers.files_on_device import AGENT, STATE
from tests.linux_pppd.host_bng import HostBng, host_bng
from tests.linux_pppd.operator import Operator
from tests.support import eventually, need

PARTS = {
    "linux.uml": "user-mode-linux",
    "modprobe": "kmod",
    "pppd": "ppp",
    "pppoe-server": "pppoe",
    "sshd": "openssh-server",
    "dnsmasq": "dnsmasq-base",
    "iptables-legacy-restore": "iptables",
    "curl": "curl",
}


@pytest.fixture(scope="session")
def lab() -> Iterator[BngLab]:
    """Booted, with nothing on the BNG."""
    for binary, apt in PARTS.items():
        need(binary, apt=apt, root=True)
    with BngLab(say=print) as booted:
        yield booted


@pytest.fixture(scope="session")
def operator(lab: BngLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Our RADIUS server on the management LAN, with the network's intents in its view."""
    with Operator.beside(tmp_path_factory.mktemp("aaa")) as running:
        yield running


@pytest.fixture
def quiet(lab: BngLab, operator: Operator) -> Iterator[BngLab]:
    """The BNG with whatever it runs, without a commit that waits; nobody held, and afterwards nobody dialled in.

    Over connections that stay open: a new one costs a slow guest a second, and a commit ten.
    """
    operator.hold()
    undone = lab.on_bng(f"[ ! -f {STATE}/pending ] || {AGENT} restore")  # of a test that failed
    assert undone.status == 0, undone
    yield lab
    for port in lab.on_cpe("ls /sys/class/net").output.split():
        if port.startswith("ppp"):
            lab.hang_up(int(port.removeprefix("ppp")))
    eventually(lambda: lab.on_bng(f"[ ! -x {AGENT} ] || {AGENT} sessions").output == "", cap=15)


@pytest.fixture
def bng(quiet: BngLab, operator: Operator) -> BngLab:
    """The BNG with its configuration, nobody held and nobody dialled in; consoles are shown when a test fails."""
    quiet.configure(operator.config())
    return quiet


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A guest's every system call costs its host two: on a slow machine the first test waits minutes for the boot."""
    for item in items:
        if "linux_pppd" in item.path.parts and item.get_closest_marker("real"):
            item.add_marker(pytest.mark.timeout(900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A failure on the guests is read in their consoles."""
    report = yield
    lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(lab, BngLab):
        for guest in (lab.bng, lab.cpe):
            report.sections.append((f"console of {guest.name}", guest.last_lines()))
    return report


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostBng]:
    """The BNG's programs in a namespace of this machine, for all tests of a file."""
    with host_bng(tmp_path_factory.mktemp("bng")) as host:
        yield host
