"""What is answered later: by whom, and how the reply finds its way back to the NAS.

The answering thread decides what it can from memory. EAP, MS-CHAP and requests for somebody else's realm take a
conversation or a wait: they go to a handler on another thread, which answers when it can.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet
from aaa.radius.request import Asked


class Answer(msgspec.Struct, frozen=True):
    """A reply and when it may go: an Access-Reject waits (`delayed`). `through`: accounting that somebody else is to
    know of; its settling goes through this. `told`: whoever decided has counted it already.
    """

    reply: bytes
    delayed: bool = False
    told: bool = False
    through: Callable[[Callable[[bool], None]], Callable[[bool], None]] | None = None


class Pass(msgspec.Struct, frozen=True):
    """The conversation is held by another worker of this node: it gets the datagram, and answers it from its own
    socket of the shared port. `otherwise` goes when it cannot be reached.
    """

    worker: str
    otherwise: Answer


class Ask(msgspec.Struct, frozen=True):
    """A verified request: its NAS, the secret that signed or hid it, and what it asks (None for accounting)."""

    packet: Packet
    nas: NasEntry
    secret: bytes
    asked: Asked | None = None


Respond = Callable[[Answer | Pass | None], None]
"""Called once, from any thread; None: no answer, and a retransmission is a new chance."""


class Handler(Protocol):
    """Answers some requests away from the answering thread."""

    def handle(self, ask: Ask, respond: Respond) -> None:
        """Answer now or later; never raises for what a stranger sent."""


class Deferred(msgspec.Struct, frozen=True):
    """A request that a handler takes over. `quick`: it only hands it on, and needs no thread of its own for that."""

    handler: Handler
    ask: Ask
    quick: bool = False
