"""Stripe: PaymentIntents of a stored method, confirmed while the customer is away (`off_session`)."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import stripe

from billing.gateways.errors import EventRefused, GatewayRefused, GatewaySilent, KeyRefused
from billing.gateways.protocol import Answer, Gateway, Giveback, Order, Stored, Told
from billing.gateways.state import CHARGE, DISPUTE, FAILED, LOST, OPEN, PENDING, REFUND, SUCCEEDED, WON, Fact

TOLERANCE = 300
"""Seconds that an event's signature may be old."""
_STATES = {"succeeded": SUCCEEDED, "processing": PENDING, "requires_capture": PENDING, "canceled": FAILED}
_CHARGES = {
    "payment_intent.succeeded": SUCCEEDED, "payment_intent.processing": PENDING,
    "payment_intent.payment_failed": FAILED, "payment_intent.canceled": FAILED,
}  # fmt: skip
_VERDICTS = {"won": WON, "lost": LOST}
_REFUNDS = {"succeeded": SUCCEEDED, "failed": FAILED, "canceled": FAILED}
_CURRENCIES = {
    "sepa_debit": ("EUR",),
    "bacs_debit": ("GBP",),
    "au_becs_debit": ("AUD",),
    "us_bank_account": ("USD",),
}
"""What debits pay in; a card pays in any currency."""
_REFUND_EVENTS = ("refund.", "charge.refund.")
_TYPES = [
    *_CHARGES, "refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "charge.dispute.created",
    "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
]  # fmt: skip
"""What is asked for when events are fetched."""


def connect(name: str, key: str, webhook: str, address: str) -> Gateway:
    """A connection; nothing is asked yet."""
    return Stripe(name, key, webhook, address)


