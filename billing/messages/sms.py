"""One text message to one gateway: what it says is sent, not now, or refused for good."""

import hashlib
import hmac

import httpx
import msgspec

from billing.calls.errors import NumberNotUsable
from billing.calls.numbers import e164
from billing.mailing.errors import NotNow, Refused
from billing.messages.errors import SmsNotUsable
from intents.config.schema import Sms

SIGNATURE = "X-Trunkline-Signature"
_HERE = ("127.0.0.1", "localhost")
LONGEST = 480
"""Three parts of a message that is not in ASCII and more of one that is: longer ones are cut."""


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Where text messages are handed in, its secrets opened. `country`: the calling code of numbers without one."""

    url: str
    sender: str
    header: str = "Authorization"
    token: str = ""
    signing: str = ""
    country: str = ""
    trunk: str = "0"
    timeout: float = 10

    def __repr__(self) -> str:
        return f"Gateway({self.url})"

    @classmethod
    def of(cls, found: Sms, token: str, signing: str) -> "Gateway":
        """As trunkline.yaml says. Raises SmsNotUsable: text messages do not go over a wire in clear."""
        address = httpx.URL(str(found.url))
        if address.scheme != "https" and address.host not in _HERE:
            raise SmsNotUsable(f"'{found.url}' is no https address")
        return cls(
            url=str(found.url), sender=str(found.sender), header=str(found.header), token=token, signing=signing,
            country=str(found.country or ""), trunk=str(found.trunk), timeout=found.timeout,
        )  # fmt: skip


def number_of(gateway: Gateway, phone: str) -> str:
    """A telephone number as the gateway wants it, with a plus; empty where it is none."""
    try:
        plain = e164(phone, gateway.country, gateway.trunk)
    except NumberNotUsable:
        return ""
    national = not phone.strip().startswith(("+", "00")) and not plain.startswith(gateway.country or "-")
    return "" if national or len(plain) < 7 else f"+{plain}"


def send(gateway: Gateway, key: str, number: str, text: str) -> str:
    """Hand it in under an idempotency key and return what the gateway said. Raises NotNow, Refused.

    A login that is refused is our mistake, not the customer's number: it is tried again until somebody mends it.
    """
    body = msgspec.json.encode({"id": key, "to": number, "from": gateway.sender, "text": text[:LONGEST]})
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    if gateway.token:
        bearer = gateway.header.lower() == "authorization" and " " not in gateway.token
        headers[gateway.header] = f"Bearer {gateway.token}" if bearer else gateway.token
    if gateway.signing:
        digest = hmac.new(gateway.signing.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    try:
        said = httpx.post(
            gateway.url, content=body, headers=headers, timeout=gateway.timeout, follow_redirects=False
        )
    except httpx.HTTPError as error:
        raise NotNow(f"{type(error).__name__} at {httpx.URL(gateway.url).host}") from error
    reply = _said(said, number)
    if said.is_success or said.status_code == 409:  # 409: it has a message of this key already
        return reply
    if said.status_code in (401, 403, 408, 425, 429) or said.status_code >= 500:
        raise NotNow(reply)
    raise Refused(reply, recipient=said.status_code in (404, 410, 422))


def _said(said: httpx.Response, number: str) -> str:
    """The gateway's words for the log, without the number."""
    text = " ".join(said.text[:2000].split())
    for one in (number, number[1:]):
        text = text.replace(one, "(the number)") if len(one) > 4 else text
    return f"{said.status_code} {text}".strip()[:400]
