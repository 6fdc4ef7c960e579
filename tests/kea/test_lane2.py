"""Which commits reach a DHCP server on lane 2, and what they cost: no rendering, one reservation is looked at."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.installation import Installation
from core.preview import Comparison
from core.settings import Settings
from intents.init import init_repository
from reconciler.models import device_run, object_work
from reconciler.object_preview import moves
from tests.kea.network import GARDEN, documents, hold, reader
from tests.support import run

EDGE, OLT, POOL = "network/edges/perth-west.yaml", "network/devices/olt7.yaml", "network/pools/perth-cgn.yaml"


class Followed:
    """An installation that only follows: nobody logs in to anything."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.load(
            home, {}, radius_auth_port=0, radius_acct_port=0, api_port=0, test_mode=True
        )
        files = {path: text.encode() for path, text in documents().items()}
        init_repository(self.settings, files, "engineer")
        self.one = Installation(self.settings)
        self.one.indexer.run_once()
        self.one.reconciler.follow()
        self.forget()

    def forget(self) -> None:
        """What was queued so far."""
        with self.one.db.write() as conn:
            conn.execute(sa.delete(object_work))
            conn.execute(sa.delete(device_run))

    def push(self, changes: dict[str, str | None]) -> list[tuple[str, str]]:
        """Commit; the (device, line) that are queued for it."""
        clone = self.settings.home / "clone"
        if not clone.exists():
            run(["git", "clone", "-q", str(self.settings.repository), str(clone)])
        for path, text in changes.items():
            target = clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text) if text else target.unlink()
        git = ["git", "-C", str(clone), "-c", "user.name=engineer", "-c", "user.email=e@example.net"]
        for words in (["add", "-A"], ["commit", "-q", "-m", "A change"], ["push", "-q", "origin", "HEAD"]):
            run([*git, *words])
        self.one.indexer.run_once()
        self.one.reconciler.follow()
        with self.one.db.read() as conn:
            work = sa.select(object_work.c.device, object_work.c.line).order_by(object_work.c.line)
            return [(row.device, row.line) for row in conn.execute(work)]

    def rendered(self) -> int:
        """Runs of devices that were begun."""
        with self.one.db.read() as conn:
            return len(conn.execute(sa.select(device_run)).all())


@pytest.fixture
def followed(tmp_path: Path):
    """The small network, followed to its first commit."""
    made = Followed(tmp_path / "home")
    yield made
    made.one.close()


def test_a_hold_reaches_one_reservation_and_begins_no_run(followed: Followed):
    """Whatever else the edge has: lane 3 with its waves and windows does not hear of it."""
    assert followed.push({hold("S-2"): GARDEN}) == [("kea1", "L-2")]
    assert followed.rendered() == 0
    followed.forget()
    assert followed.push({hold("S-2"): None}) == [("kea1", "L-2")]
    assert followed.rendered() == 0


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (EDGE, "cgnat: perth-cgn", "cgnat: perth-public"),
        (OLT, "{device}-{onu}", "{device}/{onu}"),
        (POOL, "100.64.0.0/24", "100.64.2.0/24"),
    ],
)
def test_what_stands_above_the_lines_reaches_all_of_them(followed: Followed, path: str, old: str, new: str):
    """Another pool or circuit-id is another reservation for every line of the edge."""
    text = documents()[path]
    assert old in text
    queued = followed.push({path: text.replace(old, new)})
    assert queued == [("kea1", f"L-{number}") for number in range(1, 5)]


def test_the_preview_shows_the_reservation_that_moves():
    """One line: from the pool into the garden."""
    after = documents() | {hold("S-2"): GARDEN}
    changed = frozenset({("hold", "S-2.nonpayment")})
    found = moves(Comparison(base=reader(), head=reader(after), changed=changed))
    circuit = b"olt7-2".hex()
    assert [(one.device, one.line, one.op, one.what) for one in found] == [
        ("kea1", "L-2", "put", f"reservation {circuit} class=tl-perth-garden")
    ]
