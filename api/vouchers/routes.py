"""Vouchers: a portal, an IVR or a hotspot page redeems them for its customers."""

from datetime import date
from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, Field

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.errors import NotUsable
from api.given import Given
from api.here import Here
from api.resource import resource
from api.security import needs
from api.tokens import Identity
from billing.wallet import online
from billing.wallet.codes import Hasher

ROUTER = resource("vouchers")
Portal = Annotated[Identity, needs("portal", "support", "billing")]


class Typed(Given):
    """What a customer typed. `address`: where they are, as the portal sees it; default: the caller's own."""

    account: Annotated[str, Field(min_length=1, max_length=64, examples=["A-10001"])]
    code: Annotated[str, Field(min_length=1, max_length=64, examples=["K7QF-2MWX-9TBN-4HDA"])]
    address: Annotated[str, Field(max_length=45, examples=["192.0.2.7"])] | None = None


class Bought(BaseModel):
    """A service that it paid for, until the day before `until`."""

    service: str
    until: date


class Redeemed(Answer):
    """What it did. `already`: this account had redeemed it before, and nothing changed."""

    account: str
    amount: Amount
    balance: Amount
    bought: list[Bought]
    already: bool


@ROUTER.post("/redemptions", response_model=Redeemed)
def redeem(here: Here, who: Portal, request: Request, typed: Typed) -> Any:
    """Redeem a voucher: it tops the wallet up, and what that pays for is bought and released at once.

    422 for whatever is wrong with code or account: it does not say which. 429 after twenty refusals for an address, or
    five for an account, within an hour.
    """
    hasher = Hasher.of(here.context.settings.home)
    done = online.redeem(
        here.context.db, hasher, typed.account, typed.code, _address(request, typed), actor=who.actor
    )
    bought = [Bought(service=one.service, until=one.until) for one in done.renewed.bought]
    return answer(
        "voucher-redemption", account=done.account, amount=amount(done.amount), balance=amount(done.balance),
        bought=bought, already=done.already,
    )  # fmt: skip


def _address(request: Request, typed: Typed) -> str:
    """Whose failures are counted. Raises NotUsable. Of IPv6 a customer has a /64 at least: it counts as one."""
    text = typed.address or (request.client.host if request.client else "")
    try:
        found = ip_address(text)
    except ValueError as error:
        if typed.address is None:
            return text  # a socket without an address
        raise NotUsable("address", "it is no IP address such as 192.0.2.7") from error
    return str(found) if found.version == 4 else str(ip_address(int(found) >> 64 << 64))
