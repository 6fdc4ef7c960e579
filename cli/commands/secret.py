"""Make the data key, and seal and open secrets of the network repository."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened

if TYPE_CHECKING:
    from core.crypto import DataKey

app = typer.Typer(no_args_is_help=True, help="Make the data key, and seal and open secrets.")
Place = Annotated[
    str, typer.Argument(metavar="PATH", help="The file that the secret stands in, as trunk names it.")
]
Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Its dotted key without list positions, say nas.secrets.")
]


@app.command()
def init(as_json: Json = False) -> None:
    """Make the data key and the age identity that opens it, each only for you to read; existing ones are kept."""
    from core import crypto
    from core.settings import Settings

    settings = Settings.load()
    was = settings.key_file.exists() and settings.identity_file.exists()
    crypto.create_key(settings.key_file, settings.identity_file)
    what = "was there already and opens" if was else "is made"
    text = (
        f"the data key {settings.key_file} {what}; keep a copy of it and of {settings.identity_file} in a safe place: "
        "without both no secret can be opened"
    )
    answer("secret-init", text=text, as_json=as_json, key=str(settings.key_file), made=not was)


@app.command()
def seal(path: Place, key: Key, as_json: Json = False) -> None:
    """Seal a secret for its place; it is asked for, or read from standard input, never from the command line."""
    from core import crypto

    _check_place(path, key)
    data_key = _key()
    clear = _read(f"secret for {path}#{key}")
    sealed = crypto.seal(data_key, clear, path, key)
    answer("secret-sealed", text=sealed, as_json=as_json, path=path, key=key, sealed=sealed)


@app.command("open")
def open_secret(
    path: Place,
    key: Key,
    actor: Actor,
    given: Annotated[
        bool, typer.Option("--stdin", help="Open the sealed text from standard input instead of trunk's.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print a secret of trunk in clear; who did is recorded."""
    from core import crypto, events

    _check_place(path, key)
    data_key = _key()
    with opened() as here:
        sealed = [_read("sealed text")] if given else _of_trunk(here.repo, path, key)
        clear = [crypto.open_(data_key, one, path, key) for one in sealed]
        with here.db.write() as conn:
            events.emit(conn, "secret.opened", path, {"key": key}, actor=actor)
    answer("secret", text="\n".join(clear), as_json=as_json, path=path, key=key, secrets=clear)


def _key() -> "DataKey":
    from core import crypto
    from core.settings import Settings

    settings = Settings.load()
    return crypto.load_key(settings.key_file, settings.identity_file)


def _read(what: str) -> str:
    """One line: from a prompt that does not show it, or from standard input."""
    text: str = typer.prompt(what, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or any(ord(char) < 32 for char in text):
        raise typer.BadParameter(
            "a secret is one line of printable characters, and not empty", param_hint="secret"
        )
    return text


def _check_place(path: str, key: str) -> None:
    from core.problems import Problem
    from intents.kinds import parse_path

    where = parse_path(path)
    if isinstance(where, Problem):
        raise typer.BadParameter(f"{where.message} {where.hint}".strip(), param_hint="PATH")
    if any(part.isdigit() or not part for part in key.split(".")):
        raise typer.BadParameter("write keys without list positions, such as nas.secrets", param_hint="KEY")


def _of_trunk(repo: Any, path: str, key: str) -> list[str]:
    """Every sealed value at the key. Raises NotInTrunk."""
    from core.crypto import is_sealed
    from intents import yaml_strict

    head = repo.head()
    blob = repo.blob_at(head, path) if head else None
    if blob is None:
        raise _not_in_trunk(path, key)
    text, _ = yaml_strict.decode(repo.read(blob))
    value, _ = yaml_strict.parse(text)
    found = [one for one in _at(value, key.split(".")) if isinstance(one, str) and is_sealed(one)]
    if not found:
        raise _not_in_trunk(path, key)
    return found


def _at(value: Any, parts: list[str]) -> list[Any]:
    """What stands at dotted keys; lists are walked through."""
    if isinstance(value, list):
        return [found for one in value for found in _at(one, parts)]
    if not parts:
        return [value]
    if not isinstance(value, dict):
        return []
    # A realm is a key with dots of its own: aaa.realms.reseller.example.secret.
    joined = [(".".join(parts[:count]), parts[count:]) for count in range(1, len(parts) + 1)]
    return [found for key, rest in joined if key in value for found in _at(value[key], rest)]


def _not_in_trunk(path: str, key: str) -> Exception:
    from core.crypto import SecretNotReadable

    return SecretNotReadable(path, key, "trunk has no sealed value there")
