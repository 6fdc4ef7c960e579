"""Several prepared statements in one exchange with PostgreSQL (libpq's pipeline), and never longer than our patience.

A server that was stopped, or a network that swallows packets, must not hold accounting up: the journal takes over.
"""

import select
import time
from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import pq

PATIENCE = 2.0
"""Seconds until a database that does not answer counts as away."""

_GOOD = {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.PIPELINE_SYNC}
_IDLE = pq.TransactionStatus.IDLE


class Statement(NamedTuple):
    """SQL with $1, $2 …, and the oids of these."""

    name: str
    sql: str
    types: tuple[int, ...]


class Silent(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed."""


class Forgotten(psycopg.OperationalError):
    """Somebody deallocated the connection's statements in the middle of a transaction; the connection is closed."""


def exchange(
    raw: Any, known: MutableMapping[str, Any], asked: Sequence[tuple[Statement, Sequence[bytes]]]
) -> list[Any]:
    """Run statements in order in the connection's transaction (begun if need be); returns their PGresults.

    `known` lives as long as the connection: the statements that it has prepared. psycopg deallocates all of them when
    it thinks that its own are stale (after a DROP, say): at the beginning of a transaction that is mended here, as is
    one that the connection has and we do not know.
    Values are binary, and so are results. Raises psycopg's errors.
    """
    begins = raw.pgconn.transaction_status == _IDLE
    try:
        return _exchanged(raw, known, asked)
    except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement) as error:
        known.clear()
        if not begins:
            raw.pgconn.finish()
            raise Forgotten(str(error)) from error
        raw.rollback()
        raw.pgconn.exec_(b"DEALLOCATE ALL")  # what this very exchange prepared is there, whatever else is not
        return _exchanged(raw, known, asked)


def _exchanged(
    raw: Any, known: MutableMapping[str, Any], asked: Sequence[tuple[Statement, Sequence[bytes]]]
) -> list[Any]:
    pgconn: pq.abc.PGconn = raw.pgconn
    fresh = {one.name: one for one, _values in asked if one.name not in known}
    begins = pgconn.transaction_status == _IDLE
    pgconn.enter_pipeline_mode()
    try:
        if begins:
            pgconn.send_query_params(b"BEGIN", None)
        for one in fresh.values():
            pgconn.send_prepare(one.name.encode(), one.sql.encode(), one.types)
        for one, values in asked:
            formats = [pq.Format.BINARY] * len(values)
            pgconn.send_query_prepared(one.name.encode(), list(values), formats, pq.Format.BINARY)
        pgconn.pipeline_sync()
        results = _results(pgconn, begins + len(fresh) + len(asked))
    except BaseException:
        pgconn.finish()  # in the middle of an answer: nobody can use it any more
        raise
    pgconn.exit_pipeline_mode()
    # What was prepared stays, also when a later statement fails and the transaction is rolled back.
    prepared = zip(fresh.items(), results[begins:], strict=False)
    known.update(one for one, result in prepared if result.status == pq.ExecStatus.COMMAND_OK)
    for result in results:
        if result.status not in _GOOD:
            raise psycopg.errors.error_from_result(result)
    return results[begins + len(fresh) :]


def _results(pgconn: pq.abc.PGconn, wanted: int) -> list[pq.abc.PGresult]:
    """The first result of each statement, up to the answer to our sync."""
    deadline = time.monotonic() + PATIENCE
    found: list[pq.abc.PGresult] = []
    _flush(pgconn, deadline)
    while True:
        while pgconn.is_busy():
            _wait(pgconn, deadline, select.POLLIN)
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            continue  # the end of one statement's results
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return found
        if len(found) < wanted:
            found.append(result)


def _flush(pgconn: pq.abc.PGconn, deadline: float) -> None:
    while pgconn.flush():
        _wait(pgconn, deadline, select.POLLIN | select.POLLOUT)
        pgconn.consume_input()


def _wait(pgconn: pq.abc.PGconn, deadline: float, events: int) -> None:
    waiting = select.poll()
    waiting.register(pgconn.socket, events)
    left = deadline - time.monotonic()
    if left <= 0 or not waiting.poll(left * 1000):
        raise Silent(f"no answer within {PATIENCE:g} s")
