"""Who answers what the fast path has no words for, by the request's method: `EAP`, `MS-CHAP`, `State`."""

from collections.abc import Callable, Mapping

from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.deferred import Handler
from aaa.radius.nases import NasEntry
from aaa.view.seal import Seal
from core.settings import Settings


def methods(
    settings: Settings,  # noqa: ARG001
    authenticator: Authenticator,  # noqa: ARG001
    seal: Seal,  # noqa: ARG001
    refused: Callable[[str, NasEntry, Verdict], None],  # noqa: ARG001
) -> Mapping[str, Handler]:
    """The handlers of one worker."""
    return {}
