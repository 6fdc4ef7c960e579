"""The bundle that makes a RADIUS node: view key, voucher key, databases and a snapshot, encrypted with age.

Whoever opens it can read every subscriber's password: it is for one person's or one machine's age identity, or under
a passphrase, and is written for its owner alone.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyrage

from aaa.errors import ViewNotThere
from aaa.limits.codes import Codes
from aaa.radius.worker import view_folder
from aaa.view.derived import open_derived
from aaa.view.lookup import View, snapshot
from aaa.view.seal import KEY_LENGTH
from core.crypto import write_private
from core.db import DatabaseAway
from core.errors import Terminal
from core.settings import Settings

_FORMAT = 1


class BundleNotUsable(Terminal):
    """A bundle cannot be made, opened or used here."""

    def __init__(self, path: Path | str, why: str) -> None:
        super().__init__(f"node bundle {path} is not usable: {why}")


class Bundle(msgspec.Struct, frozen=True):
    """What a node needs of its installation. `view` is the base file's octets, b"" for none; `voucher_key` hashes the
    codes of vouchers: a node with one of its own would know none of them.
    """

    format: int
    view_key: bytes
    database_url: str
    index_url: str
    view: bytes = b""
    voucher_key: bytes = b""


def pack(settings: Settings, with_view: bool = True) -> Bundle:
    """The bundle of this installation. Raises BundleNotUsable where another machine could not follow it."""
    key = settings.home / "view.key"
    if not key.exists():
        raise BundleNotUsable(settings.home, "there is no view.key yet; run `trunkline serve` once")
    for name, url in (("database_url", settings.database_url), ("index_url", settings.index_url)):
        if url.startswith("sqlite"):
            raise BundleNotUsable(
                settings.home, f"{name} is SQLite, which no other machine can follow; nodes need PostgreSQL"
            )
    view = _fresh_view(settings) if with_view else b""
    vouchers = Codes.of(settings.home).key
    return Bundle(_FORMAT, key.read_bytes(), settings.database_url, settings.index_url, view, vouchers)


def _fresh_view(settings: Settings) -> bytes:
    """The newest view as a base file; this node's own snapshot while the database is away."""
    folder = settings.home / "radius" / "bundle"
    try:
        db = open_derived(settings)
        try:
            snapshot(db, folder)
        finally:
            db.close()
        path = folder / "view.base"
        view = path.read_bytes()
        path.unlink()
        return view
    except DatabaseAway:
        path = view_folder(settings) / "view.base"
        return path.read_bytes() if path.exists() else b""


def lock(bundle: Bundle, recipients: Sequence[str], passphrase: str = "") -> bytes:
    """Encrypted for every age recipient, or under the passphrase. Raises BundleNotUsable."""
    plain = msgspec.msgpack.encode(bundle)
    if not recipients:
        return bytes(pyrage.passphrase.encrypt(plain, passphrase))
    try:
        keys = [pyrage.x25519.Recipient.from_str(text) for text in recipients]
    except pyrage.RecipientError as error:
        raise BundleNotUsable("for " + ", ".join(recipients), str(error)) from error
    return bytes(pyrage.encrypt(plain, keys))


def unlock(path: Path, passphrase: str = "", identity: str = "") -> Bundle:
    """Open a bundle with an age identity or a passphrase. Raises BundleNotUsable."""
    try:
        sealed = path.read_bytes()
        if identity:
            plain = pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(identity)])
        else:
            plain = pyrage.passphrase.decrypt(sealed, passphrase)
        bundle = msgspec.msgpack.decode(plain, type=Bundle)
    except OSError as error:
        raise BundleNotUsable(path, error.strerror or str(error)) from error
    except (pyrage.DecryptError, pyrage.IdentityError, msgspec.DecodeError) as error:
        raise BundleNotUsable(path, f"it does not open: {error}") from error
    if bundle.format != _FORMAT or len(bundle.view_key) != KEY_LENGTH:
        raise BundleNotUsable(path, "it is of another version of Trunkline")
    return bundle


def unpack(bundle: Bundle, home: Path, node: str) -> list[Path]:
    """Make `home` a RADIUS node of this name; returns the files written. Raises BundleNotUsable when it is one."""
    key, settings = home / "view.key", home / "settings.toml"
    if key.exists() and key.read_bytes() != bundle.view_key:
        raise BundleNotUsable(home, "this home has another installation's view.key; choose an empty home")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = [key]
    write_private(key, bundle.view_key)
    if bundle.voucher_key:
        written.append(home / "voucher.key")
        write_private(written[-1], bundle.voucher_key)
    if not settings.exists():
        write_private(settings, _settings(bundle, node).encode())
        written.append(settings)
    if bundle.view:
        written.append(_place_view(bundle.view, home / "radius" / "view"))
    return written


def _place_view(view: bytes, folder: Path) -> Path:
    """A snapshot that is newer than what a running node knows is none of ours to replace."""
    path = folder / "view.base"
    try:
        View.load(folder)
    except ViewNotThere:
        write_private(path, view)
    return path


def _settings(bundle: Bundle, node: str) -> str:
    lines = {
        "node": node,
        "database_url": bundle.database_url,
        "index_url": bundle.index_url,
    }
    text = "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in lines.items())
    return (
        text + 'roles = ["radius"]\n# radius_host = "…"  the address that NASes ask\n# radius_workers = 2\n'
    )
