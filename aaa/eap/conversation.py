"""One EAP conversation over TLS: fragments, tunnel, second phase. Held in this process's memory; they are bounded."""

import os
from collections import OrderedDict

import msgspec

from aaa.eap.fragments import Incoming, NotFragments, Outgoing
from aaa.eap.judge import Done, Judge, refusal
from aaa.eap.phase import Phase
from aaa.eap.resume import Resumable
from aaa.eap.tunnel import Tunnel, TunnelBroken
from core import clock


class Conversation:
    """`take` gives the next request's type data, or Done."""

    def __init__(self, kind: int, tunnel: Tunnel, phase: Phase, resumable: Resumable) -> None:
        self.kind, self.identifier = kind, 0
        self.previous: tuple[bytes, bytes] = b"", b""
        """The last response and what it was answered with: a fragment that comes twice is answered twice."""
        self._tunnel, self._phase, self._resumable = tunnel, phase, resumable
        self._in, self._out = Incoming(), Outgoing()
        self._opened, self._resumed = False, False
        self._broken: Done | None = None
        self.told = False
        """Whether the refusal is counted already: a peer that hears of it may never answer."""
        self._password = b""

    def take(self, data: bytes, mtu: int, judge: Judge) -> bytes | Done:
        """The peer's type data."""
        if self._broken is not None:
            return self._broken  # it has our alert by now
        if self._out.waits and len(data) == 1:
            return self._out.next(mtu)
        try:
            message = self._in.take(data)
        except NotFragments as error:
            return refusal("unsupported-method", f"TLS in EAP: {error}", judge.identity)
        if message is None:
            return b"\0"
        return self._step(message, mtu, judge)

    def _step(self, message: bytes, mtu: int, judge: Judge) -> bytes | Done:
        stood = self._tunnel.established
        try:
            said = self._tunnel.feed(message)
        except TunnelBroken as error:
            return self._break(str(error), mtu, judge.identity)
        if not stood and self._tunnel.established:
            self._phase.through(self._tunnel)
            if self._phase.commits and self._tunnel.is_tls13:
                self._tunnel.say(b"\0")
        out = self._tunnel.output()
        if not self._tunnel.established or (out and not said):
            return self._out.begin(out, mtu)
        answer = self._answer(said, judge)
        self._password = judge.password or self._password
        if isinstance(answer, Done):
            return self._finished(answer)
        self._tunnel.say(answer)
        return self._out.begin(out + self._tunnel.output(), mtu)

    def _answer(self, said: bytes, judge: Judge) -> bytes | Done:
        first, self._opened = not self._opened, True
        if said or not first:
            return self._phase.heard(said, judge.decide)
        known = self._resumable.find(self._tunnel.session)
        self._resumed = known is not None
        return self._phase.opened(judge.identity, known, judge.decide)

    def _finished(self, done: Done) -> Done:
        if not done.verdict.accepted:
            return done
        if not self._resumed:
            self._resumable.remember(self._tunnel.session, done.login, self._password)
        msk = self._tunnel.master_key(self.kind, self._phase.label)
        self._tunnel.keep()
        return msgspec.structs.replace(done, msk=msk)

    def _break(self, why: str, mtu: int, identity: str) -> bytes | Done:
        """The peer gets our alert first, so that it can say what it did not like."""
        self._broken = refusal("wrong-credentials", why, identity)
        alert = self._tunnel.output()
        return self._out.begin(alert, mtu) if alert else self._broken


class Held(msgspec.Struct):
    """A conversation, whose NAS it came from, and until when it may last."""

    conversation: Conversation
    nas: str
    until: float


class Conversations:
    """Conversations by number. A full table loses the oldest of the NAS that has the most."""

    def __init__(self, most: int = 1000, seconds: float = 60.0) -> None:
        self._most, self._seconds = most, seconds
        self._held: OrderedDict[bytes, Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def begin(self, conversation: Conversation, nas: str) -> bytes:
        """Hold it; gives its number."""
        self._forget_old()
        if len(self._held) >= self._most:
            self._make_room()
        number = os.urandom(8)
        self._held[number] = Held(conversation, nas, clock.monotonic() + self._seconds)
        return number

    def find(self, number: bytes, nas: str) -> Conversation | None:
        """The conversation of this number and NAS; None when it is over, too old, or was never here."""
        held = self._held.get(number)
        if held is None or held.nas != nas or held.until < clock.monotonic():
            return None
        return held.conversation

    def end(self, number: bytes) -> None:
        """It is over."""
        self._held.pop(number, None)

    def _forget_old(self) -> None:
        now = clock.monotonic()
        while self._held and next(iter(self._held.values())).until < now:
            self._held.popitem(last=False)

    def _make_room(self) -> None:
        counts: dict[str, int] = {}
        for held in self._held.values():
            counts[held.nas] = counts.get(held.nas, 0) + 1
        busiest = max(counts, key=lambda nas: counts[nas])
        self._held.pop(next(number for number, held in self._held.items() if held.nas == busiest))
