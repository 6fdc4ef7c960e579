"""Errand: one request on its way to some server, and the reply that it is to bring."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from aaa.proxy.lanes import Lane
from aaa.proxy.rewrite import Signed
from aaa.radius.packet import Packet

if TYPE_CHECKING:
    from aaa.proxy.homes import HomeServer

_log = structlog.get_logger()


class Reply(msgspec.Struct, frozen=True):
    """A verified reply, with what it was signed and hidden with."""

    packet: Packet
    secret: bytes
    authenticator: bytes
    home: "HomeServer"


class Errand:
    """One request. `make(secret, identifier)` signs it (None: it cannot be sent); `done` is called once."""

    __slots__ = (
        "asked", "authenticator", "codes", "datagram", "deadline", "done", "home", "homes", "identifier",
        "lane", "make", "probe", "state", "timer", "tries",
    )  # fmt: skip

    def __init__(
        self,
        homes: Sequence["HomeServer"],
        make: Callable[[bytes, int], Signed | None],
        done: Callable[[Reply | None], None],
        codes: frozenset[int],
        state: bytes = b"",
        probe: bool = False,
    ) -> None:
        self.homes, self.make, self.done, self.codes = homes, make, done, codes
        self.state, self.probe = state, probe
        self.asked: list[HomeServer] = []
        self.home: HomeServer | None = None
        self.lane: Lane | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.identifier, self.tries, self.deadline = 0, 0, 0.0
        self.datagram = self.authenticator = b""

    def finish(self, reply: Reply | None) -> None:
        """Hand over what came of it; a mistake in there costs this request alone, not the loop."""
        if self.timer is not None:
            self.timer.cancel()
        try:
            self.done(reply)
        except Exception as error:
            _log.error("a reply of another server could not be used", error=repr(error))
