"""What becomes of an error: the JSON contract for programs, a page for people, and never a stack trace."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from aaa.support import LoginNotKnown
from api.console import pages
from api.errors import LoginNeeded
from billing import errors as billing
from core import logs
from core.days import DayNotUsable
from core.errors import Retryable, Terminal, TrunklineError
from core.money import AmountNotReadable
from core.problems import Problem as Mistake
from core.problems import envelope
from crm import errors as crm
from intents.queue import ChangeNotUsable, ChangeSetMissing
from inventory.errors import DeviceMissing

_NOT_FOUND = (
    ChangeSetMissing, DeviceMissing, LoginNotKnown, billing.AccountUnknown, billing.InvoiceUnknown,
    crm.CustomerUnknown, crm.OrderUnknown, crm.ServiceUnknown,
)  # fmt: skip
_UNPROCESSABLE = (
    AmountNotReadable, DayNotUsable,
    ChangeNotUsable, billing.AmountNotPayable, billing.CurrencyWrong, crm.PlanUnknown, crm.NotOrderable,
    crm.AccountNotTheirs,
)  # fmt: skip
_FOR_PROGRAMS = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Problem(BaseModel):
    """A mistake with its place and its remedy."""

    code: str
    severity: str
    path: str
    line: int
    column: int
    message: str
    hint: str


class Answer(BaseModel):
    """The JSON contract: every answer names its schema and carries its problems."""

    model_config = ConfigDict(populate_by_name=True)
    contract: str = Field(alias="schema", examples=["trunkline.devices/1"])
    problems: list[Problem] = []


def answer(what: str, **fields: Any) -> dict[str, Any]:
    """An answer without problems."""
    return envelope(what, (), **fields)


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(TrunklineError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _web)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(DataError, _no_value)
    app.add_exception_handler(Exception, _fault)


def status_of(error: TrunklineError) -> int:
    """The HTTP status of an error: its own, else 503 to try again, 404, 422, and 409 for the rest."""
    status = getattr(error, "status", None)
    if status is not None:
        return int(status)
    if isinstance(error, Retryable):
        return 503
    if isinstance(error, _NOT_FOUND):
        return 404
    return 422 if isinstance(error, _UNPROCESSABLE) else 409


def _ours(request: Request, error: Exception) -> Response:
    if isinstance(error, LoginNeeded):
        return RedirectResponse("/login", 303)
    if not isinstance(error, TrunklineError):
        return _fault(request, error)
    code = _WORDS.sub("-", type(error).__name__).lower()
    status = status_of(error)
    hint = "trying again may help" if isinstance(error, Retryable) else ""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "2"}}.get(status)
    if status == 429 and (seconds := getattr(error, "seconds", 0)):
        headers = {"Retry-After": str(seconds)}
    told = str(error).encode(errors="replace").decode()  # a sentence may repeat half of a surrogate pair
    return _refusal(request, status, [Mistake(code=code, message=told, hint=hint)], headers)


def _unreadable(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return _refusal(request, 422, [_mistake(one) for one in found])


def _mistake(one: dict[str, Any]) -> Mistake:
    """Where in the request; what was sent is not repeated, it may be a secret."""
    return Mistake(
        code="request.invalid", message=one["msg"], path=".".join(str(part) for part in one["loc"])
    )


def _web(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "there is nothing here", 405: "this address does not take that method"}.get(
        status, str(error)
    )
    return _refusal(request, status, [Mistake(code=f"http.{status}", message=text)])


def _no_text(request: Request, _error: Exception) -> Response:
    """Half of a surrogate pair (`\\ud800`) is JSON, but no text that anything could keep."""
    return _refusal(request, 422, [Mistake(code="request.invalid", message="a text is not Unicode")])


def _no_value(request: Request, error: Exception) -> Response:
    """PostgreSQL keeps no NUL in a text and no number beyond its column."""
    logs.get("api").warning("a value was refused", path=request.url.path, error=logs.redact(repr(error)))
    told = "a value is not one that the database keeps: a NUL character, or a number that is too large"
    return _refusal(request, 422, [Mistake(code="request.invalid", message=told)])


def _fault(request: Request, error: Exception) -> Response:
    logs.get("api").error("a fault of ours", path=request.url.path, error=logs.redact(repr(error)))
    told = Mistake(code="internal", message="a fault of ours; the log of this node has it")
    return _refusal(request, 500, [told])


def _refusal(
    request: Request, status: int, problems: list[Mistake], headers: dict[str, str] | None = None
) -> Response:
    if request.url.path.startswith(_FOR_PROGRAMS):
        return JSONResponse(jsonable_encoder(envelope("error", problems)), status, headers)
    return pages.refusal(status, [one.message for one in problems], headers)


__all__ = ["Answer", "Problem", "Terminal", "answer", "install", "status_of"]
