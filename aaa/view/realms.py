"""compile_realms: trunkline.yaml's realms and old server in, byte records out. Pure."""

from typing import Any

from aaa.view.compile import RADSEC_SECRET, Secrets
from aaa.view.records import OLD, Realm, ViewRecord, encode, realm_key
from intents.homes import Home
from intents.kinds import path_of
from intents.reader import Reader

OWNER = "config:trunkline"


def compile_realms(reader: Reader, secrets: Secrets) -> list[ViewRecord]:
    """A record for each realm that another server answers, and one for the old server. Raises what
    `secrets.open_secret` raises.
    """
    config = reader.get("config", "trunkline")
    if config is None:
        return []
    found = [_old(config.aaa.old, OLD, secrets, "proxy")] if config.aaa.old is not None else []
    for name, realm in config.aaa.realms.items():
        if realm.proxy:
            found.append(_proxied(name, realm, secrets))
        elif realm.moving != "none" and config.aaa.old is not None:
            found.append(_old(config.aaa.old, name, secrets, realm.moving))
    return sorted(found)


def _proxied(name: str, realm: Any, secrets: Secrets) -> ViewRecord:
    key = realm_key(name)
    record = Realm(
        servers=_servers(realm.proxy),
        secret=_secret(realm.secret, f"aaa.realms.{name}.secret", secrets, key),
        strip=realm.strip,
        allow=tuple(sorted(realm.allow)),
        require_ma=realm.message_authenticator == "require",
    )
    return ViewRecord(key, OWNER, encode(record))


def _old(old: Any, name: str, secrets: Secrets, mode: Any) -> ViewRecord:
    key = realm_key(name)
    record = Realm(
        servers=_servers(old.servers),
        secret=_secret(old.secret, "aaa.old.secret", secrets, key),
        mode=mode,
        old=True,
        fallback=old.fallback == "ours",
        copy=old.accounting == "copy",
        require_ma=old.message_authenticator == "require",
    )
    return ViewRecord(key, OWNER, encode(record))


def _servers(homes: tuple[Home, ...]) -> tuple[tuple[str, int, int, str], ...]:
    return tuple((home.host, home.auth_port, home.acct_port, home.transport) for home in homes)


def _secret(sealed: str | None, name: str, secrets: Secrets, key: bytes) -> bytes:
    if sealed is None:
        return secrets.seal.close(RADSEC_SECRET, key)
    return secrets.moved(sealed, path_of("config", "trunkline"), name, key)
