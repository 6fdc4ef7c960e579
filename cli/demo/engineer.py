"""What the engineer of the demo does: a clone, a plain `git revert`, a push."""

import tempfile

from git import Actor, Repo

from core.settings import Settings

_WHO = Actor("engineer", "engineer@example.net")


def revert(settings: Settings, commit: str) -> str:
    """Revert a commit on trunk from a fresh clone and push it; returns the new commit."""
    with tempfile.TemporaryDirectory(prefix="trunkline-clone-") as folder:
        clone = Repo.clone_from(str(settings.repository), folder, branch=settings.trunk)
        with clone.config_writer() as config:
            config.set_value("user", "name", _WHO.name)
            config.set_value("user", "email", _WHO.email)
        clone.git.revert(commit, no_edit=True)
        clone.git.push("origin", f"HEAD:{settings.trunk}")
        return clone.head.commit.hexsha
