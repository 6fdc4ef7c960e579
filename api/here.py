"""What every endpoint works with: this installation, as `Here` in its parameters."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Depends, Request

from api.failures import Failures
from core import crypto
from intents.repository import Repository
from reconciler.context import Context

_KEY_BYTES = 32


class Installed(msgspec.Struct, frozen=True):
    """Context, the bare repository (an object of our own), the key that signs cookies, failed logins."""

    context: Context
    repo: Repository
    key: bytes
    failures: Failures


def _installed(request: Request) -> Installed:
    found: Installed = request.app.state.installed
    return found


Here = Annotated[Installed, Depends(_installed)]


def installed(context: Context, repo: Repository) -> Installed:
    """Put it together: pygit2's objects are not shared with the threads of other parts."""
    own = Repository(repo.path, repo.trunk)
    return Installed(context, own, console_key(context.settings.home), Failures())


def console_key(home: Path) -> bytes:
    """The random key of this installation's cookies, made when it is first asked for (file 0600).

    Nodes that share a load balancer share the file `console.key`.
    """
    path = home / "console.key"
    if not path.exists():
        crypto.write_private(path, os.urandom(_KEY_BYTES))
    return path.read_bytes()
