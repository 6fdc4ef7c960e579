"""The forge is a mirror and the place of pull requests; the bare repository here stays the authority.

What was merged there is taken in path by path, as one commit each with the forge's merge as second parent: our first
parents stay ours, and a plain push brings the forge up to us again. Nothing here ever holds up a release: fetching
and pushing happen outside the writer's lock, and an outage only leaves the mirror behind.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy.engine import Connection

from core import clock, events, leases, logs
from core import db as sql
from core.db import Database
from core.settings import Settings
from intents.committer import lease
from intents.committer.build import Edit, Landing, build
from intents.models import forge_merge
from intents.repository import GitFailed, RefMoved, Repository
from intents.treediff import Delta

SEEN = "refs/trunkline/forge/trunk"
_STAGING = "refs/trunkline/staging/forge"
_log = logs.get("forge")


class Synced(msgspec.Struct, frozen=True):
    """What one round did: commits taken in, paths left because ours had moved, and what went wrong, if anything."""

    taken: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    pushed: bool = False
    why: str = ""


class Forge:
    """Keeps trunk and the forge's trunk together."""

    def __init__(self, settings: Settings, db: Database, repo: Repository) -> None:
        self._settings, self._db, self._repo = settings, db, repo

    def sync_once(self) -> Synced:
        """Fetch, take in what was merged, push. An outage or a lost race is told, not raised: the next round works."""
        try:
            theirs = self._fetch()
            taken, left = self._take(theirs) if theirs else ([], [])
            return Synced(tuple(taken), tuple(left), self._push(theirs))
        except (GitFailed, RefMoved, lease.WriterElsewhere, leases.LeaseHeld) as error:
            _log.warning("forge not in step", why=str(error))
            return Synced(why=str(error))

    def _fetch(self) -> str | None:
        url, branch = self._settings.forge_url, self._repo.trunk_ref
        if not self._repo.git("ls-remote", "--heads", url, branch).strip():
            return None  # an empty forge: our first push fills it
        self._repo.git("fetch", "--quiet", "--no-tags", "--no-auto-maintenance", url, f"+{branch}:{SEEN}")
        return self._repo.ref(SEEN)

    def _push(self, theirs: str | None) -> bool:
        """A plain push: it never overwrites what somebody merged meanwhile."""
        head = self._repo.head()
        if head is None or head == theirs:
            return False
        self._repo.git("push", "--quiet", self._settings.forge_url, f"{head}:{self._repo.trunk_ref}")
        return True

    def _take(self, theirs: str) -> tuple[list[str], list[str]]:
        head = self._repo.head()
        if head is None or self._repo.is_ancestor(theirs, head):
            return [], []
        with lease.file_lock(self._repo.path):
            epoch = lease.take(self._db, self._settings.node)
            head = self._repo.head() or ""
            if self._repo.is_ancestor(head, theirs):
                return self._forward(epoch, head, theirs), []
            return self._merge(epoch, head, theirs)

    def _forward(self, epoch: int, head: str, theirs: str) -> list[str]:
        """The forge is ours plus merges: its commits become ours as they are."""
        commits = self._repo.first_parents(head, theirs)
        with self._db.write() as conn:
            lease.require(conn, self._settings.node, epoch)
            for commit in commits:
                self._remember(conn, commit, commit, [])
        self._repo.update_ref(self._repo.trunk_ref, theirs, head)
        return commits

    def _merge(self, epoch: int, head: str, theirs: str) -> tuple[list[str], list[str]]:
        """Both moved: each merge of theirs path by path, where ours still has what it was made from."""
        base = self._repo.git("merge-base", head, theirs).decode().strip()
        taken: list[str] = []
        left: list[str] = []
        for commit in self._repo.first_parents(base, theirs):
            edits, conflicts = self._edits(head, self._repo.diff(base, commit))
            ours = build(self._repo, _STAGING, head, [self._landing(commit, edits)])[0]
            with self._db.write() as conn:
                lease.require(conn, self._settings.node, epoch)
                self._remember(conn, commit, ours, conflicts)
            self._repo.update_ref(self._repo.trunk_ref, ours, head)
            taken, left, head, base = [*taken, ours], left + conflicts, ours, commit
        self._repo.delete_ref(_STAGING)
        return taken, left

    def _edits(self, head: str, deltas: Sequence[Delta]) -> tuple[tuple[Edit, ...], list[str]]:
        edits: list[Edit] = []
        conflicts: list[str] = []
        for one in deltas:
            ours = self._repo.blob_at(head, one.path)
            if ours == one.new:
                continue
            if ours != one.old:
                conflicts.append(one.path)
            else:
                edits.append(Edit(one.path, None if one.new is None else self._repo.read(one.new)))
        return tuple(edits), conflicts

    def _landing(self, commit: str, edits: tuple[Edit, ...]) -> Landing:
        text = f"{self._repo.facts(commit).message.strip()}\n\nForge-Commit: {commit}\n"
        return Landing(
            set_id="", actor=self._actor(commit), reason="merge", edits=edits, merges=commit, text=text
        )

    def _actor(self, commit: str) -> str:
        """The forge's word for who merged it: recorded as such, and proof of nothing."""
        email = self._repo.facts(commit).email
        plain = "".join(char for char in email if char.isalnum() or char in "@.+_-")
        return f"forge:{plain or 'unknown'}"[:100]

    def _remember(self, conn: Connection, commit: str, ours: str, conflicts: list[str]) -> None:
        actor = self._actor(commit)
        row = {
            "commit_id": commit,
            "taken_as": ours,
            "actor": actor,
            "conflicts": conflicts,
            "taken_at": clock.now(),
        }
        sql.upsert(conn, forge_merge, [row], ["commit_id"])
        if conflicts:
            told = {"commit": commit, "taken_as": ours, "paths": conflicts}
            unique = f"forge:{commit}"
            events.emit(conn, "forge.conflict", commit, told, actor=actor, revision=ours, unique=unique)
