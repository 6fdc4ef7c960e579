"""From datagram to reply: the order of checks of RFC 2865/2866/3579/5080/5997, without any socket.

Everything that is dropped returns None with its reason counted; a stranger never costs more than that.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from aaa.accounting.record import AccountingRecord, read_record
from aaa.errors import Dropped
from aaa.radius import packet as wire
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.credentials import reveal
from aaa.radius.deferred import Answer, Ask, Deferred, Handler
from aaa.radius.nases import NasEntry, NasTable
from aaa.radius.packet import Packet
from aaa.radius.request import read_request
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
)

Refused = Callable[[str, NasEntry, Verdict], None]
Elsewhere = Callable[[str, NasEntry], Handler | None]
"""(login, NAS) -> who asks another RADIUS server about it; None: it is ours."""
_PROXY = wire.PROXY_STATE


class Answers:
    """One worker's answers. `dropped` counts by reason; `refused` is told of every refusal."""

    def __init__(
        self,
        view: View,
        nases: NasTable,
        authenticator: Authenticator,
        refused: Refused,
        methods: Mapping[str, Handler] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._view, self._nases, self._authenticator = view, nases, authenticator
        self._refused = refused
        self._methods = methods or {}
        self._elsewhere = elsewhere
        self.dropped: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.logins: Counter[tuple[str, bool]] = Counter()
        """(NAS, accepted?), since `take_logins` was last called."""

    def access(self, datagram: bytes, source: str) -> Answer | Deferred | None:
        """Answer what came to the authentication port, leave it to a handler, or drop it."""
        try:
            packet, nas = self._read(datagram, source)
            if packet.code == wire.STATUS_SERVER:
                return self._status(packet, nas, wire.ACCESS_ACCEPT)
            if packet.code != wire.ACCESS_REQUEST:
                raise Dropped("other-code")
            return self._authenticate(packet, nas)
        except Dropped as drop:
            self.dropped[str(drop)] += 1
            return None

    def accounting(self, datagram: bytes, source: str) -> tuple[AccountingRecord | None, Answer] | None:
        """Read what came to the accounting port: the record to make durable first (None for Status-Server), and
        the reply that may then go.
        """
        try:
            packet, nas = self._read(datagram, source)
            if packet.code == wire.STATUS_SERVER:
                return None, self._status(packet, nas, wire.ACCOUNTING_RESPONSE)
            if packet.code != wire.ACCOUNTING_REQUEST:
                raise Dropped("other-code")
            return self._account(packet, nas)
        except Dropped as drop:
            self.dropped[str(drop)] += 1
            return None

    def take_logins(self) -> Counter[tuple[str, bool]]:
        """The counts so far; counting starts anew."""
        taken, self.logins = self.logins, Counter()
        return taken

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
        if not (asked.login or asked.circuits):
            raise Dropped("no-login")
        other = self._elsewhere(asked.login, nas) if self._elsewhere is not None else None
        if other is not None:
            return Deferred(other, Ask(packet, nas, secret, asked))
        if asked.unusual:
            handler = self._methods.get(asked.unusual)
            if handler is not None:
                return Deferred(handler, Ask(packet, nas, secret, asked))
            return self._unusual(packet, nas, secret)
        verdict = self._authenticator.decide(packet, asked, nas, secret)
        self.counted[verdict.reason or "accepted"] += 1
        self.logins[nas.device, verdict.accepted] += 1
        if verdict.accepted:
            return Answer(wire.reply(wire.ACCESS_ACCEPT, packet, secret, verdict.block))
        self._refused(asked.login or asked.calling, nas, verdict)
        return Answer(wire.reply(wire.ACCESS_REJECT, packet, secret), delayed=True)

    def _unusual(self, packet: Packet, nas: NasEntry, secret: bytes) -> Answer:
        """A method that nobody here handles: the slow path, on pyrad's codec, says no."""
        slowly = read_slowly(packet.raw, secret)
        if slowly is None:
            raise Dropped("malformed")
        asked = read_request(slowly)
        verdict = self._authenticator.decide(slowly, asked, nas, secret)
        self.counted[verdict.reason or "accepted"] += 1
        self.logins[nas.device, verdict.accepted] += 1
        self._refused(asked.login or asked.calling, nas, verdict)
        return Answer(reply_slowly(wire.ACCESS_REJECT, slowly, secret, b""), delayed=True)

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
            return _fitting(hidden, packet, nas.secrets)
        return nas.secrets[0]

    def _account(self, packet: Packet, nas: NasEntry) -> tuple[AccountingRecord, Answer]:
        for secret in nas.secrets:
            if wire.request_authenticator_is_right(packet, secret):
                break
        else:
            raise Dropped("wrong-authenticator")
        if packet.ma_at and not wire.message_authenticator_is_right(packet, secret, bytes(16)):
            raise Dropped("wrong-message-authenticator")
        record = read_record(packet, nas.device, nas.source, time.time())
        if record is None:
            raise Dropped("no-status-type")
        self.counted["accounting"] += 1
        return self._belonging(record, packet, nas), Answer(
            wire.reply(wire.ACCOUNTING_RESPONSE, packet, secret, sign=bool(packet.ma_at))
        )

    def _belonging(self, record: AccountingRecord, packet: Packet, nas: NasEntry) -> AccountingRecord:
        """Whose session it is: by the Class that we gave; for a NAS that loses Class, by login, circuit or MAC."""
        service, policy = self._classes(packet)
        if not service and record.kind not in (7, 8):
            service = self._service_of(packet, record)
        wanted = decode(self._view.lookup(service_key(service)), Wanted) if service else None
        return msgspec.structs.replace(
            record,
            service=service,
            policy_hash=policy,
            wanted_hash=wanted.policy_hash if wanted else "gone" if service else "",
            interim=nas.interim,
        )

    @staticmethod
    def _classes(packet: Packet) -> tuple[str, str]:
        for value in packet.all(25):
            if found := read_class(value):
                return found
        return "", ""

    def _service_of(self, packet: Packet, record: AccountingRecord) -> str:
        circuits = read_request(packet).circuits
        keys = [
            login_key(record.login),
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


def _fitting(hidden: bytes, packet: Packet, secrets: tuple[bytes, ...]) -> bytes:
    """During a rotation nothing but the password's look tells which secret hid it: printable is right."""
    for secret in secrets:
        clear = reveal(hidden, secret, packet.authenticator)
        if clear and all(32 <= octet < 127 for octet in clear):
            return secret
    return secrets[0]
