"""A world for the reconciler's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World, settled_world
from tests.world import world as make


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Four virtual devices, three subscribers, nothing applied yet."""
    with make(tmp_path / "home") as made:
        yield made


@pytest.fixture
def settled(tmp_path: Path) -> Iterator[World]:
    """The same when every device is as trunk says."""
    with settled_world(tmp_path / "home") as made:
        yield made
