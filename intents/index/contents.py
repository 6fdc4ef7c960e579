"""What stands in files, read when it is asked for: a network's files need not be in memory together."""

from intents.repository import Repository


class Contents(dict[str, bytes]):
    """Blob id -> content. Nothing is kept: each file is parsed once, and looked at again only for a place in it."""

    def __init__(self, repo: Repository) -> None:
        super().__init__()
        self._repo = repo

    def __missing__(self, blob: str) -> bytes:
        return self._repo.read(blob)
