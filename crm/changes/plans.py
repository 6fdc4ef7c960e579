"""Another plan: billing and the service's file change in one transaction; a refused file takes billing back."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts, catalog, subscriptions
from billing.accounts import Account
from billing.agenda import entries
from billing.agenda.dates import day_of, started_on
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from billing.timeline import Terms, state_on
from billing.wallet import prepaid
from crm.changes.files import put_service, require_active, require_free
from crm.errors import PlanUnknown
from intents.reader import Reader


def ask(
    conn: Connection,
    reader: Reader,
    service: str,
    plan: str,
    at: str,
    *,
    actor: str,
    version: str | None = None,
) -> Entry:
    """Agree on another plan from `at` (a date, `now`, `period-end`); the price version, in the account's currency, is
    pinned now.

    Raises ServiceNotBilled, NotAgreeable, PlanUnknown, PriceMissing, PriceVersionUnknown, PriceCurrencyOther.
    """
    item = subscriptions.item(conn, service)
    owner = accounts.lock(conn, item.account)
    intent = require_active(reader, service)
    paid = prepaid.find(conn, service)
    day = day_of(owner, item, at, paid.paid_until if paid is not None else None)
    started = started_on(item)
    if started is not None and day < started:
        raise NotAgreeable(service, f"{day} is before its first billed day, {started}")
    if paid is None and state_on(item.events, day).terms is None:
        raise NotAgreeable(service, f"it is not active on {day}")
    if paid is not None and paid.state == prepaid.OPEN and day != paid.paid_until:
        raise NotAgreeable(
            service, f"its prepaid period is bought until {paid.paid_until}; say --at period-end"
        )
    sold = reader.get("plan", plan)
    if sold is None:
        raise PlanUnknown(plan, reader.ids("plan"))
    if sold.type != intent.type:
        raise NotAgreeable(service, f"it is {intent.type}, and plan {plan} is {sold.type}")
    if (sold.prepaid is not None) != (paid is not None):
        raise NotAgreeable(
            service, "prepaid and postpaid do not change into each other; cease it and order anew"
        )
    require_free(conn, service, day, entries.CHANGE, entries.CEASE)
    terms = _terms(reader, owner, plan, version, day)
    return entries.add(
        conn, owner, service, entries.CHANGE, day, {"plan": plan, "terms": msgspec.to_builtins(terms)}, actor
    )


def carry_out(conn: Connection, reader: Reader, entry: Entry) -> None:
    """Change both in this transaction. Raises NotAgreeable, ServiceNotBilled."""
    intent = require_active(reader, entry.service)
    terms = msgspec.convert(entry.details["terms"], Terms)
    paid = prepaid.find(conn, entry.service)
    if paid is not None:
        prepaid.change_plan(conn, reader, entry.service, terms)
        before = paid.terms
    else:
        item = subscriptions.item(conn, entry.service)
        old = state_on(item.events, entry.due_on).terms
        if old is None:
            raise NotAgreeable(entry.service, f"it is not active on {entry.due_on}")
        subscriptions.change_terms(conn, entry.service, terms, entry.due_on, entry.actor)
        before = msgspec.to_builtins(old)
        terms = _today(conn, entry) or terms
    undo: dict[str, Any] = {"terms": before, "plan": intent.plan}
    if intent.plan == terms.plan:  # another price version only, or an earlier day's plan: the file is right
        entries.done(conn, entry)
        return
    set_id = put_service(conn, entry, msgspec.structs.replace(intent, plan=terms.plan), "plan-change")
    entries.asked(conn, entry, set_id, undo)


def _today(conn: Connection, entry: Entry) -> Terms | None:
    """What the timeline says today: after a back-dated change that may be what came later."""
    item = subscriptions.item(conn, entry.service)
    return state_on(item.events, max(entry.due_on, accounts.get(conn, item.account).today)).terms


def refused(conn: Connection, entry: Entry) -> None:
    """The file stays as it was, so billing goes back to what it had, unless something newer is said of that day."""
    undo = entry.undo or {}
    old = msgspec.convert(undo["terms"], Terms)
    if prepaid.find(conn, entry.service) is not None:
        prepaid.restore_terms(conn, entry.service, old)
        return
    item = subscriptions.item(conn, entry.service)
    now = state_on(item.events, entry.due_on).terms
    if now == msgspec.convert(entry.details["terms"], Terms):
        subscriptions.change_terms(conn, entry.service, old, entry.due_on, entry.actor)


def _terms(reader: Reader, owner: Account, plan: str, version: str | None, day: date) -> Terms:
    if version is not None:
        return catalog.price_version(reader, plan, version, owner.currency).terms
    return catalog.price_on(reader, plan, day, owner.currency).terms
