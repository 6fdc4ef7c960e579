"""Whose logins another RADIUS server answers: proxied realms, and NASes or realms that have not moved in yet."""

from collections import Counter
from collections.abc import Callable

import msgspec

from aaa.accounting.record import AccountingRecord
from aaa.pools.astheirs import AsTheirs
from aaa.proxy.delivery import Delivery
from aaa.proxy.errands import Errands
from aaa.proxy.forwarder import Beside, Forwarder
from aaa.proxy.routes import Route, Routes
from aaa.proxy.shadow import Shadow
from aaa.proxy.spool import Entry
from aaa.proxy.target import Patience
from aaa.radius import packet as wire
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.deferred import Ask, Handler
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet
from aaa.radius.request import Asked
from aaa.view.lookup import View
from aaa.view.records import OLD
from aaa.view.seal import Seal
from core import clock
from core.db import Database
from core.settings import Settings

Settle = Callable[[bool], None]
_OLD = OLD.encode()
_TOLD = (
    "forwarded",
    "answered",
    "unanswered",
    "failover",
    "filtered",
    "loop",
    "fallback",
    "full",
    "wrong_reply",
)


class Elsewhere:
    """One worker's way to other servers: (login, NAS) -> the handler that asks there; None: it is ours.

    No thread and no socket exists before the first request that needs one.
    """

    def __init__(
        self, settings: Settings, view: View, seal: Seal, worker: str, patience: Patience, ours: Authenticator
    ) -> None:
        self._settings, self._worker, self._view, self._ours = settings, worker, view, ours
        self.settled: Callable[[str, NasEntry, Verdict, Asked], None] = _nobody
        """Is told what we decide for a server that is silent."""
        self.errands = Errands(patience, settings.home)
        self.routes = Routes(view, seal)
        self._proxy_state = b"TL" + bytes.fromhex(seal.fingerprint)
        """The same on all our nodes: a request that carries it has been here before."""
        self._attempts = Attempts(Limits())
        self.shadow = Shadow(self._decide_to_compare)
        self._beside = Beside(self._decide, self.shadow.compare)
        self.delivery = Delivery(
            settings.home / "radius" / "spool", worker, self.routes, self.errands, self._proxy_state
        )

    def __call__(self, login: str, nas: NasEntry) -> Handler | None:
        """Who answers this login elsewhere."""
        if not nas.moving and "@" not in login:
            return None
        route = self.routes.of(login, nas)
        return None if route is None else Forwarder(route, self.errands, self._proxy_state, self._beside)

    def is_ours(self, login: bytes, nas: NasEntry) -> bool:
        """Whether it is beyond doubt that nobody else answers this login."""
        _user, at, realm = login.rpartition(b"@")
        return not nas.moving and (not at or self.routes.has_none(realm))

    def keeps(self, login: bytes, nas: NasEntry) -> bool:
        """Whether it is beyond doubt that nobody else is to know of this login's accounting. A record's login has no
        NUL (`clean`): one that has may be of another realm than it looks.
        """
        return self.routes.has_none(_OLD) and self.is_ours(login, nas) and b"\0" not in login

    def concerns(self, login: str, nas: NasEntry) -> bool:
        """Whether another server is to know of this login's accounting."""
        if self.routes.of(login, nas) is not None:
            return True
        old = self.routes.named(OLD)
        return old is not None and old.copy

    def account(
        self, packet: Packet, nas: NasEntry, record: AccountingRecord
    ) -> tuple[AccountingRecord, Callable[[Settle], Settle] | None]:
        """Accounting of a session: the record as we keep it, and what its settling has to go through: the spool of
        the server that is to know of it. None: it is ours alone.
        """
        route, copied = self.routes.of(record.login, nas), False
        if route is None:
            old = self.routes.named(OLD)
            if old is None or not old.copy:
                return record, None
            route, copied = old, True
        if self._proxy_state in packet.all(wire.PROXY_STATE):
            self.errands.counted["loop"] += 1
            return record, lambda settle: lambda _durable: settle(False)
        entry = Entry(route.name, packet.raw, nas.device, clock.now().timestamp())
        if not copied:
            record = _not_ours(record, route)
        return record, lambda settle: self.delivery.after(entry, settle)

    def gauges(self) -> dict[str, float]:
        """For metrics: what was passed on, how it went, and how the other servers are doing."""
        states = Counter(self.errands.states().values())
        return {
            **{f"proxy_{what}": self.errands.counted[what] for what in _TOLD},
            **{f"proxy_servers_{state}": states[state] for state in ("alive", "suspect", "dead")},
            "proxy_spool_segments": self.delivery.segments,
        }

    def start(self) -> None:
        """Deliver what an earlier run left in the spool."""
        if self._worker == f"{self._settings.node}-0":
            known = [f"{self._settings.node}-{index}" for index in range(self._settings.radius_workers)]
            self.delivery.adopt(known)
        self.delivery.start()

    def flush(self, db: Database) -> None:
        """Write what was compared. Raises what the database raises; nothing is lost then."""
        self.shadow.flush(db)

    def stop(self) -> None:
        """Sync the spool; what is under way is given up, what is spooled waits for the next run."""
        self.delivery.stop()
        self.errands.stop()

    def _decide(self, ask: Ask) -> Verdict:
        """As for any login of ours, addresses and overrides too. Raises Dropped."""
        asked = ask.asked
        assert asked is not None
        verdict = self._ours.decide(ask.packet, asked, ask.nas, ask.secret)
        self.settled(asked.login or asked.calling or asked.circuit, ask.nas, verdict, asked)
        return verdict

    def _decide_to_compare(self, ask: Ask, theirs: Packet) -> Verdict:
        """Without giving anything. For EAP and MS-CHAP the password is the old server's matter: what we compare is what
        the login gets.
        """
        assert ask.asked is not None
        proof = (lambda _password: True) if ask.asked.unusual else None
        comparing = self._ours.beside(self._attempts, AsTheirs(self._view, theirs))
        return comparing.decide(ask.packet, ask.asked, ask.nas, ask.secret, proof)


def _nobody(_login: str, _nas: NasEntry, _verdict: Verdict, _asked: Asked) -> None:
    pass


def _not_ours(record: AccountingRecord, route: Route) -> AccountingRecord:
    """Another server gave the session its policy: we count it, and enforce nothing on it. A reseller's login belongs to
    no service of ours, whatever Class it came with.
    """
    service = record.service if route.old else ""
    return msgspec.structs.replace(record, service=service, policy_hash="", wanted_hash="")


def elsewhere(
    settings: Settings,
    view: View,
    seal: Seal,
    worker: str,
    ours: Authenticator,
    patience: Patience | None = None,
) -> Elsewhere:
    """What a worker asks elsewhere, and how; `ours` decides what the worker decides itself."""
    return Elsewhere(settings, view, seal, worker, patience or Patience(), ours)
