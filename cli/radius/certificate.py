"""Certificates for EAP and RadSec: make a CA and a server's, look at them, renew, give clients theirs, revoke."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer

if TYPE_CHECKING:
    from aaa.eap.authority import Told

app = typer.Typer(
    no_args_is_help=True,
    help="Certificates for EAP and RadSec: make, show, renew, give to clients, take back.",
)
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid, in days.")]


@app.command()
def make(
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="The server's name that clients see and may check.")
    ],
    name: Annotated[str, typer.Option(help="The CA's name.")] = "Trunkline CA",
    days: Days = 730,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a CA and the server's certificate; what is there already is never overwritten."""
    from aaa.eap.authority import Authority, check_name, tell
    from aaa.errors import CertificateNotMade

    folder = _folder(home)
    check_name(host)  # before the CA: one without a server's certificate would be in the way next time
    if (folder / "server.pem").exists():
        raise CertificateNotMade(f"{folder / 'server.pem'} is there already; `renew` makes a new one")
    Authority.make(folder, name).serve(host, days)
    text = f"give clients {folder / 'ca.pem'}; the server takes the certificate without a restart"
    _answer(tell(folder), as_json, text)


@app.command()
def renew(days: Days = 730, as_json: Json = False, home: Home = None) -> None:
    """Make a new server certificate for the same name from the same CA; clients notice nothing."""
    from aaa.eap.authority import Authority, tell
    from aaa.errors import CertificateNotMade

    folder = _folder(home)
    server = next((one for one in tell(folder) if one.file == "server.pem"), None)
    if server is None or not server.names:
        raise CertificateNotMade(
            f"{folder / 'server.pem'} is missing; `trunkline radius certificate make HOST`"
        )
    Authority(folder).serve(server.names[0], days)
    _answer(tell(folder), as_json)


@app.command()
def show(as_json: Json = False, home: Home = None) -> None:
    """List the certificates and when they end; status 1 when the server's cannot be used."""
    from aaa.eap.authority import tell
    from aaa.eap.certificates import CertificatesNotUsable, load

    folder = _folder(home)
    try:
        load(folder)
        problem = ""
    except CertificatesNotUsable as error:
        problem = str(error)
    _answer(tell(folder), as_json, problem, problem=problem)
    if problem:
        raise typer.Exit(1)


@app.command()
def client(
    login: Annotated[str, typer.Argument(help="Whom it logs in, as the line or service writes it.")],
    out: Annotated[Path, typer.Option(help="Write the PKCS#12 file here; it must not be there yet.")],
    given: Annotated[
        bool, typer.Option("--stdin", help="Read the file's password; default: one is made and told.")
    ] = False,
    days: Days = 730,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Make a client's certificate for EAP-TLS or RadSec: key, certificate and CA in one file under a password."""
    from aaa.eap.authority import Authority, write
    from aaa.errors import CertificateNotMade

    if out.exists():
        raise CertificateNotMade(f"{out} is there already")
    password = sys.stdin.readline().rstrip("\n") if given else secrets.token_urlsafe(12)
    write(out, Authority(_folder(home)).client(login, password, days))
    told: dict[str, Any] = {} if given else {"password": password}
    text = f"{out} logs {login} in" + ("" if given else f"; its password is {password}")
    answer("radius-client-certificate", text=text, as_json=as_json, file=str(out), login=login, **told)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="A login, or a serial number as `show` tells it.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Take clients' certificates back: they are refused from now on, on nodes that have the new crl.pem."""
    from aaa.eap.authority import Authority

    folder = _folder(home)
    serials = Authority(folder).revoke(name)
    text = f"revoked {', '.join(serials)} in {folder / 'crl.pem'}; copy it to the other nodes"
    answer("radius-certificate-revoked", text=text, as_json=as_json, serials=serials)


def _folder(home: Path | None) -> Path:
    from core.settings import Settings

    return Settings.load(home).home / "radius" / "tls"


def _answer(found: "list[Told]", as_json: bool, more: str = "", **fields: Any) -> None:
    import msgspec

    lines = [
        f"{one.file:<24} {', '.join(one.names) or '-':<32} until {one.until[:10]} ({one.days} days)"
        + (" revoked" if one.revoked else "")
        for one in found
    ]
    text = "\n".join([*(lines or ["no certificates"]), *([more] if more else [])])
    certificates = msgspec.to_builtins(found)
    answer("radius-certificates", text=text, as_json=as_json, certificates=certificates, **fields)
