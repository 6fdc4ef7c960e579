"""Virtual devices for the tests of drivers."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.virtual.device import DeviceSpec, Login
from drivers.virtual.fleet import VirtualFleet

PASSWORD = secrets.token_urlsafe(12)
LOGINS = {"net": Login(password=PASSWORD)}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[VirtualFleet]:
    """One device of every role."""
    roles = ("router", "bng", "olt", "ap")
    with VirtualFleet(tmp_path, [DeviceSpec(name=f"{r}1", role=r, logins=LOGINS) for r in roles]) as started:
        yield started
