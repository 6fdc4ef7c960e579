"""The console: pages for people, drawn by the server; they refresh themselves."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, RedirectResponse, Response

from api.console import commits, details, pages
from api.console.find import find
from api.console.home import home
from api.errors import NotThere, NotUsable
from api.here import Here
from api.login.session import Form, Session, posts, read_form, visits
from api.sets import held
from billing import accounts, payments
from core.money import Money
from reconciler import pausing

ROUTER = APIRouter(include_in_schema=False)
Viewer = Annotated[Session, visits("viewer")]
Staff = Annotated[Session, visits("support", "billing")]
Engineering = Annotated[Session, posts("engineer")]
Deciding = Annotated[Session, posts("billing", "engineer")]
Sent = Annotated[Form, Depends(read_form)]
_FILES = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


@ROUTER.get("/")
def home_page(here: Here, who: Viewer) -> Response:
    """The network at a glance."""
    return pages.page("home.html", who, home=home(here))


@ROUTER.get("/devices/{device}")
def device_page(here: Here, who: Viewer, device: str) -> Response:
    """A device: its newest run step by step, its difference, its receipts."""
    return pages.page("device.html", who, **details.device(here, device))


@ROUTER.get("/services/{service}")
def service_page(here: Here, who: Viewer, service: str) -> Response:
    """A service: what restricts it, whether that is proven, sessions, refusals, receipts."""
    return pages.page(
        "service.html", who, **details.service(here, service, who.may("support", "engineer", "billing"))
    )


@ROUTER.get("/sets/{set_id}")
def set_page(here: Here, who: Viewer, set_id: str) -> Response:
    """A change set and its changes."""
    return pages.page("set.html", who, **details.change_set(here, set_id))


@ROUTER.get("/commits/{commit}")
def commit_page(here: Here, who: Viewer, commit: str) -> Response:
    """A commit: its files, and what it did to the network."""
    return pages.page("commit.html", who, **commits.one(here, commit))


@ROUTER.get("/customers/{customer}")
def customer_page(here: Here, who: Staff, customer: str) -> Response:
    """A customer with accounts, invoices, orders."""
    return pages.page("customer.html", who, **details.customer(here, customer))


@ROUTER.get("/find")
def find_page(here: Here, who: Viewer, q: str = "") -> Response:
    """Go to what is called so."""
    place = find(here, q.strip()[:120])
    return RedirectResponse(place, 303) if place else pages.page("nowhere.html", who, 404, text=q)


@ROUTER.get("/static/{name}")
def static(name: str) -> Response:
    """Style, script and icon."""
    if name not in _FILES:
        raise NotThere("file", name)
    return FileResponse(
        pages.STATIC / name, media_type=_FILES[name], headers={"Cache-Control": "max-age=300"}
    )


@ROUTER.post("/sets/{name}/release")
def release(here: Here, who: Deciding, name: str, form: Sent) -> Response:
    """Let a parked change set or commit pass; `expect` repeats its count."""
    with here.context.db.write() as conn:
        held.let_pass(conn, name, who.identity.actor, _number(form, "expect"))
    return back("/#parked")


@ROUTER.post("/sets/{name}/drop")
def drop(here: Here, who: Deciding, name: str) -> Response:
    """Refuse a parked change set or commit for good."""
    with here.context.db.write() as conn:
        held.refuse(conn, name, who.identity.actor)
    return back("/#parked")


@ROUTER.post("/devices/{device}/pause")
def pause(here: Here, who: Engineering, device: str, form: Sent) -> Response:
    """Write nothing to the device for a while."""
    length = timedelta(seconds=_number(form, "seconds"))
    with here.context.reader() as reader, here.context.db.write() as conn:
        why = form.get("why", "")[:200]
        pausing.pause(conn, device, length, actor=who.identity.actor, why=why, reader=reader)
    return back(f"/devices/{quote(device)}")


@ROUTER.post("/devices/{device}/unpause")
def unpause(here: Here, who: Engineering, device: str) -> Response:
    """Let the device go on."""
    with here.context.db.write() as conn:
        pausing.unpause(conn, device, actor=who.identity.actor)
    return back(f"/devices/{quote(device)}")


@ROUTER.post("/devices/{device}/apply")
def apply(here: Here, who: Engineering, device: str, form: Sent) -> Response:
    """Bring the device to trunk now."""
    overrule = form.get("overrule") == "1"
    with here.context.reader() as reader, here.context.db.write() as conn:
        pausing.apply(conn, reader, [device], actor=who.identity.actor, overrule=overrule)
    return back(f"/devices/{quote(device)}")


@ROUTER.post("/customers/{customer}/pay")
def pay(
    here: Here, who: Annotated[Session, posts("support", "billing")], customer: str, form: Sent
) -> Response:
    """Take a payment; the page's key makes a second click the same payment."""
    with here.context.db.write() as conn:
        account = accounts.get(conn, form.get("account", ""))
        money = Money.parse(form.get("amount", ""), account.currency)
        method, key = form.get("method", "cash")[:32], form.get("key", "")[:120]
        if not key:
            raise NotUsable("the payment", "its form has no key; open the page again")
        payments.pay(conn, account.id, money, method, key, actor=who.identity.actor)
    return back(f"/customers/{quote(customer)}")


def _number(form: Form, name: str) -> int:
    text = form.get(name, "").strip()
    if not text.isdecimal() or len(text) > 9:
        raise NotUsable(f"{name} '{text}'", "it is a whole number")
    return int(text)


def required(form: Form, name: str, most: int, lacking: str, hint: str) -> str:
    """A field that says something, cut to `most` characters. Raises NotUsable: what is lacking, and what to write."""
    text = form.get(name, "").strip()[:most]
    if not text:
        raise NotUsable(lacking, hint)
    return text


def back(place: str) -> Response:
    """After a form: to its page."""
    return RedirectResponse(place, 303)
