"""A network repository in a folder of the tests, read like a commit; and secrets that show what was opened."""

from pathlib import Path

from intents.loader import Document, load
from intents.reader import MemoryReader

FOLDER = Path(__file__).parent / "network"


def network(folder: Path = FOLDER) -> MemoryReader:
    """Every document below a folder; a bad one fails the test with its problems."""
    found = [
        load(str(file.relative_to(folder)), file.read_bytes()) for file in sorted(folder.rglob("*.yaml"))
    ]
    documents = [document for document in found if isinstance(document, Document)]
    assert len(documents) == len(found), [problems for problems in found if isinstance(problems, list)]
    return MemoryReader(documents)


class Opened:
    """Opens `enc:v1:NAME` to `opened NAME`; remembers what was opened where."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def open(self, sealed: str, path: str, key: str) -> str:
        self.seen.append((path, key))
        return "opened-" + sealed.removeprefix("enc:v1:")
