"""What the radius commands share: the view of this node, from the database or else from the node's snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaa.view.lookup import View
    from core.settings import Settings


@contextmanager
def known_view(home: Path | None) -> "Iterator[tuple[Settings, View]]":
    """The newest view that can be had here. Raises ViewNotThere."""
    from aaa.radius.worker import view_folder
    from aaa.view.derived import follow_derived
    from aaa.view.direct import newest_view
    from core.settings import Settings

    settings = Settings.there(home)
    db = follow_derived(settings)
    try:
        yield settings, newest_view(db, view_folder(settings))
    finally:
        db.close()
