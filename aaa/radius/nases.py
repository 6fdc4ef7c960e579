"""The NAS table of a worker: source address -> secrets and rules, from the view, effective without a restart."""

from collections.abc import Callable

import msgspec

from aaa.errors import SecretNotOpenable
from aaa.view.lookup import View
from aaa.view.models import effective
from aaa.view.records import Nas, decode, nas_key
from aaa.view.seal import Seal
from core.db import Database


class NasEntry(msgspec.Struct, frozen=True):
    """A NAS as RADIUS sees it; secrets in clear, only in memory. `secrets[0]` is the one that we send with."""

    device: str
    source: str
    vendor: str
    secrets: tuple[bytes, ...]
    require_ma: bool
    legacy: bool
    coa_port: int
    coa_rate: int
    interim: int
    moving: str = ""
    """`shadow` or `proxy` while its old RADIUS server answers it."""

    def __repr__(self) -> str:
        return f"NasEntry({self.device} at {self.source})"


class NasTable:
    """NAS entries by the address that a datagram came from. Never by what the packet says of itself."""

    def __init__(self, view: View, seal: Seal) -> None:
        self._view, self._seal = view, seal
        self._known: dict[str, NasEntry | None] = {}
        view.on_change(self._changed)

    def at(self, source: str) -> NasEntry | None:
        """The NAS at a source address as the socket gives it; None: unknown, drop."""
        known = self._known  # what was read before a change stays with what was known before it
        try:
            return known[source]
        except KeyError:
            if len(known) > 10_000:  # strangers must not fill our memory
                known.clear()
            found = known[source] = entry_at(self._view.lookup, self._seal, source)
            return found

    def _changed(self, key: bytes, _record: bytes | None) -> None:
        if key[:2] == b"n:":
            self._known = {}


def entry_at(lookup: Callable[[bytes], bytes | None], seal: Seal, source: str) -> NasEntry | None:
    """Read one NAS out of the view (`View.lookup`); None when it is not there or its secrets cannot be opened."""
    key = nas_key(source.split("%")[0])
    record = decode(lookup(key), Nas)
    if record is None:
        return None
    try:
        secrets = tuple(seal.open(secret, key) for secret in record.secrets)
    except SecretNotOpenable:
        return None
    return NasEntry(
        device=record.device,
        source=key[2:].decode(),
        vendor=record.vendor,
        secrets=secrets,
        require_ma=record.require_ma,
        legacy=record.legacy,
        coa_port=record.coa_port,
        coa_rate=record.coa_rate,
        interim=record.interim,
        moving=record.moving,
    )


def nas_of(index_db: Database, seal: Seal, source: str) -> NasEntry | None:
    """The same out of the derived database, for whoever sends CoA: the session's `source` names the NAS."""
    with index_db.read() as conn:
        return entry_at(lambda key: effective(conn, key), seal, source)
