"""GoCardless: payments on a mandate. A debit takes days, and its bank may send it back after it was confirmed."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import gocardless_pro
import requests
from gocardless_pro import errors as refusals

from billing.gateways.errors import EventRefused, GatewayRefused, GatewaySilent, KeyRefused
from billing.gateways.protocol import Answer, Gateway, Giveback, Order, Stored, Told
from billing.gateways.state import DEBIT, DISPUTE, FAILED, LOST, PENDING, REFUND, SUCCEEDED, WON, Fact
from core import clock

_SECONDS = (5, 30)
"""How long it may take to connect, and to answer."""
_STATES = {"confirmed": SUCCEEDED, "paid_out": SUCCEEDED, "charged_back": SUCCEEDED, "failed": FAILED,
           "cancelled": FAILED, "customer_approval_denied": FAILED}  # fmt: skip
"""Every other status of a payment is on its way."""
_ACTIONS = {
    "created": PENDING, "customer_approval_granted": PENDING, "submitted": PENDING, "resubmission_requested": PENDING,
    "confirmed": SUCCEEDED, "paid_out": SUCCEEDED, "failed": FAILED, "cancelled": FAILED,
    "customer_approval_denied": FAILED,
}  # fmt: skip
_VERDICTS = {"charged_back": LOST, "chargeback_cancelled": WON}
_REFUNDS = {
    "paid": SUCCEEDED,
    "failed": FAILED,
    "cancelled": FAILED,
    "bounced": FAILED,
    "funds_returned": FAILED,
}
_NEVER = (refusals.ValidationFailedError, refusals.InvalidApiUsageError)
_LOCKED = (refusals.AuthenticationError, refusals.PermissionsError)
_USABLE = ("pending_customer_approval", "pending_submission", "submitted", "active")
_CURRENCIES = {
    "ach": ("USD",), "autogiro": ("SEK",), "bacs": ("GBP",), "becs": ("AUD",), "becs_nz": ("NZD",),
    "betalingsservice": ("DKK",), "faster_payments": ("GBP",), "pad": ("CAD",), "pay_to": ("AUD",),
    "sepa_core": ("EUR",),
}  # fmt: skip
"""What the schemes of mandates pay in."""
_ENDED = ("cancelled", "failed", "expired", "blocked", "consumed")
_CODES = {
    "insufficient_funds": "insufficient_funds", "refer_to_payer": "refer_to_payer",
    "bank_account_closed": "account_closed", "invalid_bank_details": "invalid_account",
    "mandate_cancelled": "mandate_cancelled", "mandate_expired": "mandate_cancelled",
    "direct_debit_not_enabled": "invalid_account",
}  # fmt: skip
"""Causes of GoCardless, as `retrying` knows them; every other one is its own name."""
_SUM = "total_amount_confirmation_invalid"
_GONE = ("mandate_is_inactive", "mandate_payments_require_approval")


def connect(name: str, key: str, webhook: str, address: str) -> Gateway:
    """A connection; nothing is asked yet. A token that begins with `sandbox_` belongs to the sandbox."""
    return GoCardless(name, key, webhook, address)


class GoCardless:
    """The API of GoCardless, or of what speaks it at `address`. An order's `method` is the mandate (MD…)."""

    def __init__(self, name: str, key: str, webhook: str, address: str = "") -> None:
        self._name, self._webhook = name, webhook
        where: dict[str, Any] = {"environment": "sandbox" if key.startswith("sandbox_") else "live"}
        self._api = gocardless_pro.Client(
            access_token=key or "none", timeout=_SECONDS, **({"base_url": address} if address else where)
        )

    def describe(self, _customer: str, method: str) -> Stored:
        """The mandate's scheme, which pays in one currency, and its reference."""
        with self._asking():
            found = self._api.mandates.get(method).attributes
        scheme, status = str(found["scheme"]), str(found["status"])
        wrong = "" if status in _USABLE else f"the mandate is {status}"
        label = " ".join(one for one in (scheme, str(found.get("reference") or "")) if one)
        return Stored(label=label, currencies=_CURRENCIES.get(scheme, ()), wrong=wrong)

    def charge(self, order: Order) -> Answer:
        """Order the debit for the earliest day that the scheme allows. An idempotency key that is known is the payment
        of before.
        """
        wanted = {
            "amount": order.amount, "currency": order.currency, "links": {"mandate": order.method},
            "description": order.description[:100], "metadata": {"attempt": order.key},
        }  # fmt: skip
        try:
            with self._asking():
                made = self._api.payments.create(wanted, {"Idempotency-Key": order.key})
        except refusals.InvalidStateError as error:
            code = "mandate_cancelled" if any(why in _GONE for why in _reasons(error)) else _reasons(error)[0]
            return Answer("", (Fact(DEBIT, FAILED, _now(), code=code),))
        return _said(made.attributes)

    def fetch(self, reference: str) -> Answer:
        """What is true of it now."""
        with self._asking():
            return _said(self._api.payments.get(reference).attributes)

    def find(self, order: Order) -> Answer | None:
        """Among the mandate's payments, by the key in their metadata."""
        with self._asking():
            for one in self._api.payments.all({"mandate": order.method, "limit": 100}):
                if (one.attributes.get("metadata") or {}).get("attempt") == order.key:
                    return _said(one.attributes)
        return None

    def refund(self, wanted: Giveback) -> Fact:
        """Give back a part of it; GoCardless compares what went back in all with what it knows."""
        given = {
            "amount": wanted.amount, "total_amount_confirmation": wanted.total,
            "links": {"payment": wanted.reference}, "metadata": {"refund": wanted.key},
        }  # fmt: skip
        try:
            with self._asking():
                made = self._api.refunds.create(given, {"Idempotency-Key": wanted.key}).attributes
        except refusals.InvalidStateError as error:
            why = ", ".join(_reasons(error))
            if _SUM in why:  # a refund that we have not heard of yet; its event is on its way
                raise GatewaySilent(self._name, why) from error
            raise GatewayRefused(self._name, why) from error
        return _refund({**made, "metadata": given["metadata"]})

    def find_refund(self, wanted: Giveback) -> Fact | None:
        """Among the payment's refunds, by the key in their metadata."""
        with self._asking():
            for one in self._api.refunds.all({"payment": wanted.reference, "limit": 100}):
                found = _refund(one.attributes)
                if found.own == wanted.key:
                    return found
        return None

    def fetch_refund(self, reference: str) -> Answer:
        """What became of it."""
        with self._asking():
            found = self._api.refunds.get(reference).attributes
        return Answer(str((found.get("links") or {}).get("payment") or ""), (_refund(found),))

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[Told]:
        """All events of a webhook: `Webhook-Signature` is HMAC-SHA256 over the body, in hexadecimal."""
        if not self._webhook:
            raise EventRefused(self._name, "no `webhook` secret is set up")
        wanted = hmac.new(self._webhook.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), headers.get("webhook-signature", "").encode()):
            raise EventRefused(self._name, "its signature is wrong")
        try:
            return [_told(event) for event in json.loads(body)["events"]]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise EventRefused(self._name, "it is no event") from error

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """Of payments, refunds and mandates."""
        asked = {"created_at[gte]": _zulu(since), "created_at[lt]": _zulu(until), "limit": 500}
        with self._asking():
            for one in self._api.events.all(asked):
                yield _told(one.attributes)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """What can be wrong with any question, in our words. What a state forbids stays what it is."""
        try:
            yield
        except refusals.InvalidStateError:
            raise
        except _LOCKED as error:
            raise KeyRefused(self._name, type(error).__name__) from error
        except _NEVER as error:
            raise GatewayRefused(self._name, str(error)) from error
        except (refusals.GoCardlessProError, requests.RequestException) as error:
            raise GatewaySilent(self._name, type(error).__name__) from error


