"""What trunkline.yaml shows to be wrong by itself: days, and realms that cannot be asked for elsewhere."""

from collections.abc import Iterator
from datetime import date

from intents.config.schema import Config, Mail, Realm, Sms
from intents.homes import Home
from intents.kind import Complaint, Field, far_off

_REALMS = ("aaa", "realms")
_OLD = ("aaa", "old")


def complaints(config: Config) -> Iterator[Complaint]:
    """Days that are none; proxying without a server or secret, to ourselves, or from an old server nobody names."""
    yield from _since("mail", config.mail)
    yield from _since("sms", config.sms)
    for name, realm in config.aaa.realms.items():
        yield from _realm(config, name, realm)
    old = config.aaa.old
    if old is None:
        return
    if not old.servers:
        yield Complaint("realm.server", (*_OLD, "servers"), "`aaa.old` names no server to move in from")
    yield from _asked(config, old.servers, old.secret is not None, (*_OLD, "servers"), "aaa.old.secret")


def _since(name: str, sender: Mail | Sms | None) -> Iterator[Complaint]:
    if sender is None:
        return
    try:
        yield from far_off((name, "since"), date.fromisoformat(sender.since))
    except ValueError:
        yield Complaint("value.format", (name, "since"), f"'{sender.since}' is no day of the calendar")


def _realm(config: Config, name: str, realm: Realm) -> Iterator[Complaint]:
    place = (*_REALMS, name)
    yield from _asked(
        config, realm.proxy, realm.secret is not None, (*place, "proxy"), f"aaa.realms.{name}.secret"
    )
    if realm.moving != "none" and realm.proxy:
        message = (
            f"realm {name} is proxied for good and moving in at once; one server must be the one that answers"
        )
        yield Complaint("realm.moving", (*place, "moving"), message, "take out `proxy` or `moving`")
    if realm.moving != "none" and config.aaa.old is None:
        message = f"realm {name} is moving, but `aaa.old` does not say from where"
        yield Complaint("realm.moving", (*place, "moving"), message, "add aaa.old: {servers: […], secret: …}")
    for field in ("strip", "allow"):
        if getattr(realm, field) and not realm.proxy:
            message = f"`{field}` says how realm {name} is proxied, and it has no `proxy`"
            yield Complaint("realm.server", (*place, field), message, "name the servers in `proxy`")


def _asked(
    config: Config, homes: tuple[Home, ...], secret: bool, place: Field, name: str
) -> Iterator[Complaint]:
    if any(home.transport == "udp" for home in homes) and not secret:
        hint = f"seal it with `trunkline secret seal trunkline.yaml {name}`"
        yield Complaint("realm.secret", place, "a RADIUS server that is asked by UDP needs a secret", hint)
    ours = {
        (str(address), port)
        for server in config.aaa.servers
        for address in (server.address, server.also)
        for port in (server.auth_port, server.acct_port)
        if address is not None
    }
    for index, home in enumerate(homes):
        if home.transport == "udp" and {(home.host, home.auth_port), (home.host, home.acct_port)} & ours:
            message = (
                f"{home} is one of our own servers (aaa.servers): a request would come back to us for ever"
            )
            yield Complaint("realm.loop", (*place, index), message, "name the other operator's server")
