"""Plans for people: what an apply would change on a device, against its last apply or against the device itself.

No secret is ever in a plan: each stands as `<secret:path#key>`, what else looks like one is redacted.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from core import leases, logs
from core.errors import TrunklineError
from drivers import registry
from intents.reader import Reader
from inventory.errors import DeviceMissing
from reconciler import baselines, device_io, runs, topology
from reconciler.context import Context, Rendering, render_device
from reconciler.difference import difference
from reconciler.pausing import NothingIndexed
from reconciler.secrets import MaskedSecrets
from reconciler.targets import target_of
from renderers.contract import Secrets

_LEASE_SECONDS = 300.0
_HIDDEN = re.compile(r"<secret:[^>]*>")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would change. `against`: the commit of the last apply, "device", or "" (never applied: all is new).

    `why`: why there is no plan (cannot be rendered, unreachable). `paused`, `manage: observe`: it would not be written.
    """

    device: str
    revision: str
    manage: str = ""
    platform: str = ""
    revert: str = ""
    against: str = ""
    diff: str = ""
    why: str = ""

    @property
    def would_write(self) -> bool:
        """Whether an apply would change something on the device."""
        return bool(self.diff) and self.manage != "observe"


def plan(context: Context, devices: Sequence[str] = (), *, live: bool = False) -> Iterator[Plan]:
    """A plan of every named device, or of all managed ones. Raises NothingIndexed, and DeviceMissing before any."""
    with context.reader() as reader:
        if not reader.revision:
            raise NothingIndexed
        for device in devices:
            if reader.get("device", device) is None:
                raise DeviceMissing(device, reader.revision)
        for device in sorted(set(devices)) or topology.managed(reader):
            yield _plan(context, reader, device, live)


def _plan(context: Context, reader: Reader, device: str, live: bool) -> Plan:
    value = reader.get("device", device)
    made = Plan(device=device, revision=reader.revision, manage=value.manage, platform=value.platform)
    try:
        made = msgspec.structs.replace(made, revert=registry.capabilities(value.platform).revert)
        secrets = Remembering(context.secrets)
        rendering = render_device(reader, device, secrets)
        masked = render_device(reader, device, MaskedSecrets()).rendered.config
        against, diff = _live(context, reader, rendering) if live else _recorded(context, rendering)
    except TrunklineError as error:
        return msgspec.structs.replace(made, why=str(error))
    return msgspec.structs.replace(made, against=against, diff=secrets.hidden(diff, masked))


def _recorded(context: Context, rendering: Rendering) -> tuple[str, str]:
    last = baselines.last_applied(context.db, rendering.model.id, context.key)
    if last is None:
        return "", difference("", rendering.rendered.config).text
    return last.commit_id, difference(last.candidate, rendering.rendered.config).text


def _live(context: Context, reader: Reader, rendering: Rendering) -> tuple[str, str]:
    target = target_of(rendering.model, reader.get("config", "trunkline"), context.secrets, context.keys)
    with _leased(context, rendering.model.id), registry.opened(target) as driver:
        device_io.load(driver, rendering)
        diff = driver.compare_config()
        driver.discard_config()
    return "device", diff


@contextmanager
def _leased(context: Context, device: str) -> Iterator[None]:
    """The device is ours alone meanwhile: a plan never disturbs a commit. Raises LeaseHeld."""
    owner = f"plan {context.owner} {os.getpid()}"
    with context.db.write() as conn:
        leases.take(conn, runs.lease_name(device), owner, _LEASE_SECONDS)
    try:
        yield
    finally:
        with context.db.write() as conn:
            leases.release(conn, runs.lease_name(device), owner)


class Remembering:
    """Opens secrets and knows afterwards which clear text to hide behind which mask."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._masks: dict[str, str] = {}

    def open(self, sealed: str, path: str, key: str) -> str:
        """The clear text."""
        clear = self._secrets.open(sealed, path, key)
        if clear != sealed:
            self._masks[clear] = f"<secret:{path}#{key}>"
        return clear

    def hidden(self, text: str, masked: str) -> str:
        """The text without any secret. `masked` is the same rendering with masks: a line that is like one of its
        lines but for the secret had an older secret there.
        """
        for clear in sorted(self._masks, key=len, reverse=True):
            text = text.replace(clear, self._masks[clear])
        older = [(_like(line), line) for line in sorted(set(masked.splitlines())) if "<secret:" in line]
        return "\n".join(_without(line, older) for line in text.splitlines())


def _like(line: str) -> re.Pattern[str]:
    parts = _HIDDEN.split(line.strip())
    return re.compile(r"\s*" + r"\S+".join(map(re.escape, parts)) + r"\s*")


def _without(line: str, older: list[tuple[re.Pattern[str], str]]) -> str:
    if "<secret:" in line:
        return line
    sign, rest = line[:1], line[1:]
    for pattern, masked in older:
        if pattern.fullmatch(rest):
            return f"{sign}{_HIDDEN.sub('<older secret>', masked)}"
    redacted: str = logs.redact(line)
    return redacted
