"""Build: one commit per change set, a whole group through one `git fast-import` into a private ref.

The private ref matters: a fast-import whose ref somebody moves goes on answering and fails only at its end.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core import clock
from intents.repository import GitFailed, Repository

_DURABLE = ("-c", "core.fsync=committed,reference", "-c", "core.fsyncMethod=batch")


class Edit(msgspec.Struct, frozen=True):
    """What a path becomes; None: it goes."""

    path: str
    content: bytes | None


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """A change set that may land: its edits and what its commit says."""

    set_id: str
    actor: str
    reason: str
    edits: tuple[Edit, ...]
    correlation: str | None = None
    urgent: bool = False
    merges: str | None = None
    """A second parent: what was merged elsewhere and is taken in by this commit."""
    text: str | None = None
    """The commit's message, where it is not made from the fields."""


def build(repo: Repository, ref: str, parent: str | None, landings: Sequence[Landing]) -> list[str]:
    """Write a commit for each landing, each on the one before, the first on `parent`; returns their ids."""
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        marks = Path(folder) / "marks"
        repo.git(
            *_DURABLE,
            "fast-import",
            "--quiet",
            "--force",
            "--done",
            "--date-format=raw",
            f"--export-marks={marks}",
            given=b"".join(_stream(ref, parent, landings)),
        )
        return _read_marks(marks, len(landings))


def message(landing: Landing) -> str:
    """The commit's message; its trailers count only because `change_batch` names the commit."""
    if landing.text is not None:
        return landing.text
    count = len(landing.edits)
    trailers = {
        "Change-Set": landing.set_id,
        "Actor": landing.actor,
        "Reason": landing.reason,
        "Correlation": landing.correlation,
        "Urgent": "yes" if landing.urgent else None,
    }
    lines = [f"{key}: {value}" for key, value in trailers.items() if value]
    return f"{landing.reason}: {count} change{'s' * (count != 1)}\n\n" + "\n".join(lines) + "\n"


def _stream(ref: str, parent: str | None, landings: Sequence[Landing]) -> list[bytes]:
    when = int(clock.now().timestamp())
    parts = [f"reset {ref}\n".encode()]
    for number, landing in enumerate(landings, start=1):
        start = f"from {parent}\n" if parent and number == 1 else ""
        start = f"from :{number - 1}\n" if number > 1 else start
        start += f"merge {landing.merges}\n" if landing.merges else ""
        text = message(landing).encode()
        head = (
            f"commit {ref}\nmark :{number}\n"
            f"author {landing.actor} <{landing.actor}@trunkline> {when} +0000\n"
            f"committer trunkline <committer@trunkline> {when} +0000\n"
        )
        parts += [head.encode(), b"data %d\n%b" % (len(text), text), start.encode()]
        parts += [_edit(edit) for edit in landing.edits]
    return [*parts, b"done\n"]


def _edit(edit: Edit) -> bytes:
    path = edit.path.encode()
    if edit.content is None:
        return b"D %b\n" % path
    return b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(edit.content), edit.content)


def _read_marks(path: Path, count: int) -> list[str]:
    rows = dict(line.split() for line in path.read_text().splitlines())
    if len(rows) != count:
        raise GitFailed(("fast-import",), f"{len(rows)} commits instead of {count}")
    return [rows[f":{number}"] for number in range(1, count + 1)]
