"""One message to one server: what it says is sent, not now, or refused for good (RFC 5321, RFC 6409)."""

import smtplib
import ssl
from email import policy
from email.message import EmailMessage

import msgspec

from billing.mailing.errors import NotNow, Refused

_WIRE = policy.SMTP.clone(cte_type="7bit")
"""Lines end as SMTP wants it, and nothing has eight bits: every server takes it."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail is handed in. `security`: starttls | tls | none; `timeout` in seconds."""

    host: str
    port: int
    security: str = "starttls"
    user: str = ""
    password: str = ""
    timeout: float = 30
    trust: ssl.SSLContext | None = None
    """Whom to trust; None: the machine's authorities."""

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"


def send(server: Server, message: EmailMessage, sender: str, recipient: str) -> str:
    """Hand it in and return what the server said. Raises NotNow, Refused.

    A login that is refused is our mistake, not the customer's address: it is tried again until somebody mends it.
    """
    try:
        with _connected(server) as smtp:
            if server.user:
                smtp.login(server.user, server.password)
            return _handed_in(smtp, message, sender, recipient)
    except smtplib.SMTPAuthenticationError as error:
        raise NotNow(
            f"{error.smtp_code} the login of {server.user} is refused; see mail in trunkline.yaml"
        ) from error
    except smtplib.SMTPResponseException as error:
        raise NotNow(_said(error.smtp_code, error.smtp_error, recipient)) from error
    except (smtplib.SMTPException, OSError, EOFError) as error:
        raise NotNow(f"{type(error).__name__} at {server.host}:{server.port}") from error


def _connected(server: Server) -> smtplib.SMTP:
    trust = server.trust or ssl.create_default_context()
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=trust)
    smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    if server.security == "starttls":
        try:
            smtp.starttls(context=trust)  # without it nothing is said: neither password nor letter
        except BaseException:
            smtp.close()
            raise
    return smtp


def _handed_in(smtp: smtplib.SMTP, message: EmailMessage, sender: str, recipient: str) -> str:
    smtp.ehlo_or_helo_if_needed()
    _require(*smtp.mail(sender), recipient, address=False)
    _require(*smtp.rcpt(recipient), recipient, address=True)
    code, text = smtp.data(message.as_bytes(policy=_WIRE))
    _require(code, text, recipient, address=False)
    return _said(code, text, recipient)


def _require(code: int, text: bytes, recipient: str, *, address: bool) -> None:
    if code >= 500:
        raise Refused(_said(code, text, recipient), recipient=address)
    if code >= 400 or code < 200:
        raise NotNow(_said(code, text, recipient))


def _said(code: int, text: bytes | str, recipient: str) -> str:
    """The server's words for the log, without the address."""
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(told.split())}".replace(recipient, "(the address)")[:400]
