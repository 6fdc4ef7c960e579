"""`trunkline radius explain`: which rule, which commit, which attributes, who was let in or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.radius.override import shown
from core.shown import printable

if TYPE_CHECKING:
    from aaa.rules import Decided
    from aaa.support import Explained
    from core.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Name = Annotated[str, typer.Argument(help="A login, MAC, circuit-id, remote-id, voucher or service id.")]


def command(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Explain a login: the rules behind its reply with commits, the reply by NAS, its last logins and refusals.

    Accepted logins are there where `radius_log_logins` has them written down. Works on a node that is alone: then from
    its snapshot, without commits, logins and refusals.
    """
    import msgspec

    from aaa.limits.codes import Codes
    from aaa.limits.overrides import Overrides, free_until
    from aaa.support import LoginNotKnown, explain
    from aaa.view.seal import Seal
    from cli.radius.opening import known_view

    with known_view(home) as (settings, view):
        try:
            found = explain(view, Seal.of(settings.home), name, Codes.of(settings.home).digest)
        except LoginNotKnown as unknown:
            _nobody(settings, name, unknown, as_json)
            return
    decided, aside = _recorded(settings, found)
    logins, refusals = _last(settings, found.key, found.service)
    until = int(free_until(found.service, found.override, Overrides(settings.home)))
    lines = [
        *_reply(found),
        *([f"  overridden until {shown(until)}"] if until else []),
        *_decided(decided),
        *map(_login, logins),
        *map(_refusal, refusals),
        *aside,
    ]
    answer(
        "radius-explain", text="\n".join(lines), as_json=as_json,
        **msgspec.to_builtins(found), rules=msgspec.to_builtins(decided), logins=msgspec.to_builtins(logins),
        refusals=msgspec.to_builtins(refusals),
    )  # fmt: skip


def _nobody(settings: "Settings", name: str, unknown: Exception, as_json: bool) -> None:
    """Nothing answers to the name: its refusals say what came in, which is what support needs to see."""
    import msgspec

    _logins, refusals = _last(settings, name, "")
    if not refusals:
        raise unknown
    lines = [str(unknown), *map(_refusal, refusals)]
    answer(
        "radius-explain", text="\n".join(lines), as_json=as_json, key=name, service="", status="unknown",
        refusals=msgspec.to_builtins(refusals),
    )  # fmt: skip
    raise typer.Exit(1)


def _recorded(settings: "Settings", found: "Explained") -> tuple[list["Decided"], list[str]]:
    """Rules with commits, and a word on what could not be asked."""
    from aaa.rules import decided, rules
    from cli.installation import Installation
    from core.errors import TrunklineError

    try:
        here = Installation(settings)
    except TrunklineError as error:
        return [], [f"  rules and commits: not from here: {error}"]
    try:
        with here.reader() as reader, here.db.read() as conn:
            return decided(conn, here.repo, reader.revision, rules(reader, found.service)), []
    except TrunklineError as error:
        return [], [f"  rules and commits: not now: {error}"]
    finally:
        here.close()


def _last(
    settings: "Settings", login: str, service: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Its last accepted logins (where they are written down) and refusals."""
    from aaa.radius.accepted import last_accepted
    from aaa.radius.refusals import last_refusals
    from core.db import Database
    from core.errors import TrunklineError

    db = Database(settings.database_url)
    try:
        with db.read() as conn:
            return last_accepted(conn, login), last_refusals(conn, login, service)
    except TrunklineError:
        return [], []  # the view explains without it
    finally:
        db.close()


def _reply(found: "Explained") -> Iterator[str]:
    yield f"{found.key}: service {found.service}, {found.status}, policy {found.policy_hash}"
    for hold in found.holds:
        yield f"  held by {hold}"
    for cause in found.limits:
        yield f"  recorded: {cause}"
    for circuit in found.bound_circuits:
        yield f"  only from circuit {circuit}"
    for mac in found.bound_macs:
        yield f"  only from MAC {mac}"
    for port in found.bound_ports:
        yield f"  only from port {port}"
    for device, attributes in found.replies.items():
        other = found.answered_by.get(device)
        yield f"  {device}: {other}; ours would be:" if other else f"  {device} gets"
        yield from (f"    {line}" for line in attributes)


def _decided(decided: list["Decided"]) -> Iterator[str]:
    if decided:
        yield "  because"
    for one in decided:
        when = f", {one.at:%Y-%m-%d %H:%M}" if one.at else ""
        why = f" ({one.correlation})" if one.correlation else ""
        commit = (
            f"{one.commit[:12]} by {one.actor}{when}: {one.subject}{why}" if one.commit else "not committed"
        )
        yield f"    {one.says}"
        yield f"      {one.path}  {commit}"


def _login(row: dict[str, Any]) -> str:
    return f"  let in {row['at']:%Y-%m-%d %H:%M:%S} at {row['nas']}"


def _refusal(row: dict[str, Any]) -> str:
    when = f"{row['at']:%Y-%m-%d %H:%M:%S}"
    told = f"  refused {when} at {row['nas']} as {row['login']}: {row['reason']} {row['detail']}"
    return printable(told.rstrip())
