"""Another RADIUS server as it stands in an intent: `10.9.0.1`, `10.9.0.2:1645`, `radsec:radius.example`."""

import ipaddress
import re
from typing import Self

from intents.scalar import Scalar

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\.?")
_PORTS = re.compile(r"([0-9]{1,5})(?:/([0-9]{1,5}))?")
_AUTH, _RADSEC = 1812, 2083


class Home(Scalar, str):
    """A RADIUS server of somebody else, or our old one. By UDP an address, `:port` for another authentication port
    (accounting is the next one) or `:auth/acct` for both; `radsec:host[:port]` by TLS (RFC 6614).
    """

    __slots__ = ()
    expects = (
        "a RADIUS server such as 10.9.0.1, 10.9.0.2:1645, [2001:db8::1]:1812/1813 or radsec:radius.example"
    )

    @classmethod
    def parse(cls, value: object) -> Self:
        """The server in its canonical spelling. Raises ValueError."""
        if not isinstance(value, str) or (found := _read(value)) is None:
            raise cls.wrong(value)
        return cls(_written(*found))

    @property
    def transport(self) -> str:
        """`udp` or `radsec`."""
        return "radsec" if self.startswith("radsec:") else "udp"

    @property
    def host(self) -> str:
        """Address, or the name that its certificate has to show."""
        return self._parts[0]

    @property
    def auth_port(self) -> int:
        """Where Access-Requests go."""
        return self._parts[1]

    @property
    def acct_port(self) -> int:
        """Where Accounting-Requests go; with RadSec the same."""
        return self._parts[2]

    @property
    def text(self) -> str:
        return str(self)

    @property
    def _parts(self) -> tuple[str, int, int]:
        found = _read(str(self))
        assert found is not None
        return found[1:]


def _read(text: str) -> tuple[str, str, int, int] | None:
    """(transport, host, auth port, acct port), or None for what is no server."""
    radsec = text.startswith("radsec:")
    host, ports = _split(text.removeprefix("radsec:"))
    if not _is_host(host, names=radsec):
        return None
    auth, acct = _ports(ports, radsec)
    if not (1 <= auth <= 65535 and 1 <= acct <= 65535):
        return None
    return "radsec" if radsec else "udp", host, auth, acct


def _split(text: str) -> tuple[str, str]:
    """Host and what follows its colon; an IPv6 address with a port stands in brackets."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return (host, rest.removeprefix(":")) if bracket and (not rest or rest[:1] == ":") else ("", "")
    if text.count(":") > 1:
        return text, ""
    host, _colon, ports = text.partition(":")
    return (host, ports) if ports or not _colon else ("", "")


def _is_host(host: str, names: bool) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return names and _NAME.fullmatch(host) is not None
    return "%" not in host


def _ports(text: str, radsec: bool) -> tuple[int, int]:
    if not text:
        return (_RADSEC, _RADSEC) if radsec else (_AUTH, _AUTH + 1)
    found = _PORTS.fullmatch(text)
    if found is None or (radsec and found[2]):
        return 0, 0
    auth = int(found[1])
    return auth, auth if radsec else int(found[2] or auth + 1)


def _written(transport: str, host: str, auth: int, acct: int) -> str:
    with_port = f"[{host}]" if ":" in host else host
    if transport == "radsec":
        return f"radsec:{host}" if auth == _RADSEC else f"radsec:{with_port}:{auth}"
    if (auth, acct) == (_AUTH, _AUTH + 1):
        return host
    return f"{with_port}:{auth}" if acct == auth + 1 else f"{with_port}:{auth}/{acct}"
