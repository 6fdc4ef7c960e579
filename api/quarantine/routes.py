"""Quarantine: documents of trunk that are not applied, with every mistake and its place."""

from typing import Annotated, Any

from api.answers import Answer, answer
from api.here import Here
from api.quarantine.view import Quarantined, quarantined
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity

ROUTER = resource("quarantine")


class Quarantine(Answer):
    """A page of paths."""

    quarantined: list[Quarantined]
    next: str | None = None


@ROUTER.get("", response_model=Quarantine)
def list_quarantined(
    here: Here, _who: Annotated[Identity, needs("viewer")], limit: Limit = 100, after: After = ""
) -> Any:
    """List what is quarantined, by path."""
    with here.context.index_db.read() as conn:
        found = quarantined(conn, limit + 1, after)
    shown, cursor = page(found, limit, "path")
    return answer("quarantine", quarantined=shown, next=cursor)
