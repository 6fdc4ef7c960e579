"""`trunkline radius node list|drain|forget` and `trunkline radius pools`: nodes and addresses, from the database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Json, counted
from cli.node.commands import app

if TYPE_CHECKING:
    from aaa.pools.nodes import NodeState
    from aaa.pools.report import PoolReport
    from core.db import Database

Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]


@app.command("list")
def nodes_there(as_json: Json = False, home: Home = None) -> None:
    """List the RADIUS nodes: when each was heard, whether its accounting is in, how many blocks it has."""
    with _recorded(home) as db:
        found = _states(db)
    lines = [_node_line(one) for one in found]
    answer(
        "radius-nodes",
        text="\n".join(lines) or "no nodes",
        as_json=as_json,
        nodes=[_node(one) for one in found],
    )


@app.command()
def drain(
    node: Annotated[str, typer.Argument(help="The node's name.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let it go on after all.")] = False,
    wait: Annotated[
        int, typer.Option(min=0, help="Seconds to wait until nothing would be lost with its disk.")
    ] = 60,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Take a node out of service: it gives no more addresses, returns its blocks and empties its journal.

    Status 1 while its disk still holds something.
    """
    from aaa.pools import nodes

    with _recorded(home) as db:
        with db.write() as conn:
            nodes.drain(conn, node, draining=not undo)
        state = _state(db, node)
        deadline = time.monotonic() + wait
        while not undo and not state.disposable and time.monotonic() < deadline:
            time.sleep(0.25)
            state = _state(db, node)
    text = f"{node} goes on" if undo else _node_line(state)
    answer("radius-node-drain", text=text, as_json=as_json, node=_node(state))
    if not undo and not state.disposable:
        raise typer.Exit(1)


@app.command()
def forget(
    node: Annotated[str, typer.Argument(help="The node's name.")],
    gone: Annotated[
        bool, typer.Option("--gone", help="It is switched off for good: whatever its disk holds is lost.")
    ] = False,
    rest: Annotated[
        int, typer.Option(min=0, max=525_600, help="Minutes that its addresses rest at least.")
    ] = 60,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Take back the blocks of a node that will never come back, and wait no longer for its accounting.

    Refused while it was heard in the last ten minutes, unless it is drained. A node that still runs somewhere without
    the database would give addresses that others get, too: switch it off first.
    """
    from aaa.pools import nodes
    from core import clock

    with _recorded(home) as db:
        state = _state(db, node)
        if not gone and not state.disposable:
            text = f"{_node_line(state)}; if it is switched off for good, say so with --gone"
            answer("radius-node-forget", text=text, as_json=as_json, forgotten=False, node=_node(state))
            raise typer.Exit(1)
        with db.write() as conn:
            freed = nodes.forget(conn, node, clock.now(), timedelta(minutes=rest))
    text = f"{node} is forgotten; {counted(freed, 'block')} will be free when no session is on them"
    answer("radius-node-forget", text=text, as_json=as_json, forgotten=True, blocks=freed)


def pools(as_json: Json = False, home: Home = None) -> None:
    """Say what is free, given and resting in pools whose addresses nodes give; status 1 when one runs short."""
    from aaa.pools import report
    from core import clock

    with _recorded(home) as db, db.read() as conn:
        found, twice = report.pools(conn, clock.now()), report.conflicts(conn)
    lines = [line for one in found for line in _pool_lines(one)]
    lines += [f"{address} is used by {' and '.join(services)} at once" for address, services in twice]
    answer(
        "radius-pools", text="\n".join(lines) or "no pool whose addresses nodes give", as_json=as_json,
        pools=[_pool(one) for one in found],
        conflicts=[{"address": address, "services": services} for address, services in twice],
    )  # fmt: skip
    if twice or any(one.short for one in found):
        raise typer.Exit(1)


@contextmanager
def _recorded(home: Path | None) -> "Iterator[Database]":
    from aaa.view.derived import impatient_url
    from core.db import Database
    from core.settings import Settings

    db = Database(impatient_url(Settings.there(home).database_url))
    try:
        yield db
    finally:
        db.close()


def _states(db: "Database") -> "list[NodeState]":
    from aaa.pools import nodes
    from core import clock

    with db.read() as conn:
        return nodes.states(conn, clock.now())


def _state(db: "Database", node: str) -> "NodeState":
    from aaa.pools.nodes import NodeNotKnown

    found = _states(db)
    for one in found:
        if one.node == node:
            return one
    raise NodeNotKnown(node, [one.node for one in found])


def _node_line(one: "NodeState") -> str:
    journal = (
        "its accounting was never all in"
        if one.undrained is None
        else f"all accounting in {one.undrained:g} s ago"
    )
    drains = ""
    if one.draining:
        drains = "; DISPOSABLE: nothing is lost with its disk" if one.disposable else "; draining"
    return (
        f"{one.node}: {counted(one.workers, 'worker')}, heard {one.seconds:g} s ago, {journal}, "
        f"{counted(one.blocks, 'block')} of addresses{drains}"
    )


def _node(one: "NodeState") -> dict[str, Any]:
    return {**_plain(one), "disposable": one.disposable}


def _pool_lines(one: "PoolReport") -> Iterator[str]:
    short = "; RUNS SHORT: add a prefix to the pool" if one.short else ""
    yield (
        f"{one.pool}: {one.size} addresses in {counted(one.blocks, 'block')}, {one.free_blocks} not leased, "
        f"{one.resting_blocks} resting{short}"
    )
    for share in one.shares:
        refused = f", {share.refused} refused" if share.refused else ""
        yield (
            f"  {share.node}: {counted(share.blocks, 'block')}, {share.free} free, {share.given} given, "
            f"{share.resting} resting, {share.doubt} in doubt{refused}"
        )


def _pool(one: "PoolReport") -> dict[str, Any]:
    return {**_plain(one), "short": one.short}


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
