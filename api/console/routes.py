"""The console: pages for people, drawn by the server; they refresh themselves."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from api.console import pages
from api.console.home import home
from api.devices import view
from api.errors import NotThere
from api.here import Here
from api.login.session import Session, visits
from reconciler import baselines, receipts, runs

ROUTER = APIRouter(include_in_schema=False)
Viewer = Annotated[Session, visits("viewer")]
_FILES = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


@ROUTER.get("/")
def home_page(here: Here, who: Viewer) -> Response:
    """The network at a glance."""
    return pages.page("home.html", who, home=home(here))


@ROUTER.get("/devices/{device}")
def device_page(here: Here, who: Viewer, device: str) -> Response:
    """A device: its newest run step by step, its difference, its receipts."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        state = view.device_state(reader, conn, device)
        found = view.runs_of(conn, device, 5)
        return pages.page(
            "device.html", who, device=state, steps=runs.steps(conn, found[0].run_id) if found else [],
            diff=view.last_diff(found), drift_diff=baselines.drifted(conn).get(device, ("", ""))[1],
            receipts=receipts.of_target(conn, device, 20),
        )  # fmt: skip


@ROUTER.get("/static/{name}")
def static(name: str) -> Response:
    """Style, script and icon."""
    if name not in _FILES:
        raise NotThere("file", name)
    return FileResponse(
        pages.STATIC / name, media_type=_FILES[name], headers={"Cache-Control": "max-age=300"}
    )
