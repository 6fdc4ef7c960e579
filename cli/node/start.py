"""`trunkline serve --roles radius` where there is no repository: settings, a view key and a snapshot are enough."""

from pathlib import Path

import sqlalchemy as sa

from aaa.errors import SecretNotOpenable, ViewIsForeign, ViewNotThere
from aaa.radius.server import RadiusServer
from aaa.radius.worker import load_view, view_folder
from aaa.view.lookup import View
from aaa.view.records import Nas, decode
from aaa.view.seal import Seal
from core.errors import Terminal
from core.settings import Settings


class NodeNotJoined(Terminal):
    """A home has nothing that a RADIUS node could start from."""

    def __init__(self, home: Path, lacks: str) -> None:
        super().__init__(
            f"{home} is no RADIUS node: {lacks}; make a bundle with `trunkline radius node export` where the "
            "installation runs, and take it in here with `trunkline radius node join`"
        )


class RadiusNode:
    """Starts without database, repository and data key, and follows as soon as the database answers."""

    def __init__(self, settings: Settings) -> None:
        """Raises NodeNotJoined, ViewIsForeign."""
        ready(settings)
        self.settings = settings
        self.radius = RadiusServer(settings)

    def __enter__(self) -> "RadiusNode":
        self.radius.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.radius.stop()


def ready(settings: Settings) -> None:
    """Whether a RADIUS-only process can serve from this home. Raises NodeNotJoined, ViewIsForeign."""
    if not (settings.home / "view.key").exists() and not settings.repository.exists():
        raise NodeNotJoined(settings.home, "it has no view.key")
    index = sa.make_url(settings.index_url)
    here = view_folder(settings) / "view.base"
    if index.get_backend_name() == "sqlite" and not Path(str(index.database)).exists() and not here.exists():
        raise NodeNotJoined(settings.home, f"index_url names {index.database}, which is not there")
    check_snapshot(settings)


def check_snapshot(settings: Settings) -> None:
    """A snapshot whose secrets do not open with our view key would lock everybody out. Raises ViewIsForeign."""
    try:
        view = load_view(settings)
    except ViewNotThere:
        return
    if not opens(view, Seal.of(settings.home)):
        raise ViewIsForeign(str(view_folder(settings)), Seal.of(settings.home).fingerprint)


def opens(view: View, seal: Seal) -> bool:
    """Whether the secret of some NAS opens; a view without any NAS belongs to anybody."""
    has_nas = False
    for key, raw in view.items(b"n:"):
        record = decode(raw, Nas)
        for secret in record.secrets if record else ():
            has_nas = True
            try:
                seal.open(secret, key)
                return True
            except SecretNotOpenable:
                continue
    return not has_nas
