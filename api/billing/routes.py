"""The billing pages of the console: the business, an account, an invoice; and what staff decide there."""

from datetime import date
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response

from api.billing import view
from api.console import pages
from api.console.routes import Sent, back, required
from api.errors import NotUsable
from api.here import Here
from api.invoices.view import as_pdf
from api.login.session import Form, Session, posts, visits
from billing import accounts, crediting, invoices, parked, payments, promises
from billing.gateways import autopay, givebacks
from billing.refunding import refunds
from core import days
from core.money import Money
from crm import orders

ROUTER = APIRouter(include_in_schema=False)
Staff = Annotated[Session, visits("support", "billing")]
Serving = Annotated[Session, posts("support", "billing")]
Billing = Annotated[Session, posts("billing")]
NUMBERS = frozenset({"anchor", "payment_days"})
TEXTS = frozenset({*accounts.FIXED, *accounts.FREE}) - NUMBERS


@ROUTER.get("/billing")
def overview_page(here: Here, who: Staff) -> Response:
    """The business at a glance."""
    return pages.page("billing.html", who, **view.overview(here))


@ROUTER.get("/accounts/{account}")
def account_page(here: Here, who: Staff, account: str) -> Response:
    """An account: what it is billed, what it owes, how it is dunned."""
    return pages.page("account.html", who, **view.account(here, account))


@ROUTER.get("/invoices/{invoice}")
def invoice_page(here: Here, who: Staff, invoice: str) -> Response:
    """An invoice, each amount with its reason."""
    return pages.page("invoice.html", who, **view.document(here, invoice))


@ROUTER.get("/invoices/{invoice}/pdf")
def invoice_pdf(here: Here, _who: Staff, invoice: str) -> Response:
    """What the customer is shown."""
    return as_pdf(here, invoice)


@ROUTER.post("/accounts/{account}/accept")
def accept(here: Here, who: Billing, account: str) -> Response:
    """Let the next run bill a parked account as it is."""
    with here.context.db.write() as conn:
        parked.accept(conn, account, who.identity.actor)
    return back("/billing#parked")


@ROUTER.post("/accounts/{account}/pay")
def pay(here: Here, who: Serving, account: str, form: Sent) -> Response:
    """Take a payment; the page's key makes a second click the same payment."""
    with here.context.db.write() as conn:
        money = Money.parse(form.get("amount", ""), accounts.get(conn, account).currency)
        method = form.get("method", "cash")[:32]
        payments.pay(conn, account, money, method, _key(form, "the payment"), actor=who.identity.actor)
    return back(f"/accounts/{quote(account)}")


@ROUTER.post("/accounts/{account}/refund")
def refund(here: Here, who: Billing, account: str, form: Sent) -> Response:
    """Give back what is unapplied of a payment, the way it came: through its gateway, or by the bank."""
    reason = required(form, "reason", 80, "a refund without a reason", "write why, such as overpaid")
    payment = form.get("payment", "")[:64]
    with here.context.db.write() as conn:
        money = Money.parse(form.get("amount", ""), accounts.get(conn, account).currency)
        way, key = givebacks.way_back(conn, payment, "bank"), _key(form, "the refund")
        refunds.refund(conn, payment, money, key=key, method=way, actor=who.identity.actor, reason=reason)
    return back(f"/accounts/{quote(account)}#payments")


@ROUTER.post("/accounts/{account}/autopay/off")
def autopay_off(here: Here, who: Serving, account: str) -> Response:
    """Charge nothing any more by itself."""
    with here.context.db.write() as conn:
        autopay.switch_off(conn, account, actor=who.identity.actor)
    return back(f"/accounts/{quote(account)}#autopay")


@ROUTER.post("/accounts/{account}/terms")
def terms(here: Here, who: Billing, account: str, form: Sent) -> Response:
    """Set terms; the page offers those that can still change, and what it does not send stays."""
    said: dict[str, Any] = {name: form[name].strip()[:64] for name in (*TEXTS, *NUMBERS) if name in form}
    for name in NUMBERS & said.keys():
        if not (said[name].isascii() and said[name].isdecimal() and len(said[name]) < 4):
            raise NotUsable(f"{name.replace('_', ' ')} '{said[name]}'", "it is a number such as 14")
        said[name] = int(said[name])
    if "parent" in said:
        said["parent"] = said["parent"] or None
    with here.context.reader() as reader, here.context.db.write() as conn:
        orders.change_account(conn, reader, account, actor=who.identity.actor, **said)
    return back(f"/accounts/{quote(account)}#terms")


@ROUTER.post("/accounts/{account}/promise")
def promise(here: Here, who: Serving, account: str, form: Sent) -> Response:
    """Note a promise to pay; services that were held for it are free at once."""
    text = form.get("until", "")
    try:
        until = days.require(date.fromisoformat(text))
    except ValueError as error:
        raise NotUsable(f"until '{text[:40]}'", "it is a date such as 2026-12-24") from error
    with here.context.db.write() as conn:
        promises.make(conn, account, until, actor=who.identity.actor)
    return back(f"/accounts/{quote(account)}")


@ROUTER.post("/invoices/{invoice}/credit")
def credit(here: Here, who: Billing, invoice: str, form: Sent) -> Response:
    """Draft a credit note for the whole invoice, or for a line or a part of it."""
    with here.context.db.write() as conn:
        owner = accounts.get(conn, invoices.get(conn, invoice)["account_id"])
        position, amount = form.get("line", "").strip(), form.get("amount", "").strip()
        if position and not (position.isdecimal() and len(position) < 6):
            raise NotUsable(f"line '{position[:40]}'", "it is a line's number, such as 2")
        if amount and not position:
            raise NotUsable("an amount without a line", "say of which line it is a part")
        reason = required(form, "reason", 64, "a credit without a reason", "write why, such as outage")
        part = Money.parse(amount, owner.currency) if amount else None
        parts = {int(position): part} if position else None
        key = _key(form, "the credit")
        crediting.credit(conn, invoice, parts, actor=who.identity.actor, reason=reason, key=key)
    return back(f"/invoices/{quote(invoice)}")


def _key(form: Form, what: str) -> str:
    key = form.get("key", "")[:120]
    if not key:
        raise NotUsable(what, "its form has no key; open the page again")
    return key
