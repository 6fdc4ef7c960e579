"""Prepaid: what is in the wallets, which services end next, and the voucher batches."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from api.console import pages
from api.customers.view import today as today_of
from api.here import Here
from api.login.session import Session, visits
from billing.wallet import batches, listing

ROUTER = APIRouter(include_in_schema=False, prefix="/billing/prepaid")
_AHEAD = timedelta(days=7)
Staff = Annotated[Session, visits("support", "billing")]


@ROUTER.get("")
def page(here: Here, who: Staff) -> Response:
    """Prepaid over all accounts."""
    with here.context.reader() as reader:
        today = today_of(reader)
    with here.context.db.read() as conn:
        return pages.page(
            "prepaid.html", who, today=today, held=listing.held(conn), states=listing.states(conn),
            ending=listing.ending(conn, today + _AHEAD), batches=batches.batches(conn),
        )  # fmt: skip
