"""The cost of a change follows the size of the change, never the size of the network."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cli.installation import Installation
from core.settings import Settings
from intents import queue
from intents.repository import Repository
from reconciler import runs
from reconciler.context import Rendering
from reconciler.machine import DeviceMachine
from reconciler.models import device_run
from reconciler.runs import Run
from tests.intents import build


@contextmanager
def counted(one: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts SQL statements of both databases by their verb, Git blobs read, and renderings."""
    counts: Counter[str] = Counter()
    engines = {"recorded": one.db.engine, "derived": one.index_db.engine}

    def listener(name: str) -> Any:
        def executed(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            counts[f"{name} {statement.split(None, 1)[0].upper()}"] += 1

        return executed

    listeners = {name: listener(name) for name in engines}
    for name, engine in engines.items():
        sa.event.listen(engine, "before_cursor_execute", listeners[name])
    read = Repository.read

    def counting_read(self: Repository, blob: str) -> bytes:
        counts["git blobs"] += 1
        return read(self, blob)

    def counting_render(self: DeviceMachine, run: Run) -> Rendering:
        counts["renderings"] += 1
        return render(self, run)

    render = DeviceMachine.render
    monkeypatch.setattr(DeviceMachine, "render", counting_render)
    monkeypatch.setattr(Repository, "read", counting_read)
    yield counts
    for name, engine in engines.items():
        sa.event.remove(engine, "before_cursor_execute", listeners[name])
    monkeypatch.undo()


def _cost_of_a_hold(home: Path, services: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    settings = Settings.load(home, {}, radius_auth_port=0, radius_acct_port=0)
    build.make_sealed(settings, services)
    one = Installation(settings)
    one.committer.run_until_idle()
    one.indexer.run_once()
    one.view_builder.run_once()
    _lanes(one)
    _hold(one, 1)
    _through(one)
    with counted(one, monkeypatch) as counts:
        _hold(one, 2)
        _through(one)
    one.reconciler.close()
    one.close()
    return counts


def _hold(one: Installation, number: int) -> None:
    held = queue.Change(path=build.hold_path(number), content=build.hold_file())
    with one.db.write() as conn:
        queue.submit(conn, actor="billing", reason="nonpayment", changes=[held])


def _through(one: Installation) -> None:
    one.committer.run_once()
    one.indexer.run_once()
    one.view_builder.run_once()
    _lanes(one)


def _lanes(one: Installation) -> None:
    """The lanes follow; devices of this network are on paper only, so nobody logs in to them."""
    one.reconciler.follow()
    one.reconciler.sessions.run_once()


def _renderings_of_a_new_name(home: Path, services: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What a site's new name costs: its devices are rendered again, however many services hang on them."""
    settings = Settings.load(home, {}, radius_auth_port=0, radius_acct_port=0)
    build.make_sealed(settings, services)
    one = Installation(settings)
    one.indexer.run_once()
    _rendered(one)
    renamed = queue.Change(path="network/sites/perth1.yaml", content=b"name: Perth One\n")
    with counted(one, monkeypatch) as counts:
        with one.db.write() as conn:
            queue.submit(conn, actor="kim", reason="rename", changes=[renamed], actor_kind="staff")
        one.committer.run_once()
        one.indexer.run_once()
        _rendered(one)
    one.reconciler.close()
    one.close()
    return counts


def _rendered(one: Installation) -> None:
    """Follow, render what is affected, and stop there: these devices are on paper only, nobody logs in to them."""
    one.reconciler.follow()
    with one.db.read() as conn:
        due = runs.due(conn)
    for run in due:
        one.reconciler.machine.render(run)
    with one.db.write() as conn:
        conn.execute(sa.update(device_run).values(open=False))


def test_a_site_renders_the_same_devices_at_200_and_at_2000_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Affected devices come from recorded reads, and nothing of them is a subscriber's."""
    small = _renderings_of_a_new_name(tmp_path / "small", 200, monkeypatch)
    large = _renderings_of_a_new_name(tmp_path / "large", 2_000, monkeypatch)
    assert small["renderings"] == large["renderings"] == 2
    assert small["git blobs"] == large["git blobs"] <= 3


def test_one_hold_costs_the_same_at_1000_and_at_7000_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same SQL statements, the same few Git objects; in absolute numbers small."""
    small = _cost_of_a_hold(tmp_path / "small", 1_000, monkeypatch)
    large = _cost_of_a_hold(tmp_path / "large", 7_000, monkeypatch)
    assert small == large
    assert small["renderings"] == 0
    assert small["git blobs"] <= 3
    assert sum(small.values()) <= 260
