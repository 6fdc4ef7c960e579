"""The tip: the tree as it would be after the sets of the group that came before."""

from typing import NamedTuple

from intents.overlay import Overlay
from intents.reader import Reader
from intents.repository import Repository


class Left(NamedTuple):
    """What a change of this group left at a path."""

    blob: str | None
    actor: str
    change_id: str


class Tip:
    """Blobs by path and documents by (kind, id) on top of a parent commit."""

    def __init__(self, repo: Repository, parent: str, reader: Reader) -> None:
        self.repo, self.parent, self.reader = repo, parent, reader
        self.left: dict[str, Left] = {}
        self.documents: dict[tuple[str, str], object | None] = {}

    def blob(self, path: str) -> str | None:
        """What the path holds now."""
        found = self.left.get(path)
        return found.blob if found else self.repo.blob_at(self.parent, path)

    def overlay(self, more: dict[tuple[str, str], object | None]) -> Overlay:
        """A reader of the tip with some more documents (None: deleted)."""
        return Overlay(self.reader, self.documents | more)

    def keep(self, left: dict[str, Left], documents: dict[tuple[str, str], object | None]) -> None:
        """A set has been accepted: the next one stands on it."""
        self.left |= left
        self.documents |= documents
