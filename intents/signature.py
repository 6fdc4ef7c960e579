"""Who signed a commit: a key that the parent commit's `trunkline.yaml` lists, or nobody.

An author line proves nothing. Keys are read from the parent, so that no commit can vouch for itself.
"""

import re
import tempfile
from pathlib import Path

from intents.config.schema import Config
from intents.loader import Document, load
from intents.repository import GitFailed, Repository

_GOOD = re.compile(r'Good "git" signature for (\S+) with')


def signer(repo: Repository, commit: str) -> str | None:
    """The identity whose key made the commit's signature (SSH format); None without a good one."""
    parents = repo.facts(commit).parents
    if not parents or not repo.is_signed(commit):
        return None
    config = _config(repo, parents[0])
    if config is None:
        return None
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        allowed = Path(folder) / "allowed"
        allowed.write_text("".join(f"{name} {one.key}\n" for name, one in config.identities.items()))
        return _verified(repo, commit, allowed)


def _verified(repo: Repository, commit: str, allowed: Path) -> str | None:
    try:
        said = repo.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", commit, errors=True)
    except GitFailed:
        return None
    found = _GOOD.search(said.decode(errors="replace"))
    return found[1] if found else None


def _config(repo: Repository, commit: str) -> Config | None:
    blob = repo.blob_at(commit, "trunkline.yaml")
    found = load("trunkline.yaml", repo.read(blob)) if blob else None
    return found.value if isinstance(found, Document) else None
