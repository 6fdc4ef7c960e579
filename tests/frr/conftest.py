"""Three real routers for the whole session, and a place on the operator's side of their management network."""

from collections.abc import Iterator

import pytest

from cli.lab.routers import Lab, start_routers
from cli.lab.topology import LabPlan
from tests.support import need

RING = [("r1", "eth0", "r2", "eth0"), ("r2", "eth1", "r3", "eth0"), ("r1", "eth1", "r3", "eth1")]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """r1, r2 and r3 in a ring, empty."""
    need("/usr/lib/frr/zebra", apt="frr", root=True)
    need("/usr/lib/frr/frr-reload.py", apt="frr-pythontools")
    need("sshd", apt="openssh-server")
    plan = LabPlan.of({f"r{n}": f"10.255.0.{n}" for n in (1, 2, 3)}, RING, "10.255.0.254/24")
    with start_routers(plan) as started:
        yield started


@pytest.fixture
def operator(lab: Lab) -> Iterator[Lab]:
    """The lab, with the test on the operator's side of it."""
    with lab.inside():
        yield lab
