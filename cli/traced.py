"""What `trunkline radius who` needs beside the database: the moment as it was typed, and the pools of that time."""

from datetime import UTC, datetime

import typer

from core import days
from core.settings import Settings
from intents.kinds import KINDS
from intents.loader import load
from intents.pool.schema import Pool
from intents.repository import GitFailed, Repository, RepositoryMissing

_FOLDER = KINDS["pool"].pattern.partition("{")[0]


def moment_of(text: str) -> datetime:
    """An ISO 8601 moment; without a zone it is UTC. Raises typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        told = f"'{text}' is no moment; write it like 2026-11-25T14:03:00+08:00"
        raise typer.BadParameter(told, param_hint="--at") from error
    if why := days.why_not(moment.date()):
        raise typer.BadParameter(why, param_hint="--at")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def pools_at(settings: Settings, moment: datetime) -> tuple[dict[str, Pool], str]:
    """(pool id -> Pool as trunk had it then, why that may not be what the network did).

    Without a repository on this machine there are none: only what NASes reported can be traced.
    """
    try:
        repo = Repository(settings.repository, settings.trunk)
        before = f"--before={moment.isoformat()}"
        commit = repo.git("rev-list", "-1", "--first-parent", before, settings.trunk).decode().strip()
        commit, doubt = (commit, "") if commit else (repo.head() or "", "trunk is younger than that moment")
        listed = repo.git("ls-tree", "-z", commit, _FOLDER).decode().split("\0") if commit else []
    except (RepositoryMissing, GitFailed):
        return {}, ""
    pools = {}
    for line in filter(None, listed):
        facts, _tab, path = line.partition("\t")
        loaded = load(path, repo.read(facts.split()[2]))
        if not isinstance(loaded, list) and isinstance(loaded.value, Pool):
            pools[loaded.id] = loaded.value
    return pools, doubt
