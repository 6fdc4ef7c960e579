"""One Kea with a BNG that relays to it and a subscriber's client, for the whole session."""

from collections.abc import Iterator

import pytest

from cli.lab.ipoe import IpoeLab
from tests.kea.network import CIRCUIT, GATEWAYS, PAGE
from tests.support import need

PARTS = {
    "kea-dhcp4": "kea-dhcp4-server",
    "dhcrelay": "isc-dhcp-relay",
    "dhclient": "isc-dhcp-client",
    "sshd": "openssh-server",
    "nft": "nftables",
    "curl": "curl",
}


@pytest.fixture(scope="session")
def lab() -> Iterator[IpoeLab]:
    """Booted, with nothing on Kea's machine."""
    for binary, apt in PARTS.items():
        need(binary, apt=apt, root=True)
    with IpoeLab(line=CIRCUIT, gateways=GATEWAYS, page=PAGE, say=print) as booted:
        yield booted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """A failure is read in the logs of the parts."""
    report = yield
    lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(lab, IpoeLab):
        report.sections.append(("logs of the lab", lab.logs()))
    return report
