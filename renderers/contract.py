"""What a renderer is: a pure function from a resolved device and opened secrets to configuration.

A platform is a folder `renderers/<platform>/renderer.py` with `PLATFORM`, `ROLES` and
`render(model, secrets) -> Rendered`; templates lie in `<platform>/templates/*.j2`. A renderer never reads the
clock, the network or a file besides its templates.
"""

import hashlib
from typing import Any, Protocol

import msgspec

from core.errors import Terminal


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration of one device. `config` is what the driver loads; `files` (path on the device -> text) is for
    platforms whose configuration is files; `origins` maps a line number of `config` (from 1) to (template, line).
    """

    config: str = ""
    files: dict[str, str] = {}
    origins: dict[int, tuple[str, int]] = {}

    @property
    def digest(self) -> str:
        """SHA-256 over config and files: two equal digests are the same rendering."""
        parts = [self.config, *(f"{path}\0{text}" for path, text in sorted(self.files.items()))]
        return hashlib.sha256("\1".join(parts).encode()).hexdigest()


class WantedObject(msgspec.Struct, frozen=True, kw_only=True):
    """A subscriber object that should be on a device (lane 2); the reconciler makes a driver's ObjectOp of it.

    `key` names it on the device, `owner` is the line or service that wants it. `renderers.<platform>.objects`
    has `objects(line_id, line, services) -> list[WantedObject]` in the order in which they are built.
    """

    kind: str
    key: dict[str, Any]
    attributes: dict[str, Any] = {}
    owner: str = ""


class Secrets(Protocol):
    """Opens sealed values, or masks them: preview and CI get `<secret:path#key>`."""

    def open(self, sealed: str, path: str, key: str) -> str:
        """The clear text of `enc:v1:…` at `key` of the document at `path`; other text comes back unchanged."""
        ...


class Renderer(Protocol):
    """The contract of `renderers.<platform>.renderer`."""

    PLATFORM: str
    ROLES: frozenset[str]

    def render(self, model: Any, secrets: Secrets) -> Rendered: ...


class CannotRender(Terminal):
    """A device's intent asks for what its platform's templates do not do."""

    def __init__(self, device: str, why: str) -> None:
        super().__init__(f"{device} cannot be rendered: {why}")
