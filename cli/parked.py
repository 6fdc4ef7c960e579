"""What a guard holds back, by one name: a change set of the queue, or a person's commit."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def release(conn: "Connection", name: str, actor: str, expect: int) -> None:
    """Let it pass. Raises ChangeSetMissing, NotParked, CountMismatch, NotHeld."""
    from core import events
    from intents import committer
    from intents.index import held

    if _is_set(name):
        committer.release(conn, name, actor, expect)
    else:
        name = _whole(conn, name)
        held.release_commit(conn, name, actor, expect)
    events.emit(conn, "guard.released", name, {"expect": expect}, actor=actor)


def drop(conn: "Connection", name: str, actor: str) -> None:
    """Refuse it for good. Raises ChangeSetMissing, NotParked, NotHeld."""
    from core import events
    from intents import committer
    from intents.index import held

    if _is_set(name):
        committer.drop(conn, name, actor)
    else:
        name = _whole(conn, name)
        held.drop_commit(conn, name, actor)
    events.emit(conn, "guard.dropped", name, {}, actor=actor)


def _is_set(name: str) -> bool:
    return name.startswith("set_")


def _whole(conn: "Connection", name: str) -> str:
    """The id of the one waiting commit that begins so; the name itself where none or several do."""
    from intents.index import held

    found = [row["commit_id"] for row in held.held(conn) if row["commit_id"].startswith(name)]
    return found[0] if len(found) == 1 else name
