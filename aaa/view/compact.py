"""`python -m aaa.view.compact FOLDER`: base and overlay log together, written as the folder's next base file."""

import heapq
import os
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from aaa.view import overlay
from aaa.view.base import Base, write_base

NEXT = "view.next"
_NICE = 10


def main(folder: Path) -> None:
    """Write the next base beside the one that is there; whoever keeps the folder puts it in place."""
    os.nice(_NICE)
    base = Base(folder / "view.base")
    log = folder / f"view.{base.generation or 'none'}.{base.seq}.log"
    changes = overlay.read(log, base.seq)
    seq = changes[-1][0] if changes else base.seq
    write_base(folder / NEXT, merged(base, changes), seq, base.generation)


def merged(base: Base, changes: list[overlay.Change]) -> Iterator[tuple[bytes, bytes]]:
    """Every (key, record) after the changes, sorted by key."""
    over = {key: record for _seq, key, record in changes}
    kept = ((key, record) for key, record in base.items() if key not in over)
    added = ((key, record) for key, record in sorted(over.items(), key=itemgetter(0)) if record is not None)
    return heapq.merge(kept, added, key=itemgetter(0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
