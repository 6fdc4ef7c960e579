"""Whose logins another RADIUS server answers: proxied realms, and NASes or realms that have not moved in yet."""

from collections.abc import Callable

from aaa.radius.deferred import Handler
from aaa.radius.nases import NasEntry
from aaa.view.lookup import View
from aaa.view.seal import Seal
from core.settings import Settings


def elsewhere(
    settings: Settings,  # noqa: ARG001
    view: View,  # noqa: ARG001
    seal: Seal,  # noqa: ARG001
) -> Callable[[str, NasEntry], Handler | None] | None:
    """(login, NAS) -> the handler that asks there; None where nothing is asked elsewhere at all."""
    return None
