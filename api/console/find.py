"""The search field: an id, a login, or the beginning of a commit leads to its page."""

import contextlib

from sqlalchemy.engine import Connection

from api.here import Installed
from billing import accounts, invoices
from billing.errors import AccountUnknown, InvoiceUnknown
from crm import customers
from intents.claims import exactly
from intents.reader import Reader
from intents.repository import GitFailed, Repository

_SHORTEST_COMMIT = 6


def find(here: Installed, text: str) -> str | None:
    """The address of what is meant; None where nothing is."""
    with here.context.reader() as reader:
        for kind, place in (("device", "devices"), ("service", "services")):
            if reader.exists(kind, text):
                return f"/{place}/{text}"
        login = _service_of_login(reader, text)
    if login is not None:
        return f"/services/{login}"
    if text.startswith("set_"):
        return f"/sets/{text}"
    with here.context.db.read() as conn:
        if customers.exists(conn, text):
            return f"/customers/{text}"
        if (billed := _of_billing(conn, text)) is not None:
            return billed
    commit = commit_of(here.repo, text)
    return f"/commits/{commit}" if commit else None


def commit_of(repo: Repository, text: str) -> str | None:
    """The commit that begins so."""
    if len(text) < _SHORTEST_COMMIT or not all(char in "0123456789abcdef" for char in text):
        return None
    try:
        return repo.git("rev-parse", "--verify", "--quiet", f"{text}^{{commit}}").decode().strip()
    except GitFailed:
        return None


def _of_billing(conn: Connection, text: str) -> str | None:
    """The page of a billing account or of an invoice by its number."""
    with contextlib.suppress(AccountUnknown):
        return f"/accounts/{accounts.get(conn, text).id}"
    with contextlib.suppress(InvoiceUnknown):
        return f"/invoices/{invoices.get(conn, text)['number'] or text}"
    return None


def _service_of_login(reader: Reader, text: str) -> str | None:
    span = exactly("login", text.lower(), ())
    found = reader.claims_overlapping("login", span.low, span.high)
    return next((one.id for one in found if one.kind == "service"), None)
