"""Check the documents, or write the generated ones with `--write`."""

import sys

from tests.documents.links import broken_links
from tests.documents.reference import GENERATED
from tests.support import ROOT


def main(args: list[str]) -> int:
    """Status 1 when a document is stale or a link leads nowhere."""
    if args == ["--write"]:
        for name, write in GENERATED.items():
            (ROOT / name).write_text(write(), encoding="utf-8")
        return 0
    complaints = [*stale(), *broken_links()]
    print("\n".join(complaints) or "documents: references are fresh, links resolve")
    return 1 if complaints else 0


def stale() -> list[str]:
    """Generated documents that differ from what the code says now."""
    paths = {name: ROOT / name for name in GENERATED}
    old = {name: path.read_text(encoding="utf-8") if path.exists() else "" for name, path in paths.items()}
    return [f"{name}: stale; run: make docs" for name, write in GENERATED.items() if write() != old[name]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
