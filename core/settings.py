"""Settings are read once, into one frozen object, and passed down.

Every setting can be given as an environment variable `TRUNKLINE_<NAME>` or in `<home>/settings.toml`;
the environment wins. Paths that are not given derive from `home`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.errors import Terminal


class SettingNotUsable(Terminal):
    """A setting has a value that we cannot use."""

    def __init__(self, name: str, value: object, why: str) -> None:
        super().__init__(f"setting {name}={value!r} is not usable: {why}")


class HomeNotThere(Terminal):
    """Somebody asks an installation that is not there, by a mistyped folder for instance."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"there is no installation at {home}: say which folder it has with --home or TRUNKLINE_HOME"
        )


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this installation runs. Times in seconds, ports 0 = any free one."""

    home: Path
    """The folder that holds everything this node writes."""
    database_url: str
    """Recorded state: `sqlite:///…` or `postgresql+psycopg://…`."""
    index_url: str
    """Derived state (index, AAA view): own SQLite file, or the same PostgreSQL (schema `derived`)."""
    repository: Path
    """The bare network repository: the authority for trunk."""
    trunk: str = "main"
    """The branch that runs the network."""
    forge_url: str = ""
    """A forge that mirrors trunk and whose merged pull requests are taken in; empty: none."""
    key_file: Path
    """The repository's data key, wrapped by age; absent: nothing sealed can be opened."""
    identity_file: Path
    """The age identity that opens `key_file`."""
    roles: tuple[str, ...] = ("api", "reconciler", "committer", "indexer", "radius", "worker")
    """Which parts this process runs."""
    api_host: str = "127.0.0.1"
    """Address that the API and the console listen on."""
    api_port: int = 8080
    """Port that the API and the console listen on."""
    radius_host: str = "127.0.0.1"
    """Address that RADIUS listens on."""
    radius_auth_port: int = 1812
    """Access-Request port (RFC 2865)."""
    radius_acct_port: int = 1813
    """Accounting-Request port (RFC 2866)."""
    radius_radsec_port: int = 2083
    """RADIUS over TLS (RFC 6614); nothing listens without `<home>/radius/tls/{ca.pem,server.pem,server.key}`."""
    radius_workers: int = 1
    """RADIUS processes that share the ports."""
    radius_metrics_host: str = "127.0.0.1"
    """Address of a node's own metrics, which have no login: a management address, never a public one."""
    radius_metrics_port: int | None = None
    """Port of a node's own Prometheus metrics, for nodes without the API; absent: none."""
    radius_log_logins: bool = False
    """Write down each accepted login (when, who, at which NAS), as some laws ask; refused ones always are."""
    radius_eap_methods: tuple[str, ...] = ("peap", "ttls", "tls")
    """EAP methods by preference: `peap`, `ttls`, `tls`; without a tunnel, `mschapv2` and `md5`."""
    webhook_secret: str = ""
    """Shared secret of the forge's webhook (HMAC-SHA256); empty: webhooks are refused."""
    node: str = "node1"
    """This node's name in worker positions, leases and receipts."""
    retention_sessions: int = 30
    """Days after its end until a session becomes history (what is not needed to trace an address goes); 0: never."""
    retention_addresses: int = 365
    """Days after a session's end that its history is kept: who had which address when. The law says how many; 0: for
    ever."""
    retention_refusals: int = 30
    """Days that refused logins are kept; 0: for ever."""
    retention_logins: int = 30
    """Days that accepted logins are kept where `radius_log_logins` has them written down; 0: for ever."""
    retention_usage_days: int = 400
    """Days that usage is kept by day; then it is added up by month. 0: for ever."""
    retention_usage_months: int = 3650
    """Days that usage by month is kept; 0: for ever."""
    log_format: str = "console"
    """`console` or `json`."""
    test_mode: bool = False
    """Fault points may act (never in production)."""

    @classmethod
    def load(
        cls, home: Path | str | None = None, env: Mapping[str, str] = os.environ, **given: Any
    ) -> "Settings":
        """Read `<home>/settings.toml` and the environment; `given` wins over both.

        Raises SettingNotUsable with the setting's name.
        """
        base = Path(home or env.get("TRUNKLINE_HOME") or "var").absolute()
        if base.exists() and not base.is_dir():
            raise SettingNotUsable("home", str(base), "it is a file; name a folder")
        values: dict[str, Any] = _defaults(base) | _from_file(base) | _from_environment(env) | given
        values["home"] = base
        try:
            made = msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingNotUsable("settings.toml or environment", str(base), str(error)) from error
        known = next(field.default for field in msgspec.structs.fields(cls) if field.name == "roles")
        if not made.roles or not set(made.roles) <= set(known):  # a misspelt role would serve nothing
            raise SettingNotUsable("roles", ",".join(made.roles), f"name some of {', '.join(known)}")
        return made

    @classmethod
    def there(cls, home: Path | str | None = None) -> "Settings":
        """The same of an installation that is there: who only asks makes none. Raises HomeNotThere."""
        found = cls.load(home)
        if not found.home.is_dir():
            raise HomeNotThere(found.home)
        return found


def _defaults(home: Path) -> dict[str, Any]:
    return {
        "database_url": f"sqlite:///{home / 'trunkline.db'}",
        "index_url": f"sqlite:///{home / 'index.db'}",
        "repository": home / "network.git",
        "key_file": home / "data.key.age",
        "identity_file": home / "identity.age",
    }


def _from_file(home: Path) -> dict[str, Any]:
    path = home / "settings.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingNotUsable("settings.toml", str(path), str(error)) from error


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = env.get(f"TRUNKLINE_{field.name.upper()}")
        if text is not None and field.name != "home":
            found[field.name] = text.split(",") if isinstance(field.default, tuple) else text
    return found
