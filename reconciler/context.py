"""What the reconciler's parts share: settings, both databases, a reader of the index, opened secrets."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from core import crypto
from core.db import Database
from core.settings import Settings
from intents.reader import Reader, Recorded
from inventory.model import DeviceModel
from inventory.resolve import resolve_device
from renderers.contract import Rendered, Secrets
from renderers.registry import renderer_for

Read = tuple[str, str, str]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a lane needs; `with reader() as r` is a snapshot of the newest indexed revision."""

    settings: Settings
    db: Database
    index_db: Database
    reader: Callable[[], AbstractContextManager[Reader]]
    secrets: Secrets
    key: crypto.DataKey | None
    owner: str

    @property
    def keys(self) -> Path:
        """Where private keys for device logins lie."""
        return self.settings.home / "keys"


class Rendering(msgspec.Struct, frozen=True):
    """A rendering with the model it came from and what was read for it."""

    model: DeviceModel
    rendered: Rendered
    reads: frozenset[Read]
    reads_hash: str
    revision: str


def render_device(reader: Reader, device: str, secrets: Secrets) -> Rendering:
    """Render a device from a reader; a pure function of the repository. Raises DeviceMissing, CannotRender."""
    recorded = Recorded(reader)
    model = resolve_device(recorded, device)
    rendered = renderer_for(model.device.platform).render(model, secrets)
    reads = reads_of(recorded)
    values = [(read, _fingerprint(reader, read)) for read in sorted(reads)]
    digest = hashlib.sha256(msgspec.msgpack.encode(values)).hexdigest()
    return Rendering(model, rendered, reads, digest, reader.revision)


def reads_of(recorded: Recorded) -> frozenset[Read]:
    """What was read, as rows: ("get", kind, id), ("all", kind, ""), ("by:<kind>", named kind, named id)."""
    return frozenset(
        [("get", kind, identifier) for kind, identifier in recorded.documents]
        + [("all", kind, "") for kind in recorded.scans]
        + [(f"by:{by}", kind, identifier) for kind, identifier, by in recorded.named]
    )


def touched_by(kind: str, identifier: str, references: Iterable[tuple[str, str]]) -> set[Read]:
    """Every read that a change of this document can alter; `references` are what it names."""
    touched: set[Read] = {("get", kind, identifier), ("all", kind, "")}
    for named_kind, named in references:
        touched |= {(f"by:{kind}", named_kind, named), ("by:", named_kind, named)}
    return touched


def _fingerprint(reader: Reader, read: Read) -> str:
    what, kind, identifier = read
    if what == "get":
        return repr(reader.get(kind, identifier))
    if what == "all":
        return repr(list(reader.ids(kind)))
    return repr(list(reader.referrers(kind, identifier, what.removeprefix("by:") or None)))
