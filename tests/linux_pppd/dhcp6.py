"""The BNG's IPv6 server with its files in a folder, and what its clients say in DHCPv6 (RFC 8415)."""

import struct
from pathlib import Path

from inventory.resolve import resolve_device
from renderers.linux_pppd.renderer import render
from tests.linux_pppd.network import Opened, reader

SOLICIT = 1
_NOTE = "pid=1\ngarden={}\nwan6=perth-wan6\npd={}\nlogin=s1\n"


def program(folder: Path) -> str:
    """The rendered program; what it reads and the socket `door` lie in the folder, which has no sessions yet."""
    files = render(resolve_device(reader(), "bng1"), Opened()).files
    (folder / "conf.json").write_text(files["/etc/trunkline/ipv6/conf.json"])
    (folder / "machine-id").write_text("00112233445566778899aabbccddeeff\n")
    (folder / "sessions").mkdir()
    text = files["/etc/trunkline/ipv6/server.py"]
    for old, new in (
        ("/etc/trunkline/ipv6/conf.json", "conf.json"),
        ("/etc/machine-id", "machine-id"),
        ("/run/trunkline/sessions", "sessions"),
        ("/run/trunkline/ipv6.sock", "door"),
    ):
        assert old in text
        text = text.replace(old, str(folder / new))
    return text


def note(folder: Path, interface: str, pd: str = "", garden: str = "leave") -> None:
    """What the session's hook writes of it: its delegated prefix, and whether it is held (`join`)."""
    (folder / "sessions" / interface).write_text(_NOTE.format(garden, pd))


def option(code: int, value: bytes) -> bytes:
    """A DHCPv6 option."""
    return struct.pack("!HH", code, len(value)) + value


def message(kind: int, *parts: bytes) -> bytes:
    """A message of transaction 0x010203 from a client."""
    return bytes([kind, 1, 2, 3]) + option(1, b"client") + b"".join(parts)


def ask(prefix: bytes = b"") -> bytes:
    """IA_PD 7, with a prefix that the client would like to have."""
    wish = option(26, struct.pack("!IIB", 0, 0, 56) + prefix) if prefix else b""
    return option(25, struct.pack("!III", 7, 0, 0) + wish)
