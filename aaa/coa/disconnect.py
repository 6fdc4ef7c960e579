"""Support ends sessions: which ones a name means, and what the NAS said to each."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.store import session_of
from aaa.coa.correct import EndSession, correct_all
from aaa.coa.decide import Action
from aaa.coa.outcome import Outcome
from aaa.enforcement import Correction, vendors
from aaa.errors import ViewNotBuilt
from aaa.models import is_open, session, session_open
from aaa.opened import each
from aaa.radius.nases import nas_of
from aaa.vendors.registry import vendor
from aaa.view.models import is_built, view_state
from aaa.view.seal import Seal
from core import events
from core.db import Database
from core.errors import Terminal


class NoSuchSession(Terminal):
    """No open session has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' has no open session: name a service, a login, a session (ses_…) or an Acct-Session-Id; "
            "`trunkline radius sessions` lists them"
        )


class Ended(msgspec.Struct, frozen=True):
    """What became of one session. `outcome` is a receipt's word; `told` says it in full."""

    session: str
    service: str
    login: str
    nas: str
    asked: str
    outcome: str
    told: str
    milliseconds: int
    done: bool


def named(conn: Connection, name: str) -> list[Session]:
    """The open sessions of a service or login, or the one of a reference or Acct-Session-Id. Raises NoSuchSession."""
    if not name.strip():  # an empty variable in a script: nobody's service and login are those of many
        raise NoSuchSession(name)
    source, one = each(conn)
    chosen = [
        sa.select(*one).select_from(source).where(sa.or_(session_open.c.service == name, one.login == name)),
        sa.select(session).where(is_open, session.c.session_ref == name),
        sa.select(session).where(is_open, session.c.acct_session_id == name.encode()),
    ]
    rows = [session_of(row) for some in chosen for row in conn.execute(some)]
    found = {one.session_ref: one for one in rows}
    if not found:
        raise NoSuchSession(name)
    return sorted(found.values(), key=lambda one: one.started_at)


def check_view(index_db: Database) -> None:
    """Only the view knows the NASes' addresses and secrets. Raises ViewNotBuilt where there is none."""
    with index_db.read() as conn:
        if not sa.inspect(conn).has_table(view_state.name) or not is_built(conn):
            raise ViewNotBuilt


def needs_driver(index_db: Database, sessions: Sequence[Session]) -> bool:
    """Whether one of them is on a NAS that takes no Disconnect-Request."""
    known = vendors(index_db)
    return any(_action(known.get(one.nas, "generic")).how == "end-session" for one in sessions)


def disconnect(
    db: Database, index_db: Database, seal: Seal, sessions: Sequence[Session], *,
    actor: str, end_session: EndSession | None = None,
) -> list[Ended]:  # fmt: skip
    """End these sessions side by side, record what each NAS answered, and return it. Who redials gets what is wanted
    now.
    """
    known = vendors(index_db)
    wanted = [
        (
            Correction(one, "", None, _action(known.get(one.nas, "generic"))),
            nas_of(index_db, seal, one.source),
        )
        for one in sessions
    ]
    ended = [
        _ended(correction, outcome)
        for correction, outcome in correct_all(db, wanted, end_session=end_session)
    ]
    with db.write() as conn:
        told = [(one.session, {"service": one.service, "outcome": one.outcome}, None) for one in ended]
        events.emit_many(conn, "session.disconnected", told, actor=actor)
    return ended


def _action(name: str) -> Action:
    return Action("disconnect" if vendor(name).coa.disconnect else "end-session", why="asked for by a person")


def _ended(correction: Correction, outcome: Outcome) -> Ended:
    one = correction.session
    return Ended(
        session=one.session_ref, service=one.service, login=one.login, nas=one.nas,
        asked=correction.action.how, outcome=outcome.word, told=outcome.meaning,
        milliseconds=outcome.milliseconds, done=outcome.done,
    )  # fmt: skip
