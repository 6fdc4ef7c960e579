"""Who answers what the fast path has no words for, by the request's method: `EAP`, `MS-CHAP`, `State`."""

from collections.abc import Callable, Mapping

from aaa.eap.certificates import Certificates
from aaa.eap.handler import EapHandler
from aaa.eap.message import offered
from aaa.eap.state import StateBox
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
    folder = settings.home / "radius" / "tls"
    certificates = Certificates(folder)
    if folder.exists():
        certificates.contexts()  # what is wrong with them is told at the start, not at the first login
    methods_offered = offered(settings.radius_eap_methods)
    eap = EapHandler(worker, authenticator, settled, certificates, StateBox(seal), methods_offered)
    return {"MS-CHAP": MsChap(authenticator, settled), "EAP": eap}
