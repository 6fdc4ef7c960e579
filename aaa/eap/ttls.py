"""What is said inside TTLSv0 (RFC 5281 section 11): PAP, CHAP, MS-CHAP, MS-CHAPv2, or EAP."""

import hmac

from aaa.accounting.record import clean
from aaa.eap import avp
from aaa.eap import message as eap
from aaa.eap.inner import Inner
from aaa.eap.judge import Decide, Done, refusal
from aaa.eap.phase import Phase
from aaa.eap.resume import Known, Resumable
from aaa.eap.tunnel import Tunnel
from aaa.mschap.keys import MICROSOFT
from aaa.mschap.proof import authenticator_response, first_version_is_right, response_is_right
from aaa.radius.authenticate import Proof
from aaa.radius.credentials import chap_is_right

_USER, _PASSWORD, _CHAP, _CHAP_CHALLENGE, _EAP = (0, 1), (0, 2), (0, 3), (0, 60), (0, eap.EAP_MESSAGE)
_MS_FIRST, _MS_CHALLENGE, _MS_SECOND = (MICROSOFT, 1), (MICROSOFT, 11), (MICROSOFT, 25)
_MS_SUCCESS = 26
Pairs = dict[tuple[int, int], bytes]


class TtlsPhase(Phase):
    """Listens inside the tunnel. Challenges come from the tunnel itself: nothing can be replayed (section 11.1)."""

    label = b"ttls keying material"

    def __init__(self, resumable: Resumable) -> None:
        self._resumable = resumable
        self._inner: Inner | None = None
        self._proven: Done | None = None
        self._challenge = b""

    def through(self, tunnel: Tunnel) -> None:
        """Take the implicit challenge."""
        self._challenge = tunnel.exported(b"ttls challenge", 17)

    def opened(self, identity: str, known: Known | None, decide: Decide) -> bytes | Done:
        """Who is known from before is through; everybody else has to speak first."""
        if known is None:
            return refusal("unsupported-method", "TTLS: the client says nothing inside", identity)
        verdict = decide(known.login, lambda now: self._resumable.fingerprint(now) == known.password)
        return Done(verdict, known.login)

    def heard(self, clear: bytes, decide: Decide) -> bytes | Done:
        """The peer's pairs, or its acknowledgement of our proof."""
        if self._proven is not None:
            return self._proven
        pairs = avp.read(clear)
        if pairs is None:
            return refusal("unsupported-method", "TTLS: damaged attributes inside")
        if _EAP in pairs:
            return self._eap(pairs[_EAP], decide)
        login = clean(pairs.get(_USER))
        if _MS_SECOND in pairs:
            return self._mschapv2(pairs, login, decide)
        proof = self._proof(pairs)
        if proof is None:
            return refusal("unsupported-method", "TTLS: neither PAP, CHAP, MS-CHAP nor EAP inside", login)
        return Done(decide(login, proof), login)

    def _proof(self, pairs: Pairs) -> Proof | None:
        if _PASSWORD in pairs:
            given = pairs[_PASSWORD].rstrip(b"\0")
            return lambda stored: bool(stored) and hmac.compare_digest(given, stored)
        if _CHAP in pairs and self._is_ours(pairs.get(_CHAP_CHALLENGE), 16, pairs[_CHAP]):
            answer = pairs[_CHAP]
            return lambda stored: bool(stored) and chap_is_right(answer, self._challenge[:16], stored)
        first = pairs.get(_MS_FIRST, b"")
        if len(first) == 50 and first[1] & 1 and pairs.get(_MS_CHALLENGE) == self._challenge[:8]:
            return lambda stored: first_version_is_right(self._challenge[:8], stored, first[26:50])
        return None

    def _is_ours(self, challenge: bytes | None, size: int, answer: bytes) -> bool:
        """Whether challenge and identifier are the tunnel's own."""
        return challenge == self._challenge[:size] and answer[:1] == self._challenge[size : size + 1]

    def _mschapv2(self, pairs: Pairs, login: str, decide: Decide) -> bytes | Done:
        answer, name = pairs[_MS_SECOND], login.encode()
        if len(answer) != 50 or not self._is_ours(pairs.get(_MS_CHALLENGE), 16, answer):
            return refusal("wrong-credentials", "TTLS: the challenge inside is not this tunnel's", login)
        ours, peer, response = self._challenge[:16], answer[2:18], answer[26:50]
        stored = b""

        def proof(password: bytes) -> bool:
            nonlocal stored
            stored = password
            return response_is_right(ours, peer, name, password, response)

        done = Done(decide(login, proof), login)
        if not done.verdict.accepted:
            return done
        self._proven = done
        told = authenticator_response(ours, peer, name, stored, response)
        return avp.write(_MS_SUCCESS, answer[:1] + told, MICROSOFT)

    def _eap(self, raw: bytes, decide: Decide) -> bytes | Done:
        response = eap.read(raw)
        if response is None or response.code != eap.RESPONSE:
            return refusal("unsupported-method", "TTLS: damaged EAP inside")
        if self._inner is None:
            self._inner = Inner()
        request = self._inner.take(response, decide)
        if request is None:
            return Done(self._inner.verdict, self._inner.login)
        return avp.write(eap.EAP_MESSAGE, request)
