"""A worker watched: latencies, what it publishes for Prometheus, and the events of whoever tails it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import structlog

from aaa.accounting.record import KIND_NAMES, AccountingRecord
from aaa.limits.limit import VOUCHER_ID
from aaa.observe.latency import KINDS, Kind, Latency
from aaa.observe.publish import Published, bounded, publish
from aaa.observe.seldom import Seldom
from aaa.observe.tail import Event, Tail
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Verdict
from aaa.radius.deferred import Answer, Deferred, Pass
from aaa.radius.nases import NasEntry
from aaa.radius.packet import ACCESS_ACCEPT, ACCESS_REJECT
from aaa.radius.request import Asked
from core import clock

_log = structlog.get_logger()
_MEANS = {
    "unknown-nas": "no device of the intents is a NAS at this address",
    "wrong-message-authenticator": "its shared secret is another one than the intent's",
    "wrong-authenticator": "its shared secret is another one than the intent's",
    "no-message-authenticator": "the NAS does not sign its requests, and has to (nas.message-authenticator)",
}
"""What to look for, of reasons that do not say it."""
_ELSEWHERE = {ACCESS_ACCEPT: "accepted", ACCESS_REJECT: "refused-elsewhere"}


class Watched:
    """What one worker tells of itself. `latency` and `repeated` are raised by its answering threads."""

    def __init__(
        self,
        home: Path,
        worker: str,
        answers: Answers,
        gauges: Callable[[], Mapping[str, float]],
        stock: Callable[[], list[tuple[str, str, int]]] = list,
    ) -> None:
        self._home, self._worker, self._answers, self._gauges = home, worker, answers, gauges
        self._stock = stock
        self._tail = Tail(home)
        self.latency: dict[Kind, Latency] = {kind: Latency() for kind in KINDS}
        self.repeated = 0
        """Retransmissions that got the remembered reply."""
        self._seldom = Seldom()
        answers.on_drop = self.dropped

    @property
    def is_tailed(self) -> bool:
        """Whether somebody watches: then accounting tells of each record."""
        return bool(self._tail.listeners)

    def look(self) -> None:
        """See who tails now; decisions are observed only while somebody does."""
        self._tail.look()
        watching = self._decided in self._answers.observers
        if self.is_tailed and not watching:
            self._answers.observers.append(self._decided)
        elif watching and not self.is_tailed:
            self._answers.observers.remove(self._decided)

    def publish(self) -> None:
        """Leave the counts for Prometheus. Raises OSError."""
        answers = self._answers
        said = Published(
            worker=self._worker,
            at=clock.now().timestamp(),
            logins=bounded(answers.outcomes),
            records=bounded(answers.records),
            dropped=dict(answers.dropped),
            dropped_of=bounded(answers.dropped_of),
            repeated=self.repeated,
            latency=self.latency,
            gauges=dict(self._gauges()),
            addresses=self._stock(),
        )
        publish(self._home, said)

    def recorded(self, record: AccountingRecord, nanoseconds: int) -> None:
        """Tell of an accounting record that was made durable and acknowledged."""
        self._tail.tell(
            Event(
                at=clock.now().timestamp(),
                worker=self._worker,
                kind="accounting",
                nas=record.nas,
                outcome=KIND_NAMES[record.kind],
                login=record.login,
                calling=record.calling,
                service=record.service,
                session=record.session_id.decode("latin-1"),
                address=record.framed_address,
                detail=record.cause,
                policy=record.policy_hash,
                microseconds=nanoseconds // 1000,
            )
        )

    def settled(self, deferred: Deferred, answer: Answer | Pass | None, nanoseconds: int) -> None:
        """Count how long a handler took, and what another server decided: our own methods tell their verdicts."""
        self.latency["deferred"].add(nanoseconds)
        if (
            deferred.handler in self._answers.methods.values()
            or not isinstance(answer, Answer)
            or answer.told
        ):
            return
        outcome = _ELSEWHERE.get(answer.reply[0] if answer.reply else 0)
        if outcome is None:
            return  # a challenge is no decision yet
        ask = deferred.ask
        self._answers.outcomes[ask.nas.device, outcome] += 1
        if self.is_tailed and ask.asked is not None:
            self._tail.tell(self._event(ask.nas, ask.asked.login, ask.asked, outcome, nanoseconds // 1000))

    def dropped(self, kind: str, reason: str, source: str, nas: str) -> None:
        """Tell of a packet that gets no answer: its NAS hears nothing, and whoever looks after it has to find it."""
        if self._seldom.is_news(reason, source):
            means = {"means": _MEANS[reason]} if reason in _MEANS else {}
            _log.warning("packets are not answered", source=source, nas=nas, reason=reason, **means)
        if self.is_tailed:
            now = clock.now().timestamp()
            told = Event(
                at=now, worker=self._worker, kind=kind, nas=nas or source, outcome="dropped", detail=reason
            )
            self._tail.tell(told)

    def _decided(
        self, nas: NasEntry, login: str, asked: Asked | None, verdict: Verdict, nanoseconds: int
    ) -> None:
        named = (
            verdict.service if verdict.service.startswith(VOUCHER_ID) else login
        )  # a code is shown nowhere
        event = self._event(nas, named, asked, verdict.reason or "accepted", nanoseconds // 1000)
        self._tail.tell(msgspec.structs.replace(event, service=verdict.service, detail=verdict.detail))

    def _event(
        self, nas: NasEntry, login: str, asked: Asked | None, outcome: str, microseconds: int
    ) -> Event:
        return Event(
            at=clock.now().timestamp(),
            worker=self._worker,
            kind="access",
            nas=nas.device,
            outcome=outcome,
            login=login,
            calling=asked.calling if asked else "",
            circuit=asked.circuit if asked else "",
            microseconds=microseconds,
        )
