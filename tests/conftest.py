"""Fixtures of every room: `database` on both databases, and real parts on one worker."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.golden import Golden
from tests.migrated import migrated_sqlite
from tests.postgres import Cluster, start_cluster

if TYPE_CHECKING:
    from core.db import Database


# A busy machine is no reason to fail: times belong to bench/. A failure prints what reproduces it. CI tries the same
# examples each time, so that what it says can be repeated; `make test` looks for new ones.
hypothesis.settings.register_profile(
    "trunkline", deadline=None, print_blob=True, derandomize=bool(os.environ.get("TRUNKLINE_REQUIRE_REAL"))
)
hypothesis.settings.load_profile("trunkline")

# Git as on a machine of nobody: no signing, no hooks or templates of the person who runs the tests.
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.net",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.net",
}
_KEPT = ("TRUNKLINE_REQUIRE_REAL",)
_TESTS = Path(__file__).parent
_LABS = ("frr", "kea", "linux_pppd")
# Databases sync thousands of times in a run; how long a disk takes for that proves nothing here.
_MEMORY = "/dev/shm"


def pytest_configure() -> None:
    """Nothing of the person's own Trunkline, Git or Python reaches a test."""
    # Our commands are started a hundred times: what one start compiled, the others read.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for name in [name for name in os.environ if name.startswith("TRUNKLINE_") and name not in _KEPT]:
        del os.environ[name]
    os.environ.update(_GIT)
    if _is_roomy(_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)


def _is_roomy(folder: str) -> bool:
    """Whether tests' folders may lie there: programs run from them, and a gigabyte is plenty."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return False
    return told.f_bavail * told.f_frsize > 1 << 30 and not told.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are written anew only when somebody says so."""
    parser.addoption(
        "--regenerate-golden", action="store_true", help="write golden files anew; review the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with a golden file, see `tests.golden`."""
    return Golden(request.config.getoption("--regenerate-golden"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Labs share one xdist worker: two at once would disturb each other's timers. The real parts of any other folder
    (daemons on loopback) share one, too, but not that of the labs, which would be the longest by far.
    """
    for item in items:
        if item.get_closest_marker("real") and not item.get_closest_marker("xdist_group"):
            folder = item.path.relative_to(_TESTS).parts[0]
            item.add_marker(pytest.mark.xdist_group("labs" if folder in _LABS else f"real-{folder}"))
        if getattr(config.option, "loadgroup", False):
            _group(item)


def _group(item: pytest.Item) -> None:
    """Name the group in the test's id, where xdist's scheduler looks for it.

    xdist 3.8 writes it to `_nodeid`, which pytest 9.2 no longer reads: every test would be a group of its own.
    """
    marker = item.get_closest_marker("xdist_group")
    if marker is not None and not item.nodeid.endswith(f"@{marker.args[0]}"):
        item._id = type(item.id).parse(f"{item.nodeid}@{marker.args[0]}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real PostgreSQL of this session; without its programs `need` decides."""
    with start_cluster(tmp_path_factory) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty, migrated database; each test has its own."""
    if request.param == "sqlite":
        path = tmp_path / "trunkline.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        yield f"sqlite:///{path}"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    with cluster.fresh_database() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator["Database"]:
    """Recorded state at the newest migration, on SQLite and on PostgreSQL."""
    from core.db import Database

    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A migrated SQLite file that every test copies: migrations run once a session."""
    return migrated_sqlite()


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no collection of garbage has to look at it again."""
    gc.collect()
    gc.freeze()
