"""`trunkline radius node …`: bundles, database roles."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Json

app = typer.Typer(no_args_is_help=True, help="Nodes that only answer RADIUS: make, list, drain, forget.")
Passphrase = Annotated[bool, typer.Option("--stdin", help="Read the passphrase from standard input.")]


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to write the bundle (only for you to read).")],
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Encrypt for this age recipient (age1…); repeatable.")
    ] = None,
    snapshot: Annotated[bool, typer.Option(help="Put the newest view in.")] = True,
    stdin: Passphrase = False,
    as_json: Json = False,
) -> None:
    """Write a bundle that makes another machine a RADIUS node: view key, databases, snapshot, all encrypted."""
    from cli.node import bundle
    from core.crypto import write_private
    from core.settings import Settings

    packed = bundle.pack(Settings.load(), with_view=snapshot)
    sealed = bundle.lock(packed, to or [], "" if to else _passphrase(stdin, twice=True))
    write_private(file.absolute(), sealed)
    what = "with" if packed.view else "without"
    text = (
        f"{file}: a node bundle {what} a snapshot; whoever opens it can read every password: carry it as you would "
        "a key, and delete it when the node has joined"
    )
    answer("radius-node-bundle", text=text, as_json=as_json, file=str(file), snapshot=bool(packed.view))


@app.command()
def join(
    file: Annotated[Path, typer.Argument(help="A bundle made by `trunkline radius node export`.")],
    name: Annotated[str, typer.Option(help="This node's name; no other node may have it.")],
    identity: Annotated[Path | None, typer.Option(help="File with the age identity that opens it.")] = None,
    stdin: Passphrase = False,
    as_json: Json = False,
) -> None:
    """Make this home a RADIUS node; it answers from the bundle's snapshot before any database is reached."""
    from cli.node import bundle
    from core.settings import Settings

    key = _identity(identity) if identity else ""
    opened = bundle.unlock(file, "" if key else _passphrase(stdin), key)
    home = Settings.load(None).home
    written = [str(path) for path in bundle.unpack(opened, home, name)]
    text = "\n".join(
        [
            f"{home} is RADIUS node {name}:",
            *(f"  {path}" for path in written),
            "set radius_host and radius_workers in settings.toml, then run `trunkline serve --roles radius`",
        ]
    )
    answer("radius-node-joined", text=text, as_json=as_json, node=name, written=written)


@app.command()
def sql(
    role: Annotated[str, typer.Argument(help="Name of the database role that the node logs in as.")],
    as_json: Json = False,
) -> None:
    """Print the SQL for a PostgreSQL role that may do what a node does, and nothing else."""
    from cli.node import grants

    try:
        script = grants.sql(role)
    except grants.RoleNameNotUsable as error:
        raise typer.BadParameter(str(error), param_hint="ROLE") from error
    answer("radius-node-sql", text=script.rstrip("\n"), as_json=as_json, role=role, sql=script)


def _identity(file: Path) -> str:
    """The identity in a file as age-keygen writes it: comments are passed over."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f"{file} is no file with an age identity", param_hint="--identity"
        ) from error
    found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise typer.BadParameter(f"{file} has no age identity in it", param_hint="--identity")
    return found[0]


def _passphrase(stdin: bool, twice: bool = False) -> str:
    """Asked for, or the first line of standard input; never from the command line."""
    if stdin or not sys.stdin.isatty():
        found = sys.stdin.readline().rstrip("\n")
    else:
        found = typer.prompt("passphrase", hide_input=True, confirmation_prompt=twice)
    if len(found) < 12:
        raise typer.BadParameter("a passphrase of at least 12 characters protects the view key")
    return found
