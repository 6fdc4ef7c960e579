"""The login page: a token in a form, or a link that works once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import tokens
from api.console import pages
from api.errors import TokenRefused
from api.here import Here, Installed
from api.login import links, session
from api.login.session import COOKIE, VISIT, Form, Session, posts, read_form
from api.tokens import Identity

ROUTER = APIRouter(include_in_schema=False)


@ROUTER.get("/login", response_class=HTMLResponse)
def login_page(here: Here, request: Request, once: str = "") -> Response:
    """Show the form; with `once` log in at once."""
    if once:
        return _login_once(here, request, once)
    return _form(here, request)


@ROUTER.post("/login")
def login(here: Here, request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Log in with a token."""
    session.require_ours(here, form, request.cookies.get(VISIT, ""))
    here.failures.require_patience(_caller(request))
    try:
        with here.context.db.read() as conn:
            identity = tokens.identify(conn, form.get("token", "").strip())
    except TokenRefused:
        here.failures.note(_caller(request))
        return _form(here, request, "This token is not valid.", 401)
    return _welcome(here, request, identity)


@ROUTER.post("/logout")
def logout(_who: Annotated[Session, posts("viewer")]) -> Response:
    """End the session of this browser."""
    response = RedirectResponse("/login", 303)
    session.end(response)
    return response


def _login_once(here: Installed, request: Request, once: str) -> Response:
    here.failures.require_patience(_caller(request))
    try:
        with here.context.db.write() as conn:
            identity = links.use(conn, once)
    except TokenRefused:
        here.failures.note(_caller(request))
        if request.cookies.get(COOKIE):
            return RedirectResponse("/", 303)  # opened again in the browser that it logged in
        return _form(here, request, "This link was used before or is over. Log in with a token.", 401)
    return _welcome(here, request, identity)


def _welcome(here: Installed, request: Request, identity: Identity) -> Response:
    response = RedirectResponse("/", 303)
    session.begin(here, response, identity, request.url.scheme == "https")
    return response


def _form(here: Installed, request: Request, complaint: str = "", status: int = 200) -> Response:
    """The page; its secret is bound to a cookie that goes with it."""
    response = Response(status_code=status, media_type="text/html; charset=utf-8")
    cookie = session.visit(response, request.cookies.get(VISIT, ""), request.url.scheme == "https")
    text = pages.render("login.html", who=None, complaint=complaint, csrf=session.form_secret(here, cookie))
    response.body = text.encode()
    response.headers["content-length"] = str(len(response.body))
    return response


def _caller(request: Request) -> str:
    return request.client.host if request.client else ""
