"""Who calls, and whether they may: `Annotated[Identity, needs("engineer")]` in an endpoint's parameters."""

from typing import Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api import tokens
from api.errors import RoleLacking, TokenRefused
from api.here import Here
from api.tokens import Identity, Role

_BEARER = HTTPBearer(auto_error=False, description="A token of `trunkline token create`.")


class Needs:
    """A dependency: the bearer token's identity, which has one of `roles`. Raises TokenRefused, RoleLacking."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        self.roles = roles

    def __call__(self, here: Here, request: Request, _scheme: Any = Depends(_BEARER)) -> Identity:
        """The caller."""
        identity = _identify(here, request)
        require(identity, self.roles)
        return identity


def needs(*roles: Role) -> Any:
    """Declare who may call: any of these roles (`viewer`: everybody with a token but portals), and admins."""
    return Depends(Needs(roles))


def require(identity: Identity, roles: tuple[str, ...]) -> None:
    """Raises RoleLacking."""
    if not identity.may(roles):
        raise RoleLacking(identity.role, roles)


def _identify(here: Here, request: Request) -> Identity:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise TokenRefused
    with here.context.db.read() as conn:
        return tokens.identify(conn, text.strip())
