"""The actor of a person's commit is the one whose listed key signed it, never the one that its author line names."""

from pathlib import Path

import pytest

from tests.intents.build import CONFIG, hold_path
from tests.intents.rig import Rig
from tests.support import need, run


@pytest.fixture
def key(tmp_path: Path) -> Path:
    place = tmp_path / "key"
    run([need("ssh-keygen", apt="openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", place])
    return place


def signed(rig: Rig, key: Path, path: str) -> str:
    """A commit that deletes a path, signed, whose author line claims to be billing."""
    index = {"GIT_INDEX_FILE": str(rig.settings.home / "index"), "GIT_DIR": str(rig.repo.path)}
    who = {f"GIT_{role}_{part}": "billing" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    run(["git", "read-tree", "main"], env=index)
    run(["git", "rm", "--cached", "-q", path], env=index)
    tree = run(["git", "write-tree"], env=index).stdout.strip()
    sign = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"]
    args = ["git", *sign, "commit-tree", "-S", "-p", "main", "-m", "x", tree]
    commit = run(args, env=index | who).stdout.strip()
    rig.repo.update_ref(rig.repo.trunk_ref, commit, rig.repo.head())
    return commit


@pytest.mark.parametrize(("listed", "expected"), [(True, "ann"), (False, "unverified")])
def test_the_signer_is_the_actor_when_the_parent_lists_the_key(
    tmp_path: Path, key: Path, listed: bool, expected: str
) -> None:
    """A listed key names its identity; an unlisted one, however good its signature, names nobody."""
    public = key.with_suffix(".pub").read_text().rsplit(" ", 1)[0].strip()
    config = CONFIG + f'  ann: {{key: "{public}", person: true}}\n'.encode() if listed else CONFIG
    rig = Rig(tmp_path / "home").begin(config=config)
    rig.land("billing", "nonpayment", rig.hold(1))
    signed(rig, key, hold_path(1))
    rig.run()
    assert [one["actor"] for one in rig.events("hold.removed")] == [expected]
