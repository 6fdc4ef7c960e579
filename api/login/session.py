"""The console's session: a signed cookie that names a token, and the secret that every form of it carries.

The cookie holds no token; it ends with the token it names. HttpOnly, SameSite=Strict, Secure under HTTPS.
"""

import hashlib
import hmac
import secrets
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.responses import Response

from api import tokens
from api.errors import FormNotOurs, LoginNeeded, NotUsable, TokenRefused
from api.given import NUL
from api.here import Here, Installed
from api.login.links import SESSION
from api.security import require
from api.tokens import Identity, Role
from core import clock

COOKIE = "trunkline_session"
VISIT = "trunkline_visit"
Form = dict[str, str]


def begin(here: Installed, response: Response, identity: Identity, secure: bool) -> None:
    """Set the session's cookie."""
    until = int((clock.now() + SESSION).timestamp())
    value = f"{identity.token_id}~{until}~{secrets.token_urlsafe(12)}"
    _set(response, COOKIE, f"{value}~{_mac(here.key, COOKIE, value)}", secure)


def end(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def visit(response: Response, known: str, secure: bool) -> str:
    """Give somebody without a session a cookie that the login form is bound to; a `known` one stays. Returns it."""
    value = known or secrets.token_urlsafe(16)
    _set(response, VISIT, value, secure)
    return value


def form_secret(here: Installed, cookie: str) -> str:
    """What forms carry in `csrf`: it cannot be had without the cookie."""
    return _mac(here.key, "csrf", cookie)


async def read_form(request: Request) -> Form:
    """The fields of a form, the first value of each. Raises NotUsable."""
    body = (await request.body()).decode("utf-8", "replace")
    return readable({name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()})


def readable(form: Form) -> Form:
    """The form itself. Raises NotUsable for a text that no database keeps."""
    if any("\0" in text for text in form.values()):
        raise NotUsable("the form", NUL)
    return form


def require_ours(here: Installed, form: Form, cookie: str) -> None:
    """Raises FormNotOurs unless the form comes from a page that this cookie has seen."""
    if not cookie or not hmac.compare_digest(
        form.get("csrf", "").encode(), form_secret(here, cookie).encode()
    ):
        raise FormNotOurs


class Session:
    """Who looks at a page, and the secret of its forms."""

    def __init__(self, identity: Identity, csrf: str) -> None:
        self.identity, self.csrf = identity, csrf

    def may(self, *roles: str) -> bool:
        """For templates: whether to show what takes one of these roles."""
        return self.identity.may(roles)


class Visits:
    """A dependency: the session of a page, whose role is one of `roles`. Raises LoginNeeded, RoleLacking."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        self.roles = roles

    def __call__(self, here: Here, request: Request) -> Session:
        """The session."""
        return _session(here, request, self.roles)


class Posts(Visits):
    """A dependency: the same for a form, whose secret is checked too. Raises FormNotOurs."""

    def __call__(  # type: ignore[override]
        self, here: Here, request: Request, form: Annotated[Form, Depends(read_form)]
    ) -> Session:
        """The session."""
        session = _session(here, request, self.roles)
        require_ours(here, form, request.cookies.get(COOKIE, ""))
        return session


def visits(*roles: Role) -> Any:
    """Declare who may see a page."""
    return Depends(Visits(roles))


def posts(*roles: Role) -> Any:
    """Declare who may send a form."""
    return Depends(Posts(roles))


def _session(here: Installed, request: Request, roles: tuple[Role, ...]) -> Session:
    cookie = request.cookies.get(COOKIE, "")
    identity = _whose(here, cookie)
    require(identity, roles)
    return Session(identity, form_secret(here, cookie))


def _whose(here: Installed, cookie: str) -> Identity:
    value, _, mac = cookie.rpartition("~")
    if not hmac.compare_digest(mac.encode(), _mac(here.key, COOKIE, value).encode()):
        raise LoginNeeded
    token_id, until, _ = value.split("~")
    if int(until) <= clock.now().timestamp():
        raise LoginNeeded
    try:
        with here.context.db.read() as conn:
            return tokens.by_id(conn, token_id)
    except TokenRefused as error:
        raise LoginNeeded from error


def _mac(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}|{text}".encode(), hashlib.sha256).hexdigest()


def _set(response: Response, name: str, value: str, secure: bool) -> None:
    response.set_cookie(name, value, httponly=True, samesite="strict", secure=secure, path="/")
