"""What a gateway can do. Plugins: a module of this folder for each `type`, with `connect(settings) -> Gateway`."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from billing.gateways.errors import GatewayUnknown
from billing.gateways.state import Fact
from intents.config.schema import GatewayUse
from intents.reader import Reader

Opener = Callable[[str, str], str]
"""(sealed, field in trunkline.yaml) -> the secret."""


KEY_LIVES = timedelta(hours=20)
"""For so long a gateway surely knows an idempotency key (Stripe: a day)."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that is asked for. `key` makes asking again the same charge; `amount` in minor units."""

    key: str
    customer: str
    method: str
    amount: int
    currency: str
    description: str


class Answer(msgspec.Struct, frozen=True):
    """What a gateway says of a charge: what it calls it, and facts."""

    reference: str
    facts: tuple[Fact, ...]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A stored method. `label`: for people; `currencies` it pays in (none: any); `wrong`: why it cannot be used."""

    label: str
    currencies: tuple[str, ...] = ()
    wrong: str = ""


class Giveback(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that is asked for. `total`: what goes back of the charge in all, with this one; a gateway that knows of
    another sum refuses.
    """

    key: str
    reference: str
    amount: int
    total: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A verified event. `attempt`: our key, where the charge carries it. `refund`: one whose facts are to be fetched.

    `mandate`: a stored method that has ended, or that `instead` takes the place of (itself: it is there again), `at`
    Unix seconds of the gateway's clock.
    """

    id: str
    kind: str
    reference: str = ""
    attempt: str = ""
    fact: Fact | None = None
    refund: str = ""
    mandate: str = ""
    instead: str = ""
    at: int = 0


class Gateway(Protocol):
    """A payment gateway. Network trouble is GatewaySilent: nobody knows what became of it; a key that it does not take
    is KeyRefused; what it will never do as it was asked is GatewayRefused.
    """

    def describe(self, customer: str, method: str) -> Stored:
        """What a customer's stored method is. One that the gateway does not know is GatewayRefused."""

    def charge(self, order: Order) -> Answer:
        """Take money off a customer's stored method, who is not there. A decline is a fact, no error."""

    def fetch(self, reference: str) -> Answer:
        """What is true of a charge now."""

    def find(self, order: Order) -> Answer | None:
        """What became of a charge whose answer was lost long ago, by our key; None: it never heard of it."""

    def refund(self, wanted: Giveback) -> Fact:
        """Give back a part of a charge; what became of it. The same key again is the same refund."""

    def find_refund(self, wanted: Giveback) -> Fact | None:
        """What became of a refund whose answer was lost long ago, by our key; None: it never heard of it."""

    def fetch_refund(self, reference: str) -> Answer:
        """What is true of a refund now, and of which charge it is."""

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[Told]:
        """What a webhook tells, its signature checked, and its age where it has one. Raises EventRefused."""

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """What happened from `since` until before `until`, with the ids that webhooks have: some of them get lost."""


def connect(reader: Reader, name: str, opened: Opener) -> Gateway:
    """The gateway of a name in trunkline.yaml. Raises GatewayUnknown."""
    config = reader.get("config", "trunkline")
    found: GatewayUse | None = None if config is None else config.gateways.get(name)
    if found is None:
        raise GatewayUnknown(name)
    module: Any = importlib.import_module(f"billing.gateways.{found.type}_gateway")
    key = opened(str(found.key), f"gateways.{name}.key")
    webhook = opened(str(found.webhook), f"gateways.{name}.webhook") if found.webhook else ""
    made: Gateway = module.connect(name, key, webhook, found.address or "")
    return made
