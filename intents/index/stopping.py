"""What stops the index: a bad `trunkline.yaml` at the head, a missing data key, a rewritten history."""

from typing import NamedTuple

from core.settings import Settings
from intents.loader import Document, load
from intents.repository import Repository

CONFIG = "trunkline.yaml"


class Reason(NamedTuple):
    """Why the index must not go on, and what a person can do."""

    code: str
    why: str


def reason(settings: Settings, repo: Repository, base: str | None, head: str) -> Reason | None:
    """Why the index must stop before `head`; None when it may go on."""
    if base is not None and not repo.is_ancestor(base, head):
        why = f"trunk {head[:12]} does not contain {base[:12]}; look at it, then `trunkline accept-history`"
        return Reason("history-rewritten", why)
    if base == head:
        return config_at(repo, head)
    return config_at(repo, head) or _key(settings, repo, head)


def config_at(repo: Repository, commit: str) -> Reason | None:
    """What is wrong with `trunkline.yaml` of a commit."""
    blob = repo.blob_at(commit, CONFIG)
    if blob is None:
        return Reason("config-missing", f"commit {commit[:12]} has no {CONFIG}; put it back")
    found = load(CONFIG, repo.read(blob))
    if isinstance(found, Document):
        return None
    return Reason("config-bad", "; ".join(str(problem) for problem in found[:3]))


def last_good(repo: Repository, found: Reason, base: str | None, head: str) -> str | None:
    """The newest commit up to which the index may go all the same."""
    if found.code == "history-rewritten" or base == head:
        return None
    for commit in reversed(repo.first_parents(base, head)):
        if config_at(repo, commit) is None:
            return commit
    return base


def _key(settings: Settings, repo: Repository, head: str) -> Reason | None:
    """Sealed values in `trunkline.yaml` and a key file that was configured and is gone."""
    if settings.key_file.exists() or not settings.identity_file.exists():
        return None
    why = f"{settings.key_file} is missing while {settings.identity_file} is there: sealed values cannot be opened"
    return Reason("key-missing", why) if repo.blob_at(head, CONFIG) else None
