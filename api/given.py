"""What a request gives: a field that nobody knows is refused, for what is misspelt would be left out in silence; and so
is a value that no database keeps or nobody can count with, the same on SQLite and PostgreSQL.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from api.errors import NotUsable
from core import days

NUL = "a text has a NUL character; leave it out"
_MOST = 2**63 - 1


def kept(value: Any) -> Any:
    """The value itself, of a field of a body or an address. Raises PydanticCustomError."""
    for why in _wrong(value):
        raise PydanticCustomError("value", "{why}", {"why": why})
    return value


class Given(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")
    _kept = field_validator("*")(kept)


Day = Annotated[date, AfterValidator(kept)]
"""A day in an address."""


async def require_text(request: Request) -> None:
    """A dependency of every address: neither its path, its parameters nor its key has a NUL. Raises NotUsable."""
    asked = [request.url.path, request.headers.get("idempotency-key", "")]
    if any("\0" in one for one in (*asked, *map("".join, request.query_params.multi_items()))):
        raise NotUsable("the address", NUL)


def _wrong(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    for one in value if isinstance(value, list | tuple) else ():
        yield from _wrong(one)
    if isinstance(value, str) and "\0" in value:
        yield NUL
    elif isinstance(value, int) and abs(value) > _MOST:
        yield f"the number is too large; write one of at most {_MOST}"
    elif isinstance(value, date) and (why := days.why_not(_day(value))):
        yield why


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value
