"""The first commit: make the bare repository and write the files that somebody generated."""

from collections.abc import Mapping
from pathlib import Path

import pygit2

from core import clock
from core.errors import Terminal
from core.settings import Settings
from intents.repository import Repository

# Small commits leave loose objects; collecting them is our own scheduled job, never a surprise inside a push.
_CONFIG = {
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.denyNonFastForwards": "true",
    "receive.denyDeletes": "true",
    "core.logAllRefUpdates": "true",
    "core.commitGraph": "true",
    "transfer.hideRefs": "refs/trunkline/staging",
}


class RepositoryExists(Terminal):
    """Trunk has commits already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has a trunk already; choose another home or remove it yourself")


def init_repository(settings: Settings, files: Mapping[str, bytes], actor: str) -> str:
    """Make the bare repository of `settings` with one commit of `files` (path -> content) on trunk.

    Returns the commit. `actor` is its author's id. Raises RepositoryExists.
    """
    repo = create(settings.repository, settings.trunk)
    if repo.head() is not None:
        raise RepositoryExists(settings.repository)
    repo.git("fast-import", "--quiet", "--date-format=raw", "--force", given=_stream(files, actor))
    first = repo.ref("refs/trunkline/init")
    if first is None:
        raise RepositoryExists(settings.repository)
    repo.update_ref(repo.trunk_ref, first, None)
    repo.delete_ref("refs/trunkline/init")
    return first


def create(path: Path, trunk: str = "main") -> Repository:
    """Make (or open) a bare repository with our configuration, without any commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pygit2.init_repository(str(path), bare=True, initial_head=trunk)
    repo = Repository(path, trunk)
    for key, value in _CONFIG.items():
        repo.git("config", key, value)
    return repo


def _stream(files: Mapping[str, bytes], actor: str) -> bytes:
    message = b"Declare the network\n"
    when = int(clock.now().timestamp())
    parts = [
        f"commit refs/trunkline/init\ncommitter {actor} <{actor}@trunkline> {when} +0000\n".encode(),
        b"data %d\n%b" % (len(message), message),
    ]
    for path, content in sorted(files.items()):
        parts.append(b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(content), content))
    parts.append(b"done\n")
    return b"".join(parts)