def _said(payment: Mapping[str, Any]) -> Answer:
    status = str(payment["status"])
    what = _STATES.get(status, PENDING)
    # That it failed is no cause: that comes with the event.
    code = status if what == FAILED and status != "failed" else ""
    facts = [Fact(DEBIT, what, _now(), code=code)]
    if status == "charged_back":
        facts.append(Fact(DISPUTE, LOST, _now(), str(payment["id"])))
    return Answer(str(payment["id"]), tuple(facts))


def _refund(refund: Mapping[str, Any]) -> Fact:
    what = _REFUNDS.get(str(refund.get("status")), PENDING)
    own, code = str((refund.get("metadata") or {}).get("refund") or ""), str(refund.get("status") or "")
    return Fact(
        REFUND, what, 0, str(refund["id"]), int(refund["amount"]), code if what == FAILED else "", own
    )


def _told(event: Mapping[str, Any]) -> Told:
    about, action, links = str(event["resource_type"]), str(event["action"]), event["links"]
    identifier, kind = str(event["id"]), f"{about}.{action}"
    if about == "mandates":
        mandate = str(links["mandate"])
        instead = {"replaced": str(links.get("new_mandate") or ""), "reinstated": mandate}.get(action, "")
        told = mandate if action in _ENDED or instead else ""
        return Told(id=identifier, kind=kind, mandate=told, instead=instead, at=_at(event))
    if about == "refunds":  # an event tells neither the amount nor the payment
        return Told(id=identifier, kind=kind, refund=str(links["refund"]))
    if about != "payments":
        return Told(id=identifier, kind=kind)
    at, payment = _at(event), str(links["payment"])
    fact = None
    if action in _VERDICTS:
        fact = Fact(DISPUTE, _VERDICTS[action], at, payment)
    elif action in _ACTIONS:
        fact = Fact(DEBIT, _ACTIONS[action], at, code=_code(event) if _ACTIONS[action] == FAILED else "")
    attempt = str((event.get("resource_metadata") or {}).get("attempt") or "")
    return Told(id=identifier, kind=kind, reference=payment, attempt=attempt, fact=fact)


def _at(event: Mapping[str, Any]) -> int:
    return int(datetime.fromisoformat(event["created_at"]).timestamp())


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _code(event: Mapping[str, Any]) -> str:
    cause = str((event.get("details") or {}).get("cause") or event["action"])
    return _CODES.get(cause, cause)


def _reasons(error: refusals.ApiError) -> list[str]:
    return [str(one.get("reason") or one.get("message")) for one in error.errors or []] or [str(error)]


def _now() -> int:
    """An answer says what is true when it is given."""
    return int(clock.now().timestamp())
