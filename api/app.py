"""The web application: resources are found in `api/<resource>/routes.py`, each offers `ROUTER`."""

import importlib

from fastapi import Depends, FastAPI

from api import answers
from api.given import require_text
from api.here import installed
from api.wire import Guarded
from core import discovery
from intents.repository import Repository
from reconciler.context import Context

_ABOUT = """Run an Internet service provider from the trunk of a Git repository.

Every answer is `{"schema": "trunkline.<what>/1", …, "problems": […]}`. Authenticate with `Authorization: Bearer TOKEN`
(`trunkline token create NAME --role ROLE`). Lists take `limit` and `after`; `next` is the cursor of the next page."""


def create_app(context: Context, repo: Repository) -> FastAPI:
    """The API and console of one installation; makes the key of its cookies."""
    app = FastAPI(
        title="Trunkline", version="1", description=_ABOUT, openapi_url="/api/openapi.json", docs_url=None,
        redoc_url=None, dependencies=[Depends(require_text)],
    )  # fmt: skip
    app.state.installed = installed(context, repo)
    for folder in discovery.folders("api", "routes"):
        app.include_router(importlib.import_module(f"api.{folder}.routes").ROUTER)
    answers.install(app)
    app.add_middleware(Guarded)
    return app
