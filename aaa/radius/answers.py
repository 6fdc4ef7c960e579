"""From datagram to reply: the order of checks of RFC 2865/2866/3579/5080/5997, without any socket.

Everything that is dropped returns None with its reason counted; a stranger never costs more than that.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from aaa.accounting.layout import Layouts
from aaa.accounting.light import Light, light_of
from aaa.accounting.quick import read_quickly as read_account
from aaa.accounting.quick import signer
from aaa.accounting.record import KIND_NAMES, OFF, ON, START, AccountingRecord, read_record, record_of
from aaa.errors import Dropped
from aaa.limits.crowd import Rule
from aaa.limits.limit import VOUCHER_ID
from aaa.radius import packet as wire
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.credentials import hider
from aaa.radius.deferred import Answer, Ask, Deferred, Handler
from aaa.radius.elsewhere import Elsewhere
from aaa.radius.nases import NasEntry, NasTable
from aaa.radius.noting import GONE, OTHERS, hash_of, is_usual, noting
from aaa.radius.packet import Packet
from aaa.radius.plain import LOGIN, read_plainly
from aaa.radius.request import Asked, read_request
from aaa.radius.slow import read_slowly, reply_slowly
from aaa.view.lookup import View
from aaa.view.records import (
    Access,
    Wanted,
    circuit_key,
    decode,
    login_key,
    mac_key,
    read_class,
    service_key,
    split_class,
    voucher_key,
)

Refused = Callable[[str, NasEntry, Verdict], None]
Accepted = Callable[[bytes | str, str], None]
"""Is told of each accepted login: whose, and the NAS's device."""
Observer = Callable[[NasEntry, str, Asked | None, Verdict, int], None]
"""Is told of every decision: the NAS, whom it was about, how they asked (None: by a tunnelled method), the verdict, and
the nanoseconds that it took (0 where nobody measured).
"""
_Read = tuple[AccountingRecord | None, Answer]
_PROXY = wire.PROXY_STATE
_WANTS = 10_000
_VOUCHER = VOUCHER_ID.encode()
_BODY = wire.MAX_LENGTH - 38


