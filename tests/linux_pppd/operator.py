"""Our own RADIUS server and enforcement beside the lab: intents in, view, sessions and corrections out."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from aaa.accounting.merge import Session
from aaa.accounting.store import session_of
from aaa.coa.correct import correct
from aaa.enforcement import stale_sessions
from aaa.models import session
from aaa.radius.limits import Limits
from aaa.radius.server import RadiusServer
from aaa.view.builder import ViewBuilder
from aaa.view.derived import open_derived
from aaa.view.seal import Seal
from cli.lab.bng import BngLab
from core import clock
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings
from drivers.contract import LiveSession
from intents.index import layout
from intents.index.models import index_change, index_state
from inventory.resolve import resolve_device
from renderers.linux_pppd.renderer import render
from tests.linux_pppd import network


class Operator:
    """The network's intents, the RADIUS server that follows them, and what accounting recorded."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings.load(
            folder, env={}, radius_host=network.CONTROL, radius_auth_port=0, radius_acct_port=0
        )
        self.db = Database(self.settings.database_url)
        upgrade(self.db)
        self.index = open_derived(self.settings)
        layout.prepare(self.index)
        with self.index.write() as conn:
            conn.execute(sa.update(index_state).values(commit_id="c"))
        self.held: frozenset[str] = frozenset()
        self.server = RadiusServer(self.settings, limits=Limits(reject_delay=0.1), in_process=True)
        self.builder = ViewBuilder(self.index, self._reader, Opens(), Seal.of(folder))

    @classmethod
    @contextmanager
    def beside(cls, folder: Path) -> Iterator[Self]:
        """Running, until the end of the block."""
        made = cls(folder)
        made.follow()
        with made.server:
            yield made

    def _documents(self, **changed: str) -> dict[str, str]:
        return network.documents(self.server.auth_port, self.server.acct_port, self.held, **changed)

    def _reader(self):
        return nullcontext(network.reader(self._documents()))

    def follow(self) -> None:
        """Bring the view to the intents."""
        self.builder.run_once()

    def config(self, **changed: str) -> str:
        """The BNG's rendered configuration; `changed` replaces words of its intent."""
        reader = network.reader(self._documents(**changed))
        return render(resolve_device(reader, "bng1"), network.Opened()).config

    def hold(self, *services: str) -> None:
        """Exactly these services are in the walled garden from now on."""
        touched = self.held ^ frozenset(services)
        self.held = frozenset(services)
        row = {"commit_id": "c", "path": "", "kind": "hold", "op": "put", "changed_at": clock.now()}
        with self.index.write() as conn:
            for service in sorted(touched):
                conn.execute(sa.insert(index_change).values(**row, id=f"{service}.nonpayment"))
        self.follow()

    def sessions(self, state: str = "open") -> list[Session]:
        """What accounting recorded."""
        chosen = sa.select(session).where(session.c.state == state).order_by(session.c.started_at)
        with self.db.read() as conn:
            return [session_of(row) for row in conn.execute(chosen)]

    def enforce(self, lab: BngLab) -> list[str]:
        """Correct every session that is not what it should be; returns the outcomes."""
        return [
            correct(self.db, each, None, end_session=lambda one: end(lab, one)).result
            for each in stale_sessions(self.db, self.index)
        ]


class Opens:
    """Opens `enc:v1:NAME` to NAME, as the view wants it."""

    def __call__(self, sealed: str, path: str, name: str) -> str:
        return sealed.removeprefix("enc:v1:")


def end(lab: BngLab, one: Session) -> bool:
    """Accounting's session in the driver's words, as the reconciler's session lane puts it."""
    live = LiveSession(
        session_id=one.acct_session_id.decode("latin-1"),
        login=one.login,
        interface=one.nas_port_id,
        address=one.framed_address,
        calling_station=one.calling,
    )
    return lab.end(live)
