"""EAP inside a tunnel: an identity, then EAP-MSCHAPv2. The same in PEAP and TTLS."""

from aaa.accounting.record import clean
from aaa.eap import message as eap
from aaa.eap import mschapv2
from aaa.eap.judge import Decide
from aaa.radius.authenticate import Reason, Verdict


class Inner:
    """One login inside a tunnel. `take` gives the next EAP-Request, or None at the end: then `verdict` says."""

    def __init__(self) -> None:
        self.login, self.identifier = "", 0
        self.verdict: Verdict = Verdict(b"", "wrong-credentials", detail="the login inside was not finished")
        self._exchange: mschapv2.Exchange | None = None

    def begin(self) -> bytes:
        """The question for an identity."""
        return self._request(eap.IDENTITY, b"")

    def take(self, response: eap.Eap, decide: Decide) -> bytes | None:
        """The peer's response."""
        number = (self.identifier + 1) & 0xFF
        if self._exchange is None:
            if response.kind != eap.IDENTITY:
                self._over("no identity inside")
                return None
            self.login = clean(response.data)
            step = mschapv2.begin(number)
        elif response.identifier != self.identifier or response.kind != eap.MSCHAPV2:
            self._over(_unwanted(response))
            return None
        else:
            step = mschapv2.take(self._exchange, self.login, number, response.data, decide)
        return self._next(step)

    def _next(self, step: mschapv2.Step) -> bytes | None:
        self._exchange = step.exchange
        if step.verdict is not None:
            self.verdict = step.verdict
        if step.request:
            return self._request(eap.MSCHAPV2, step.request)
        if step.exchange.stage == "failure" and self.verdict.accepted:
            self._over("the client does not accept our proof of the password", "wrong-credentials")
        return None

    def _over(self, detail: str, reason: Reason = "unsupported-method") -> None:
        self.verdict = Verdict(b"", reason, detail=detail)

    def _request(self, kind: int, data: bytes) -> bytes:
        self.identifier = (self.identifier + 1) & 0xFF
        return eap.write(eap.REQUEST, self.identifier, kind, data)


def _unwanted(response: eap.Eap) -> str:
    wants = eap.told(response.data[0]) if response.kind == eap.NAK and response.data else "another method"
    return f"the client wants {wants} inside; EAP-MSCHAPV2 is what there is"
