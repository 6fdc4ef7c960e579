"""EAP in an Access-Request: offer a method, follow the conversation, answer (RFC 3579)."""

import os
from collections.abc import Callable, Sequence

import msgspec

from aaa.eap import fragments, md5, mschapv2, reply
from aaa.eap import message as eap
from aaa.eap.certificates import Certificates
from aaa.eap.conversation import Conversation, Conversations
from aaa.eap.judge import Done, Judge, refusal
from aaa.eap.methods import OVER_TLS, new_conversation
from aaa.eap.resume import Resumable
from aaa.eap.state import ALONE, OFFER, TUNNEL, Kept, StateBox, whose
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.deferred import Answer, Ask, Pass, Respond
from aaa.radius.nases import NasEntry

_STATE = 24
_AGAIN = b"\x01"
_NO_PROOF = "the client does not accept our proof of the password"
Settled = Callable[[str, NasEntry, Verdict], None]


class EapHandler:
    """One worker's EAP. `offered`: method numbers, the first is proposed, the others are for who wants them."""

    def __init__(
        self,
        worker: str,
        authenticator: Authenticator,
        settled: Settled,
        certificates: Certificates,
        box: StateBox,
        offered: Sequence[int],
    ) -> None:
        self._worker, self._authenticator, self._settled = worker, authenticator, settled
        self._certificates, self._box, self._offered = certificates, box, offered
        self._resumable = Resumable()
        self.conversations = Conversations()

    def handle(self, ask: Ask, respond: Respond) -> None:
        """Answer one request; what is no EAP gets no answer."""
        respond(self._answer(ask))

    def _answer(self, ask: Ask) -> Answer | Pass | None:
        raw = eap.joined(ask.packet)
        if not raw:  # EAP-Start (RFC 3579 section 2.1)
            return reply.challenge(ask, eap.write(eap.REQUEST, os.urandom(1)[0], eap.IDENTITY, b""))
        response = eap.read(raw)
        if response is None or response.code != eap.RESPONSE:
            return None
        if response.kind == eap.IDENTITY:
            return self._offer(ask, response, self._offered)
        kept = self._box.open(ask.packet.first(_STATE), ask.nas.device)
        if kept is None:
            return self._lost(ask, response)
        if kept.stage == TUNNEL:
            return self._tunnelled(ask, response, kept, raw)
        if kept.identifier != response.identifier:
            return None  # RFC 3748 section 4.1: another identifier is silently discarded
        return self._offered_step(ask, response, kept)

    def _offered_step(self, ask: Ask, response: eap.Eap, kept: Kept) -> Answer | None:
        """The answer to an offer, or to a challenge without a tunnel."""
        if response.kind == eap.NAK:
            return self._other(ask, response, kept)
        if response.kind != kept.kind:
            return self._refused(
                ask, response, f"the client answers {eap.told(response.kind)}, not asked for"
            )
        if kept.stage == ALONE:
            return self._alone(ask, response, kept)
        contexts = self._certificates.contexts()
        if contexts is None:
            return self._refused(ask, response, self._certificates.problem)
        conversation = new_conversation(kept.kind, contexts, self._resumable)
        number = self.conversations.begin(conversation, ask.nas.device)
        return self._step(ask, response, conversation, number)

    def _offer(self, ask: Ask, response: eap.Eap, wanted: Sequence[int], again: bytes = b"") -> Answer:
        """Propose the first of these methods that we can do right now."""
        usable = [kind for kind in wanted if kind in self._offered and self._can(kind)]
        if not usable:
            return self._refused(ask, response, self._why_not(wanted))
        kind, identifier = usable[0], (response.identifier + 1) & 0xFF
        if kind in OVER_TLS:
            return self._challenge(
                ask, Kept(OFFER, kind, identifier, payload=again), bytes((fragments.START,))
            )
        payload, data = _begin_alone(kind, identifier)
        who = whose(ask.asked.login if ask.asked else "")
        return self._challenge(ask, Kept(ALONE, kind, identifier, payload=payload, whose=who), data)

    def _other(self, ask: Ask, response: eap.Eap, kept: Kept) -> Answer:
        """The client does not want what was offered; it names what it does want, once."""
        if kept.payload == _AGAIN:
            return self._refused(ask, response, "the client wants another method again and again")
        return self._offer(ask, response, response.data, _AGAIN)

    def _can(self, kind: int) -> bool:
        return kind not in OVER_TLS or self._certificates.contexts() is not None

    def _why_not(self, wanted: Sequence[int]) -> str:
        if any(kind in self._offered for kind in wanted) and self._certificates.problem:
            return self._certificates.problem
        ours = ", ".join(eap.told(kind) for kind in self._offered)
        theirs = ", ".join(eap.told(kind) for kind in wanted if kind) or "no method that there is"
        return f"the client wants {theirs}; offered are {ours}"

    def _alone(self, ask: Ask, response: eap.Eap, kept: Kept) -> Answer:
        """EAP-MSCHAPv2 and EAP-MD5 without a tunnel: all that we have to know stood in State."""
        judge = Judge(self._authenticator, ask)
        if kept.whose != whose(judge.identity):
            return self._refused(ask, response, "the client changed its identity")
        if kept.kind == eap.MD5:
            challenge = kept.payload

            def proof(password: bytes) -> bool:
                return md5.is_right(response.identifier, challenge, response.data, password)

            return self._end(ask, response, Done(judge.decide(judge.identity, proof), judge.identity))
        exchange = msgspec.msgpack.decode(kept.payload, type=mschapv2.Exchange)
        identifier = (response.identifier + 1) & 0xFF
        step = mschapv2.take(exchange, judge.identity, identifier, response.data, judge.decide)
        if step.request:
            payload = msgspec.msgpack.encode(step.exchange)
            again = msgspec.structs.replace(kept, identifier=identifier, payload=payload)
            if step.verdict is not None and not step.verdict.accepted:
                self._settled(judge.identity, ask.nas, step.verdict)
            return self._challenge(ask, again, step.request)
        if step.exchange.stage == "failure":
            if exchange.stage == "failure":  # it was told and counted before
                return reply.rejected(ask, response.identifier)
            return self._end(ask, response, refusal("wrong-credentials", _NO_PROOF, judge.identity))
        verdict = judge.decide(judge.identity, lambda _proven_before: True)
        return self._end(ask, response, Done(verdict, judge.identity, mschapv2.msk_of(step.exchange)))

    def _tunnelled(self, ask: Ask, response: eap.Eap, kept: Kept, raw: bytes) -> Answer | Pass | None:
        if kept.worker != self._worker:
            return Pass(kept.worker, self._lost(ask, response))
        conversation = self.conversations.find(kept.payload, ask.nas.device)
        if conversation is None:
            return self._lost(ask, response)
        if response.identifier != conversation.identifier:
            if raw == conversation.previous[0]:
                return self._challenge_again(ask, kept, conversation)
            return None
        if response.kind != kept.kind:
            self.conversations.end(kept.payload)
            return self._refused(ask, response, f"the client answers {eap.told(response.kind)} in a tunnel")
        return self._step(ask, response, conversation, kept.payload)

    def _step(self, ask: Ask, response: eap.Eap, conversation: Conversation, number: bytes) -> Answer:
        judge = Judge(self._authenticator, ask)
        answer = conversation.take(response.data, fragments.mtu_of(ask.packet), judge)
        if isinstance(answer, Done):
            self.conversations.end(number)
            told = conversation.told and not answer.verdict.accepted
            return reply.ended(ask, response.identifier, answer) if told else self._end(ask, response, answer)
        if judge.refused is not None:
            conversation.told = True
            self._settled(judge.refused.login, ask.nas, judge.refused.verdict)
        conversation.identifier = (response.identifier + 1) & 0xFF
        conversation.previous = eap.joined(ask.packet), answer
        kept = Kept(TUNNEL, conversation.kind, conversation.identifier, self._worker, number)
        return self._challenge(ask, kept, answer)

    def _challenge_again(self, ask: Ask, kept: Kept, conversation: Conversation) -> Answer:
        again = msgspec.structs.replace(kept, identifier=conversation.identifier)
        return self._challenge(ask, again, conversation.previous[1])

    def _challenge(self, ask: Ask, kept: Kept, data: bytes) -> Answer:
        request = eap.write(eap.REQUEST, kept.identifier, kept.kind, data)
        return reply.challenge(ask, request, self._box.close(kept, ask.nas.device))

    def _end(self, ask: Ask, response: eap.Eap, done: Done) -> Answer:
        login = done.login or (ask.asked.login if ask.asked else "")
        self._settled(login, ask.nas, done.verdict)
        return reply.ended(ask, response.identifier, done)

    def _refused(self, ask: Ask, response: eap.Eap, detail: str) -> Answer:
        return self._end(ask, response, refusal("unsupported-method", detail))

    @staticmethod
    def _lost(ask: Ask, response: eap.Eap) -> Answer:
        """A conversation that ended, expired, or lived in a worker or node that is gone. Nobody was judged."""
        return reply.rejected(ask, response.identifier, delayed=False)


def _begin_alone(kind: int, identifier: int) -> tuple[bytes, bytes]:
    """(what State has to know, type data) of a first challenge without a tunnel."""
    if kind == eap.MD5:
        return md5.begin()
    step = mschapv2.begin(identifier)
    return msgspec.msgpack.encode(step.exchange), step.request
