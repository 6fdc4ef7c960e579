"""EAP inside a tunnel: an identity, then EAP-MSCHAPv2. The same in PEAP and TTLS."""

from aaa.eap import message as eap
from aaa.eap import mschapv2
from aaa.eap.judge import Decide
from aaa.radius.authenticate import Verdict


class Inner:
    """One login inside a tunnel. `take` gives the next EAP-Request, or None at the end: then `verdict` says."""

    def __init__(self) -> None:
        self.login, self._identifier = "", 0
        self.verdict: Verdict = Verdict(b"", "wrong-credentials", detail="the login inside was not finished")
        self._exchange: mschapv2.Exchange | None = None

    def begin(self) -> bytes:
        """The question for an identity."""
        return self._request(eap.IDENTITY, b"")

    def take(self, response: eap.Eap, decide: Decide) -> bytes | None:
        """The peer's response."""
        if self._exchange is None:
            if response.kind != eap.IDENTITY:
                return self._over("no identity inside")
            self.login = response.data.decode("utf-8", "replace")
            step = mschapv2.begin(self._identifier + 1)
        elif response.identifier != self._identifier or response.kind != eap.MSCHAPV2:
            wants = eap.told(response.data[0]) if response.kind == eap.NAK and response.data else "another method"
            return self._over(f"the client wants {wants} inside; EAP-MSCHAPV2 is what there is")
        else:
            number = self._identifier + 1
            step = mschapv2.take(self._exchange, self.login, number & 0xFF, response.data, decide)
        self._exchange = step.exchange
        if step.verdict is not None:
            self.verdict = step.verdict
        if step.request:
            return self._request(eap.MSCHAPV2, step.request)
        if step.exchange.stage == "failure" and self.verdict.accepted:
            return self._over("the client does not accept our proof of the password")
        return None

    def _over(self, detail: str) -> None:
        reason = "wrong-credentials" if "proof" in detail else "unsupported-method"
        self.verdict = Verdict(b"", reason, detail=detail)  # type: ignore[arg-type]

    def _request(self, kind: int, data: bytes) -> bytes:
        self._identifier = (self._identifier + 1) & 0xFF
        return eap.write(eap.REQUEST, self._identifier, kind, data)
