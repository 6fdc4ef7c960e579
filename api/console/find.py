"""The search field: an id, a login, or the beginning of a commit leads to its page."""

from api.here import Installed
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


def _service_of_login(reader: Reader, text: str) -> str | None:
    span = exactly("login", text.lower(), ())
    found = reader.claims_overlapping("login", span.low, span.high)
    return next((one.id for one in found if one.kind == "service"), None)
