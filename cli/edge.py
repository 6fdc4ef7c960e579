"""The outermost edge: what a command raises becomes one sentence on stderr and an exit status."""

import errno
import os
import sys
from collections.abc import Callable

from core.errors import Retryable, TrunklineError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
EXIT_NO = 1
EXIT_USAGE = 2
EXIT_NO_ANSWER = 3
EXIT_INTERRUPTED = 130


def run_at_edge(call: Callable[[], object], *, as_json: bool = False) -> None:
    """Run a command; TRUNKLINE_DEBUG=1 shows the whole trace instead of one sentence."""
    try:
        call()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except TrunklineError as error:
        _end(error.code, _sentence(error), error, as_json)
    except Exception as error:
        _end("internal", _unexpected(error), error, as_json)


def _end(code: str, sentence: str, error: Exception, as_json: bool) -> None:
    if os.environ.get("TRUNKLINE_DEBUG") == "1":
        raise error
    if as_json:
        _print_envelope(code, sentence)
    print(f"trunkline: {sentence}", file=sys.stderr)
    sys.exit(EXIT_NO_ANSWER)


def _sentence(error: TrunklineError) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text} (trying again may help)" if isinstance(error, Retryable) else text


def _unexpected(error: Exception) -> str:
    if type(error).__name__ == "DataError":  # PostgreSQL's; its module is too heavy to import here
        return "a value is not one that the database keeps: a NUL character, or a number that is too large"
    if isinstance(error, OSError) and error.errno in _DISK:
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{place}; make room, or let the account that runs this write there"
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"a fault of ours, {what}{place}; TRUNKLINE_DEBUG=1 shows the whole trace"


def _print_envelope(code: str, sentence: str) -> None:

    from core.problems import Problem, envelope
    from core.shown import to_json

    print(to_json(envelope("error", [Problem(code=code, message=sentence)])))
