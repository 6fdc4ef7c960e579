"""Tax engines: somebody else's program that knows the rates of a tax profile. A plugin by its name.

An installation's own is a function that is registered with `@engines.provides("name")` by a package whose entry point
is in the group `trunkline.tax_engines`. An engine is asked by a job, never within a run; its answer is kept.
"""

import importlib.metadata
from collections.abc import Callable
from datetime import date
from typing import Any, Protocol

import httpx
import msgspec

from billing.taxing.errors import EngineNotUsable, EngineSilent

GROUP = "trunkline.tax_engines"
_SECONDS = 5.0


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is asked: the rate of a category for an account on a day. The place is the invoice's."""

    account: str
    profile: str
    category: str
    on: date
    currency: str
    country: str = ""
    postcode: str = ""
    city: str = ""


class Answer(msgspec.Struct, frozen=True):
    """`millionths`: 10% is 100,000. `reference`: what the engine calls this answer."""

    millionths: int
    reference: str = ""


class Engine(Protocol):
    """Answers a question, within seconds. Raises EngineSilent where asking again may help, else EngineNotUsable."""

    def rate(self, question: Question) -> Answer:
        """The rate."""


Maker = Callable[[dict[str, Any]], Engine]
"""Makes an engine of its settings."""
_MAKERS: dict[str, Maker] = {}


def provides(name: str) -> Callable[[Maker], Maker]:
    """Register the decorated maker under a name."""

    def register(maker: Maker) -> Maker:
        _MAKERS[name] = maker
        return maker

    return register


def make(name: str, settings: dict[str, Any]) -> Engine:
    """An engine by its name. Raises EngineNotUsable."""
    if name not in _MAKERS:
        for found in importlib.metadata.entry_points(group=GROUP, name=name):
            found.load()
    if name not in _MAKERS:
        raise EngineNotUsable(name, f"nobody provides it; there are {', '.join(sorted(_MAKERS))}")
    return _MAKERS[name](settings)


class HttpEngine:
    """Asks over HTTP: the question as JSON, the answer `{"rate_millionths": 88750, "reference": "…"}`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._url, self._token = str(settings.get("url", "")), str(settings.get("token", ""))
        self._seconds = float(settings.get("timeout", _SECONDS))
        if not self._url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise EngineNotUsable("http", f"'{self._url}' is no https address")

    def rate(self, question: Question) -> Answer:
        """Ask. Raises EngineSilent, EngineNotUsable."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            said = httpx.post(
                self._url, content=msgspec.json.encode(question), headers=headers, timeout=self._seconds
            )
        except httpx.HTTPError as error:
            raise EngineSilent("http", type(error).__name__) from error
        if said.status_code >= 500 or said.status_code == 429:
            raise EngineSilent("http", f"status {said.status_code}")
        if said.status_code != 200:
            raise EngineNotUsable("http", f"it refuses the question with status {said.status_code}")
        try:
            read = msgspec.json.decode(said.content, type=_Said)
        except msgspec.MsgspecError as error:
            raise EngineNotUsable("http", f"its answer is not understood: {error}") from error
        if not 0 <= read.rate_millionths <= 10_000_000:
            raise EngineNotUsable("http", f"{read.rate_millionths} millionths is no rate")
        return Answer(read.rate_millionths, read.reference[:120])


class _Said(msgspec.Struct):
    rate_millionths: int
    reference: str = ""


@provides("http")
def _http(settings: dict[str, Any]) -> Engine:
    return HttpEngine(settings)
