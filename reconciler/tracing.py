"""Why a line is on a device: line -> template -> the intents that were read for it -> their last commits."""

import re
from datetime import datetime

import msgspec
from sqlalchemy.engine import Connection

from intents.index.origin import actor_of, set_of
from intents.kinds import path_of
from intents.repository import Repository
from inventory.errors import DeviceMissing
from reconciler.context import Context, render_device
from reconciler.secrets import MaskedSecrets

_WORD = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_LINES = 20
_NEAREST = 5


class Line(msgspec.Struct, frozen=True):
    """A line of the rendering and where it was written; `template` is "" where the renderer wrote it itself."""

    number: int
    text: str
    template: str
    template_line: int


class LastChange(msgspec.Struct, frozen=True, kw_only=True):
    """The last commit of a file. `change_set` is known only for commits of the queue; `actor` is proven."""

    path: str
    commit: str
    author: str
    at: datetime
    subject: str
    actor: str
    change_set: str | None = None
    correlation: str | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The lines, the files that say something of them (nearest first), and how many files were read in all."""

    device: str
    revision: str
    lines: list[Line]
    changes: list[LastChange]
    documents: int
    more_lines: int = 0


def trace(context: Context, repo: Repository, device: str, text: str) -> Trace:
    """Why lines with this text are in the device's rendering; no lines when it has none. Raises DeviceMissing."""
    with context.reader() as reader:
        if reader.get("device", device) is None:
            raise DeviceMissing(device, reader.revision)
        rendering = render_device(reader, device, MaskedSecrets())
        revision = reader.revision
    platform = rendering.model.device.platform
    found = _lines(rendering.rendered.config, text, platform, rendering.rendered.origins)
    paths = [path_of(kind, name) for read, kind, name in sorted(rendering.reads) if read == "get"]
    contents = _contents(repo, revision, paths)
    nearest = _nearest(contents, " ".join(line.text for line in found[:_LINES]), device) if found else []
    with context.db.read() as conn:
        changes = [_last_change(conn, repo, revision, path) for path in nearest]
    return Trace(
        device=device,
        revision=revision,
        lines=found[:_LINES],
        changes=[change for change in changes if change is not None],
        documents=len(contents),
        more_lines=max(0, len(found) - _LINES),
    )


def _lines(config: str, text: str, platform: str, origins: dict[int, tuple[str, int]]) -> list[Line]:
    """Lines with the text as written; ignoring case where there is none."""
    numbered = list(enumerate(config.splitlines(), start=1))
    found = [(n, line) for n, line in numbered if text in line]
    found = found or [(n, line) for n, line in numbered if text.lower() in line.lower()]
    lines = []
    for number, line in found:
        template, at = origins.get(number, ("", 0))
        lines.append(
            Line(number, line.strip(), f"renderers/{platform}/templates/{template}" if template else "", at)
        )
    return lines


def _contents(repo: Repository, revision: str, paths: list[str]) -> dict[str, str]:
    blobs = {path: repo.blob_at(revision, path) for path in paths}
    return {path: repo.read(blob).decode("utf-8", "replace") for path, blob in blobs.items() if blob}


def _nearest(contents: dict[str, str], line: str, device: str) -> list[str]:
    """Files that have words of the line, rare words first; the device's own file always."""
    words = {word for word in _WORD.findall(line) if len(word) > 1}
    # Whole words: a "79" inside a port, a key or a ciphertext says nothing about a cost of 79.
    theirs = {path: set(_WORD.findall(text)) | set(_WORD.findall(path)) for path, text in contents.items()}
    holders = {word: [path for path, known in theirs.items() if word in known] for word in words}
    scores: dict[str, float] = {}
    for found in holders.values():
        for path in found:
            scores[path] = scores.get(path, 0.0) + 1 / len(found)
    own = path_of("device", device)
    best = sorted(scores, key=lambda path: (-scores[path], path))[:_NEAREST]
    return best if own in best or own not in contents else [*best, own]


def _last_change(conn: Connection, repo: Repository, revision: str, path: str) -> LastChange | None:
    commit = repo.git("log", "-1", "--format=%H", revision, "--", path).decode().strip()
    if not commit:
        return None
    facts = repo.facts(commit)
    queued = set_of(conn, commit)
    return LastChange(
        path=path,
        commit=commit,
        author=facts.author,
        at=facts.at,
        subject=facts.message.partition("\n")[0],
        actor=actor_of(conn, repo, commit),
        change_set=queued[0] if queued else None,
        correlation=queued[2] if queued else None,
    )
