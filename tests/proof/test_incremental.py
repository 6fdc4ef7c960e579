"""Following change by change ends where a cold build begins: index, AAA view and every rendering, byte for byte."""

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from aaa.view.builder import ViewBuilder
from aaa.view.models import view_policy, view_projection, view_record
from aaa.view.seal import Seal
from core.db import Database
from intents import queue
from intents.committer.build import Edit, Landing, build
from intents.index.canonical import canonical_dump
from intents.index.indexer import Indexer
from intents.index.models import quarantine
from intents.index.reader import open_reader
from inventory.subscribers import services_on
from reconciler.context import render_device
from reconciler.models import applied, device_run, object_state, object_work
from reconciler.topology import managed
from renderers.registry import objects_of
from tests.proof.changes import Dice, Edits
from tests.support import eventually
from tests.world import World
from tests.world import world as make

CHANGES = 200
SETTLED_EVERY = 20


@pytest.mark.slow
def test_after_200_random_changes_everything_equals_a_cold_build(tmp_path: Path) -> None:
    """People's commits and machines' change sets, mistakes among them, through the whole installation."""
    with make(tmp_path / "home", services=6) as world:
        world.one.settle()
        dice, seen_outside = Dice(world, 11), 0
        for number in range(1, CHANGES + 1):
            change(world, dice)
            follow(world)
            seen_outside += bool(rows(world.one.index_db, quarantine))
            if number % SETTLED_EVERY == 0:
                world.one.settle()
        assert seen_outside > CHANGES // 10
        eventually(lambda: (world.one.settle(), unfinished(world) == 0)[1], cap=60)
        cold = cold_build(world, tmp_path / "cold.db")
        assert canonical_dump(world.one.index_db) == canonical_dump(cold)
        for table in (view_record, view_projection):
            assert rows(world.one.index_db, table) == rows(cold, table)
        assert set(rows(cold, view_policy)) <= set(rows(world.one.index_db, view_policy))
        assert what_devices_have(world) == what_a_cold_build_renders(world, cold)
        assert objects_on_devices(world) == objects_of_a_cold_build(cold)
        cold.close()


def change(world: World, dice: Dice) -> None:
    """One random change, by a machine through the queue or by a person who pushes."""
    if dice.one_in(3):
        actor, reason, edits = dice.machine()
        submit(world, actor, reason, edits)
    else:
        push(world, dice.draw())


def submit(world: World, actor: str, reason: str, edits: Edits) -> None:
    """A change set, as billing and crm queue it."""
    changes = [
        queue.Change(path=path, op="delete")
        if text is None
        else queue.Change(path=path, content=text.encode())
        for path, text in edits.items()
    ]
    with world.one.db.write() as conn:
        queue.submit(conn, actor=actor, reason=reason, changes=changes)


def push(world: World, edits: Edits) -> None:
    """A person's commit, straight to trunk; deleting what is absent is no change."""
    repo = world.one.repo
    head = repo.head() or ""
    made = [
        Edit(path, None if text is None else text.encode())
        for path, text in edits.items()
        if text is not None or repo.blob_at(head, path) is not None
    ]
    if not made:
        return
    landing = Landing(set_id="edit", actor="engineer", reason="edit", edits=tuple(made))
    commit = build(repo, "refs/heads/work", head, [landing])[0]
    repo.update_ref(repo.trunk_ref, commit, head)


def follow(world: World) -> None:
    """Commit, index, view and lanes follow at once; devices are visited when somebody settles."""
    world.one.committer.run_once()
    world.one.indexer.run_once()
    world.one.view_builder.run_once()
    world.one.reconciler.follow()


def unfinished(world: World) -> int:
    """Runs and objects that are not done yet."""
    with world.one.db.read() as conn:
        runs = conn.scalar(sa.select(sa.func.count()).where(device_run.c.open)) or 0
        return runs + (conn.scalar(sa.select(sa.func.count()).select_from(object_work)) or 0)


def cold_build(world: World, path: Path) -> Database:
    """Index and view from nothing but the repository."""
    one, db = world.one, Database(f"sqlite:///{path}", durable=False)
    Indexer(one.settings, one.db, one.repo, db).run_once()
    seal = Seal.of(one.settings.home)
    ViewBuilder(db, lambda: open_reader(db), one.open_secret, seal).run_once()
    return db


def rows(db: Database, table: sa.Table) -> list[tuple[object, ...]]:
    """Every row of a table, sorted."""
    with db.read() as conn:
        return sorted((tuple(row) for row in conn.execute(sa.select(table))), key=repr)


def what_devices_have(world: World) -> dict[str, str]:
    """Device -> digest of the rendering that was applied last."""
    with world.one.db.read() as conn:
        return {row.device: row.render_hash for row in conn.execute(sa.select(applied))}


def what_a_cold_build_renders(world: World, cold: Database) -> dict[str, str]:
    """Device -> digest of what it should have."""
    with open_reader(cold) as reader:
        return {
            device: render_device(reader, device, world.one.context.secrets).rendered.digest
            for device in managed(reader)
        }


def objects_on_devices(world: World) -> dict[str, list[object]]:
    """Line -> the subscriber objects that were put on its OLT."""
    with world.one.db.read() as conn:
        found = {row.line: row.objects for row in conn.execute(sa.select(object_state))}
    return {line: objects for line, objects in found.items() if objects}


def objects_of_a_cold_build(cold: Database) -> dict[str, list[object]]:
    """Line -> the subscriber objects that its OLT should have."""
    with open_reader(cold) as reader:
        wanted = {
            line: objects_of("virtual", line, value, services_on(reader, line))
            for line, value in reader.all("line")
        }
    return {
        line: [msgspec.to_builtins(one) for one in objects] for line, objects in wanted.items() if objects
    }