class Answers:
    """One worker's answers. `dropped` counts by reason; `refused` is told of every refusal, `accepted` of every
    login that we let in ourselves.
    """

    def __init__(
        self,
        view: View,
        nases: NasTable,
        authenticator: Authenticator,
        refused: Refused,
        elsewhere: Elsewhere | None = None,
        accepted: Accepted | None = None,
    ) -> None:
        self._view, self._nases, self._authenticator = view, nases, authenticator
        self._refused, self._accepted = refused, accepted
        self.methods: Mapping[str, Handler] = {}
        """Who answers EAP, MS-CHAP and State; they tell `refuse` whom they refuse."""
        self._elsewhere = elsewhere
        self._layouts = Layouts()
        self._wants: dict[bytes, Wanted | None] = {}
        self.dropped: Counter[str] = Counter()
        self.dropped_of: Counter[tuple[str, str]] = Counter()
        """(NAS, reason): those of them whose NAS is known."""
        self.on_drop: Callable[[str, str, str, str], None] | None = None
        """Is told of what came in vain: `access` or `accounting`, the reason, the source address, the NAS."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(NAS, "accepted" or the reason of refusal), since the start."""
        self.records: Counter[tuple[str, str]] = Counter()
        """(NAS, kind of accounting record), since the start."""
        self.observers: list[Observer] = []

    @property
    def counted(self) -> Counter[str]:
        """Decisions by outcome, and accounting records as "accounting", over all NASes."""
        told: Counter[str] = Counter()
        for (_nas, outcome), count in list(self.outcomes.items()):
            told[outcome] += count
        told["accounting"] = sum(list(self.records.values()))
        return +told

    @property
    def knows(self) -> bool:
        """Whether there is a view to answer from."""
        return bool(self._view.generation)

    def rule(self, service: str) -> Rule | None:
        """How many sessions a service may have; None for one that the view does not have."""
        wanted = self._wanted(service)
        return None if wanted is None else Rule(wanted.limit, wanted.over == "reject", wanted.door)

    def access(self, datagram: bytes, source: str) -> Answer | Deferred | None:
        """Answer what came to the authentication port, leave it to a handler, or drop it."""
        reply = self.plainly(datagram, source)
        return self.carefully(datagram, source) if reply is None else Answer(reply)

    def plainly(self, datagram: bytes, source: str) -> bytes | None:
        """The short way to an Access-Accept: a right PAP or CHAP login in a plain packet, of a record that asks nothing
        more. It only says yes; None leaves it to `carefully`, which gives the same answer, octet for octet.
        """
        nas = self._nases.at(source)
        if nas is None or self.observers:  # of a stranger nothing is read, however long it is
            return None
        plain = read_plainly(datagram)
        if plain is None:
            return None
        found, ma_at = plain
        login, secret = found.get(LOGIN), nas.secrets[0]
        if not login or (ma_at == 0 and (nas.require_ma or len(nas.secrets) > 1)):
            return None
        if ma_at and not wire.is_signed(datagram, ma_at, secret):
            return None
        if self._elsewhere is not None and not self._elsewhere.is_ours(login, nas):
            return None
        authenticator = datagram[4:20]
        block = self._authenticator.plainly(login, found, secret, authenticator, nas.device)
        if block is None or len(block) > _BODY:
            return None
        self.outcomes[nas.device, "accepted"] += 1
        if self._accepted is not None:
            self._accepted(login, nas.device)
        return wire.sealed(wire.ACCESS_ACCEPT, datagram[1], authenticator, secret, block)

    def carefully(self, datagram: bytes, source: str) -> Answer | Deferred | None:
        """The same for every packet, and the one who says why something is dropped. What `access` answers by itself
        is what this answers, octet for octet.
        """
        try:
            packet, nas = self._read(datagram, source)
            if packet.code == wire.STATUS_SERVER:
                return self._status(packet, nas, wire.ACCESS_ACCEPT)
            if packet.code != wire.ACCESS_REQUEST:
                raise Dropped("other-code")
            return self._authenticate(packet, nas)
        except Dropped as drop:
            self._drop("access", str(drop), source)
            return None

    def lightly(self, datagram: bytes, source: str, received: float) -> tuple[Light, bytes] | None:
        """The short way of a usual record of our Class: itself, and the reply that may go when it is durable. It only
        says yes; None leaves it to `accounting`, which reads the same record out of it and gives the same reply.
        """
        nas = self._nases.at(source)
        found = self._layouts.find(datagram) if nas is not None else None
        if nas is None or found is None:
            return None
        layout, told = found
        status, value, login = layout.whose(told)
        owner = split_class(value)
        if owner is None or not (self._elsewhere is None or self._elsewhere.keeps(login, nas)):
            return None
        service, policy = owner
        wanted = self._wants_of(b"s:" + service)
        if not is_usual(wanted) or service.startswith(_VOUCHER):
            return None
        secret = signer(datagram, layout.ma_at, nas.secrets)
        if secret is None:
            return None
        whose = (service, policy, wanted.policy_hash if wanted is not None else GONE)
        light = light_of(datagram, layout, told, status, nas, received, whose)
        if light is None:
            return None
        self.records[nas.device, KIND_NAMES[light.kind]] += 1
        asked, sign = datagram[4:20], layout.ma_at > 0
        return light, wire.sealed(wire.ACCOUNTING_RESPONSE, datagram[1], asked, secret, b"", sign)

    def accounting(self, datagram: bytes, source: str, received: float | None = None) -> _Read | None:
        """Read what came to the accounting port: the record to make durable first (None for Status-Server), and
        the reply that may then go. `received`: epoch seconds, now if not given; one for all that came together, or a
        Stop on the short way would be earlier than the Start before it.
        """
        received = time.time() if received is None else received
        nas = self._nases.at(source)
        quick = self._account_quickly(datagram, nas, received) if nas is not None else None
        return quick or self.accounting_carefully(datagram, source, received)

    def accounting_carefully(self, datagram: bytes, source: str, received: float) -> _Read | None:
        """The same for every packet, and the one who says why something is dropped."""
        try:
            packet, nas = self._read(datagram, source)
            if packet.code == wire.STATUS_SERVER:
                return None, self._status(packet, nas, wire.ACCOUNTING_RESPONSE)
            if packet.code != wire.ACCOUNTING_REQUEST:
                raise Dropped("other-code")
            return self._account(packet, nas, received)
        except Dropped as drop:
            self._drop("accounting", str(drop), source)
            return None

    def _drop(self, kind: str, reason: str, source: str) -> None:
        nas = self._nases.at(source)
        device = "" if nas is None else nas.device
        self.dropped[reason] += 1
        if device:
            self.dropped_of[device, reason] += 1
        if self.on_drop is not None:
            self.on_drop(kind, reason, source, device)

    def settle(
        self, login: str, nas: NasEntry, verdict: Verdict, asked: Asked | None = None, nanoseconds: int = 0
    ) -> None:
        """Count a decision, whoever made it, and tell those who want to know; `login` is who it was about."""
        self.outcomes[nas.device, verdict.reason or "accepted"] += 1
        if verdict.reason:
            self._refused(login, nas, verdict)
        elif self._accepted is not None:
            self._accepted(verdict.service if verdict.service.startswith(VOUCHER_ID) else login, nas.device)
        for observer in self.observers:
            observer(nas, login, asked, verdict, nanoseconds)

    def _read(self, datagram: bytes, source: str) -> tuple[Packet, NasEntry]:
        nas = self._nases.at(source)
        if nas is None:
            raise Dropped("unknown-nas")
        packet = wire.read(datagram)
        if packet is None:
            raise Dropped("malformed")
        return packet, nas

    def _authenticate(self, packet: Packet, nas: NasEntry) -> Answer | Deferred:
        secret = self._secret(packet, nas)
        asked = read_request(packet)
        other = self._elsewhere(asked.login, nas) if self._elsewhere is not None else None
        if other is not None:
            return Deferred(other, Ask(packet, nas, secret, asked), quick=True)
        if asked.unusual:
            handler = self.methods.get(asked.unusual)
            if handler is not None:
                return Deferred(handler, Ask(packet, nas, secret, asked))
            return self._unusual(packet, nas, secret)
        return self._settled(self._judged(asked, nas, secret, packet.authenticator), packet, secret)

    def _unusual(self, packet: Packet, nas: NasEntry, secret: bytes) -> Answer:
        """A method that nobody here handles: the slow path, on pyrad's codec, says no."""
        slowly = read_slowly(packet.raw, secret)
        if slowly is None:
            raise Dropped("malformed")
        self._judged(read_request(slowly), nas, secret, packet.authenticator)
        return Answer(reply_slowly(wire.ACCESS_REJECT, slowly, secret, b""), delayed=True)

    def _judged(self, asked: Asked, nas: NasEntry, secret: bytes, authenticator: bytes) -> Verdict:
        begun = time.perf_counter_ns() if self.observers else 0
        verdict = self._authenticator.judge(asked, nas, secret, authenticator)
        took = time.perf_counter_ns() - begun if begun else 0
        self.settle(asked.login or asked.calling or asked.circuit, nas, verdict, asked, took)
        return verdict

    @staticmethod
    def _settled(verdict: Verdict, packet: Packet, secret: bytes) -> Answer:
        code = wire.ACCESS_ACCEPT if verdict.accepted else wire.ACCESS_REJECT
        reply = wire.reply(code, packet, secret, verdict.block)
        if len(reply) > wire.MAX_LENGTH:  # Proxy-State that fills a packet leaves no room for an answer
            raise Dropped("no-room-for-a-reply")
        return Answer(reply, not verdict.accepted)

    def _secret(self, packet: Packet, nas: NasEntry) -> bytes:
        """The NAS's secret that this request uses. See RFC 3579 section 3.2 and the 2024 forgery
        attack: a Proxy-State without Message-Authenticator lets a man in the middle forge the reply.
        """
        if packet.ma_at:
            for secret in nas.secrets:
                if wire.message_authenticator_is_right(packet, secret):
                    return secret
            raise Dropped("wrong-message-authenticator")
        has = {kind for kind, _value in packet.pairs}
        if nas.require_ma or 79 in has or (_PROXY in has and not nas.legacy):
            raise Dropped("no-message-authenticator")
        hidden = packet.first(2)
        if hidden is not None and len(nas.secrets) > 1:
            return hider(hidden, packet.authenticator, nas.secrets)
        return nas.secrets[0]

    def _account_quickly(
        self, datagram: bytes, nas: NasEntry, received: float
    ) -> tuple[AccountingRecord, Answer] | None:
        """The fast path: a plain, rightly signed request with our Class, of nobody else's login. None for all else."""
        quick = read_account(datagram)
        if quick is None:
            return None
        found, ma_at = quick
        owner = read_class(found.get(25, b""))
        secret = signer(datagram, ma_at, nas.secrets) if owner is not None else None
        if owner is None or secret is None:
            return None
        service, policy = owner
        wanted = self._wanted(service)
        whose = (service, policy, hash_of(service, wanted))
        record = record_of(found, nas.device, nas.source, received, whose, nas.interim)
        if record is None or (self._elsewhere is not None and self._elsewhere.concerns(record.login, nas)):
            return None
        self._layouts.learn(datagram)
        self.records[nas.device, KIND_NAMES[record.kind]] += 1
        reply = wire.sealed(wire.ACCOUNTING_RESPONSE, datagram[1], datagram[4:20], secret, b"", ma_at > 0)
        return noting(record, b"", service, wanted), Answer(reply)

    def _account(self, packet: Packet, nas: NasEntry, received: float) -> _Read:
        for secret in nas.secrets:
            if wire.request_authenticator_is_right(packet, secret):
                break
        else:
            raise Dropped("wrong-authenticator")
        if packet.ma_at and not wire.message_authenticator_is_right(packet, secret, bytes(16)):
            raise Dropped("wrong-message-authenticator")
        service, policy = self._classes(packet)
        wanted = self._wanted(service)
        whose = (service, policy, hash_of(service, wanted))
        record = read_record(packet, nas.device, nas.source, received, whose, nas.interim)
        if record is None:
            return self._aside(packet, nas, secret)
        self.records[nas.device, KIND_NAMES[record.kind]] += 1
        if not service and record.kind not in (ON, OFF):
            service = self._service_of(packet, record)
            wanted = self._wanted(service)
        circuit = next(iter(read_request(packet).circuits), b"")[:253] if record.kind == START else b""
        record, through = noting(record, circuit, service, wanted), None
        if self._elsewhere is not None:
            record, through = self._elsewhere.account(packet, nas, record)
        reply = wire.reply(wire.ACCOUNTING_RESPONSE, packet, secret, sign=bool(packet.ma_at))
        return record, Answer(reply, through=through)

    def _aside(self, packet: Packet, nas: NasEntry, secret: bytes) -> tuple[None, Answer]:
        """What tunnels and failed attempts tell is acknowledged and not kept, or their NAS would repeat it for ever."""
        if packet.first(40) not in OTHERS:
            raise Dropped("no-status-type")
        self.records[nas.device, "other"] += 1
        return None, Answer(wire.reply(wire.ACCOUNTING_RESPONSE, packet, secret, sign=bool(packet.ma_at)))

    def _wanted(self, service: str) -> Wanted | None:
        """What the view wants of a service's sessions, or None."""
        return self._wants_of(service_key(service)) if service else None

    def _wants_of(self, key: bytes) -> Wanted | None:
        raw = self._view.lookup(key)
        if raw is None:
            return None
        known = self._wants.get(raw)  # services of one plan have the same record
        if known is None:
            known = decode(raw, Wanted)
            if len(self._wants) > _WANTS:
                self._wants.clear()
            self._wants[raw] = known
        return known

    @staticmethod
    def _classes(packet: Packet) -> tuple[str, str]:
        for value in packet.all(25):
            if found := read_class(value):
                return found
        return "", ""

    def _service_of(self, packet: Packet, record: AccountingRecord) -> str:
        circuits = read_request(packet).circuits
        digest = self._authenticator.digest(record.login)
        keys = [
            login_key(record.login),
            voucher_key(digest) if digest else None,
            *map(circuit_key, circuits),
            mac_key(record.login),
            mac_key(record.calling),
        ]
        for key in keys:
            access = decode(self._view.lookup(key), Access) if key else None
            if access is not None:
                return access.service
        return ""

    @staticmethod
    def _status(packet: Packet, nas: NasEntry, code: int) -> Answer:
        """Status-Server (RFC 5997): Message-Authenticator is a must, the answer is that we are alive."""
        for secret in nas.secrets:
            if wire.message_authenticator_is_right(packet, secret):
                return Answer(wire.reply(code, packet, secret))
        raise Dropped("wrong-message-authenticator")
