"""Who answers what the fast path has no words for, by the request's method: `EAP`, `MS-CHAP`, `State`."""

from collections.abc import Callable, Mapping

from aaa.mschap.handler import MsChap
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.deferred import Handler
from aaa.radius.nases import NasEntry
from aaa.view.seal import Seal
from core.settings import Settings


def methods(
    settings: Settings,
    worker: str,
    authenticator: Authenticator,
    seal: Seal,
    settled: Callable[[str, NasEntry, Verdict], None],
) -> Mapping[str, Handler]:
    """The handlers of one worker. `settled` is told of every decision: (login, NAS, verdict)."""
    return {"MS-CHAP": MsChap(authenticator, settled)}
