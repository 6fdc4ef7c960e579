"""A world for the reconciler's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World
from tests.world import world as make


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Four virtual devices, three subscribers, nothing applied yet."""
    with make(tmp_path / "home") as made:
        yield made
