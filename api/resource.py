"""What resources share: their place under /api/v1, and reading a list page by page."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query

from api.errors import NotUsable

T = TypeVar("T")
_MOST_DIGITS = 18
"""A longer number fits no 64-bit column, and no sequence is that long."""
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
After = Annotated[str, Query(max_length=120, description="`next` of the page before.")]


def resource(name: str) -> APIRouter:
    """A router at `/api/v1/<name>`."""
    refusals: dict[int | str, dict[str, Any]] = {
        401: {"description": "no valid token"},
        403: {"description": "the role may not"},
    }
    return APIRouter(prefix=f"/api/v1/{name}", tags=[name], responses=refusals)


def page(found: Sequence[T], limit: int, cursor: str) -> tuple[list[T], str | None]:
    """The page and the cursor after it, of up to `limit + 1` found; `cursor` names the attribute or key."""
    shown = list(found[:limit])
    if len(found) <= limit or not shown:
        return shown, None
    last: Any = shown[-1]
    return shown, str(last[cursor] if isinstance(last, dict) else getattr(last, cursor))


def sequence(after: str) -> int | None:
    """A cursor that is a sequence number; None for the first page. Raises NotUsable."""
    if after and not (after.isascii() and after.isdecimal() and len(after) <= _MOST_DIGITS):
        raise NotUsable(f"cursor '{after}'", "take `next` of the page before as it is")
    return int(after) if after else None
