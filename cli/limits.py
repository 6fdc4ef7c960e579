"""What people type is bounded here for every command: a day is one that can be counted with, a number fits a column."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any

import typer

from core import days

MOST = 2**32 - 1
"""No option counts further (an AS number goes so far); one of 64 bits and more fits neither a column nor a loop."""


def limited(command: Any) -> Callable[..., Any]:
    """The callback of a command, behind a look at what it was given; whatever is too large ends it with usage."""
    callback = command.callback

    @wraps(callback)
    def checked(*args: Any, **given: Any) -> Any:
        for name, value in given.items():
            for why in _wrong(value):
                raise typer.BadParameter(why, param_hint=_hint(command.params, name))
        return callback(*args, **given)

    return checked


def _wrong(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, datetime):
            yield from filter(None, [days.why_not(one.date())])
        elif isinstance(one, int) and abs(one) > MOST:
            yield f"{one} is too large; write a number of at most {MOST}"


def _hint(params: Iterable[Any], name: str) -> str:
    return next((max(one.opts, key=len) for one in params if one.name == name), name)
