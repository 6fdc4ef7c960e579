"""What is said inside PEAPv0 (draft-kamath-pppext-peapv0): EAP without its header, then a result that both confirm."""

from aaa.eap import message as eap
from aaa.eap.inner import Inner
from aaa.eap.judge import Decide, Done
from aaa.eap.phase import Phase
from aaa.eap.resume import Known, Resumable
from aaa.radius.authenticate import Verdict

_GOOD, _BAD = b"\x80\x03\x00\x02\x00\x01", b"\x80\x03\x00\x02\x00\x02"


class PeapPhase(Phase):
    """Asks inside the tunnel. Two results have to agree: ours, and the peer's answer to it."""

    label = b"client EAP encryption"

    def __init__(self, resumable: Resumable) -> None:
        self._resumable = resumable
        self._inner = Inner()
        self._result: Verdict | None = None
        self._identifier = 0

    def opened(self, _identity: str, known: Known | None, decide: Decide) -> bytes | Done:
        """Ask for an identity; who is known from before is told the result at once."""
        if known is None:
            return self._inner.begin()[4:]
        self._inner.login = known.login
        self._result = decide(known.login, lambda now: self._resumable.fingerprint(now) == known.password)
        return self._told(self._result)

    def heard(self, clear: bytes, decide: Decide) -> bytes | Done:
        """The peer's next word."""
        if self._result is not None:
            return self._end(clear, self._result)
        response = self._read(clear)
        if response is None:
            return Done(Verdict(b"", "unsupported-method", detail="PEAP: no EAP inside"), self._inner.login)
        request = self._inner.take(response, decide)
        if request is not None:
            self._identifier = request[1]
            return request[4:]
        self._result = self._inner.verdict
        return self._told(self._result)

    def _read(self, clear: bytes) -> eap.Eap | None:
        """Most peers leave out the header; some send it."""
        whole = eap.read(clear)
        if whole is not None and whole.code == eap.RESPONSE and int.from_bytes(clear[2:4]) == len(clear):
            return whole
        current = self._inner.identifier
        return eap.Eap(eap.RESPONSE, current, clear[0], clear[1:]) if clear else None

    def _told(self, verdict: Verdict) -> bytes:
        self._identifier = (self._identifier + 1) & 0xFF
        tlv = _GOOD if verdict.accepted else _BAD
        return eap.write(eap.REQUEST, self._identifier, eap.EXTENSIONS, tlv)

    def _end(self, clear: bytes, result: Verdict) -> Done:
        answer = eap.read(clear)
        agreed = answer is not None and answer.kind == eap.EXTENSIONS and answer.data[:6] == _GOOD
        if result.accepted and not agreed:
            result = Verdict(
                b"", "wrong-credentials", result.service, "the client did not confirm the result"
            )
        return Done(result, self._inner.login)
