"""`radius override` on a node: what is known of the service here, and ending its session with nobody else's help."""

import msgspec

from aaa.accounting.record import OFF, ON, STOP, AccountingRecord
from aaa.coa import client
from aaa.radius.nases import entry_at
from aaa.support import LoginNotKnown, access_of, service_of
from aaa.vendors.registry import vendor
from aaa.view.lookup import View
from aaa.view.overlay import frames
from aaa.view.records import Wanted, decode, service_key
from aaa.view.seal import Seal
from core.errors import Terminal
from core.settings import Settings

LONGEST = 7 * 86400


class OverrideNotUsable(Terminal):
    """An override without a length, or one that nobody would remember."""

    def __init__(self) -> None:
        super().__init__("an override lasts longer than no time and at most 7 days, such as --for 24h")


class Cut(msgspec.Struct, frozen=True):
    """What became of a session that this node knows: the NAS, its session id, and its answer."""

    nas: str
    session: str
    outcome: str


def known_service(view: View, name: str) -> tuple[str, Wanted]:
    """The service that a service id, login, MAC or circuit-id means. Raises LoginNotKnown."""
    wanted = decode(view.lookup(service_key(name)), Wanted)
    if wanted is not None:
        return name, wanted
    service = service_of(view, name)
    wanted = decode(view.lookup(service_key(service)), Wanted)
    if wanted is None:
        raise LoginNotKnown(name)
    return service, wanted


def journalled(settings: Settings, service: str) -> list[AccountingRecord]:
    """Sessions of a service that began or went on while the database was away: the newest record of each."""
    found: dict[tuple[str, bytes], AccountingRecord] = {}
    decoder = msgspec.msgpack.Decoder(AccountingRecord)
    for path in sorted((settings.home / "radius" / "journal").glob("*.journal")):
        for record in map(decoder.decode, frames(path.read_bytes())):
            if record.kind in (ON, OFF):
                found = {key: one for key, one in found.items() if key[0] != record.nas}
            elif record.service == service:
                found[record.nas, record.session_id] = record
    return [one for one in found.values() if one.kind != STOP]


def is_restricted(wanted: Wanted) -> bool:
    """Whether an override changes anything now."""
    return wanted.policy is None or bool(wanted.holds or wanted.limits or wanted.policy.garden)


def free_hash(view: View, name: str, wanted: Wanted) -> str:
    """The policy that the service has while nothing restricts it: whoever has it already is not disturbed."""
    if not is_restricted(wanted):
        return wanted.policy_hash
    free = access_of(view, name).free
    return free.policy_hash if free is not None else ""


def cut(settings: Settings, view: View, record: AccountingRecord, waits: tuple[float, ...]) -> Cut:
    """Ask the session's NAS to end it, from here: its redial gets the free policy. Says what the NAS answered."""
    nas = entry_at(view.lookup, Seal.of(settings.home), record.source)
    shown = record.session_id.decode("utf-8", "replace")
    if nas is None:
        return Cut(record.nas, shown, "not ended: this node does not know the NAS")
    if not vendor(nas.vendor).coa.disconnect:
        return Cut(
            record.nas, shown, f"not ended: {nas.vendor} takes no Disconnect-Request; it must redial itself"
        )
    identity = client.identity_of(nas, record.session_id, record.login, record.framed_address)
    return Cut(record.nas, shown, client.disconnect(nas, identity, waits=waits).meaning)
