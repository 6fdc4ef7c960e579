"""The methods that run over TLS, and what their conversations are made of."""

from aaa.eap import message as eap
from aaa.eap.certificates import Contexts
from aaa.eap.conversation import Conversation
from aaa.eap.peap import PeapPhase
from aaa.eap.resume import Resumable
from aaa.eap.tls import TlsPhase
from aaa.eap.ttls import TtlsPhase
from aaa.eap.tunnel import Tunnel

OVER_TLS = (eap.PEAP, eap.TTLS, eap.TLS)


def new_conversation(kind: int, contexts: Contexts, resumable: Resumable) -> Conversation:
    """A conversation of PEAP, TTLS or TLS."""
    if kind == eap.TLS:
        return Conversation(kind, Tunnel(contexts.client), TlsPhase(contexts.revoked), resumable)
    phase = PeapPhase(resumable) if kind == eap.PEAP else TtlsPhase(resumable)
    return Conversation(kind, Tunnel(contexts.tunnel), phase, resumable)