class Stripe:
    """The API of Stripe, or of what speaks it at `address`."""

    def __init__(self, name: str, key: str, webhook: str, address: str = "") -> None:
        self._name, self._webhook = name, webhook
        elsewhere: Any = {"api": address} if address else None
        self._api = stripe.StripeClient(key, base_addresses=elsewhere, max_network_retries=0).v1

    def describe(self, customer: str, method: str) -> Stored:
        """The card's brand and last four; it has to be attached to the customer."""
        with self._asking():
            found = self._api.payment_methods.retrieve(method).to_dict()
        kind = str(found["type"])
        told = found.get(kind) or {}
        owner = str(found.get("customer") or "")
        wrong = "" if owner == customer else f"it belongs to {owner or 'nobody'}, not to {customer}"
        label = " ".join(str(told[name]) for name in ("brand", "last4") if told.get(name)) or kind
        return Stored(label=label, currencies=_CURRENCIES.get(kind, ()), wrong=wrong)

    def charge(self, order: Order) -> Answer:
        """Take the money; a decline is a fact."""
        wanted: Any = {
            "amount": order.amount, "currency": order.currency.lower(), "customer": order.customer,
            "payment_method": order.method, "off_session": True, "confirm": True,
            "metadata": {"attempt": order.key, "for": order.description},
        }  # fmt: skip
        try:
            with self._asking():
                made = self._api.payment_intents.create(wanted, {"idempotency_key": order.key})
        except stripe.CardError as error:
            return self._declined(error)
        return self._said(made.to_dict())

    def fetch(self, reference: str) -> Answer:
        """What is true of it now."""
        with self._asking():
            return self._said(self._api.payment_intents.retrieve(reference).to_dict())

    def find(self, order: Order) -> Answer | None:
        """Among the customer's charges, by the key in their metadata: Stripe forgets idempotency keys after a day."""
        with self._asking():
            for one in self._api.payment_intents.list(
                {"customer": order.customer, "limit": 100}
            ).auto_paging_iter():
                said = one.to_dict()
                if (said.get("metadata") or {}).get("attempt") == order.key:
                    return self._said(said)
        return None

    def refund(self, wanted: Giveback) -> Fact:
        """Give back a part of it."""
        given: Any = {
            "payment_intent": wanted.reference, "amount": wanted.amount, "metadata": {"refund": wanted.key},
        }  # fmt: skip
        with self._asking():
            made = self._api.refunds.create(given, {"idempotency_key": wanted.key}).to_dict()
        return _refund({**made, "metadata": given["metadata"]})

    def find_refund(self, wanted: Giveback) -> Fact | None:
        """Among the charge's refunds, by the key in their metadata."""
        with self._asking():
            given: Any = {"payment_intent": wanted.reference, "limit": 100}
            for one in self._api.refunds.list(given).auto_paging_iter():
                found = _refund(one.to_dict())
                if found.own == wanted.key:
                    return found
        return None

    def fetch_refund(self, reference: str) -> Answer:
        """What became of it."""
        with self._asking():
            found = self._api.refunds.retrieve(reference).to_dict()
        return Answer(str(found.get("payment_intent") or ""), (_refund(found),))

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[Told]:
        """One event, with the signature of `Stripe-Signature` over time and body, at most TOLERANCE seconds old."""
        given = headers.get("stripe-signature", "")
        if not self._webhook:
            raise EventRefused(self._name, "no `webhook` secret is set up")
        try:
            text = body.decode()
            stripe.WebhookSignature.verify_header(text, given, self._webhook, TOLERANCE)
            return [_told(json.loads(text))]
        except stripe.SignatureVerificationError as error:
            raise EventRefused(self._name, "its signature is wrong or too old") from error
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise EventRefused(self._name, "it is no event") from error

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """Of charges, refunds and disputes; Stripe keeps them for 30 days."""
        asked: Any = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": 100,
            "types": _TYPES,
        }
        with self._asking():
            for one in self._api.events.list(asked).auto_paging_iter():
                told = _told(one.to_dict())
                if told.fact is not None:
                    yield told

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What can be wrong with any question, in our words. A decline stays what it is."""
        try:
            yield
        except (stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise GatewaySilent(self._name, _short(error)) from error
        except stripe.CardError:
            raise
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            raise KeyRefused(self._name, _short(error)) from error
        except stripe.InvalidRequestError as error:
            raise GatewayRefused(self._name, error.user_message or _short(error)) from error
        except stripe.StripeError as error:
            raise GatewaySilent(self._name, _short(error)) from error

    def _declined(self, error: stripe.CardError) -> Answer:
        intent = getattr(error.error, "payment_intent", None)
        reference = str(intent["id"]) if intent else ""
        code = str(getattr(error.error, "decline_code", None) or error.code or "declined")
        return Answer(reference, (Fact(CHARGE, FAILED, 0, "", 0, code),))

    def _said(self, intent: dict[str, Any]) -> Answer:
        what = _STATES.get(intent["status"], FAILED if intent.get("last_payment_error") else PENDING)
        if intent["status"] == "requires_action":
            return Answer(str(intent["id"]), (Fact(CHARGE, FAILED, 0, "", 0, "authentication_required"),))
        last = intent.get("last_payment_error") or {}
        code = "" if what != FAILED else str(last.get("decline_code") or last.get("code") or intent["status"])
        return Answer(str(intent["id"]), (Fact(CHARGE, what, 0, "", 0, code),))


def _told(event: dict[str, Any]) -> Told:
    kind, thing = str(event["type"]), event["data"]["object"]
    at, fact = int(event["created"]), None
    reference, attempt = (
        str(thing.get("payment_intent") or ""),
        str((thing.get("metadata") or {}).get("attempt") or ""),
    )
    if kind in _CHARGES:
        reference = str(thing["id"])
        last = thing.get("last_payment_error") or {}
        code = str(last.get("decline_code") or last.get("code") or "") if _CHARGES[kind] == FAILED else ""
        fact = Fact(CHARGE, _CHARGES[kind], at, "", 0, code)
    elif kind.startswith(_REFUND_EVENTS):
        fact = _refund(thing)
    elif kind.startswith("charge.dispute."):
        verdict = _VERDICTS.get(str(thing["status"]), OPEN)
        fact = Fact(DISPUTE, verdict, at, str(thing["id"]), int(thing["amount"]))
    return Told(id=str(event["id"]), kind=kind, reference=reference, attempt=attempt, fact=fact)


def _refund(thing: dict[str, Any]) -> Fact:
    what = _REFUNDS.get(str(thing["status"]), PENDING)
    own, code = str((thing.get("metadata") or {}).get("refund") or ""), str(thing.get("failure_reason") or "")
    return Fact(REFUND, what, 0, str(thing["id"]), int(thing["amount"]), code, own)


def _short(error: Exception) -> str:
    """Without what was sent."""
    return type(error).__name__
