"""The invariants of BILLING over a whole database, told by other means than billing uses: plain SQL and day by day.

Each check yields a sentence for each breach; nothing means that all is well.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing import checks
from billing.closing.schedule import schedule
from billing.models import invoice, invoice_line, invoice_tax
from billing.runs import seals
from core.money import half_up

Check = Callable[[Connection, date], Iterator[str]]


def breaches(conn: Connection, day: date) -> list[str]:
    """Every breach of every invariant by the end of a day."""
    return [f"{name}: {told}" for name, check in CHECKS.items() for told in check(conn, day)]


def _rows(conn: Connection, text: str, **given: Any) -> list[Any]:
    types = {name: sa.Date for name, value in given.items() if isinstance(value, date)}
    statement = sa.text(text)
    if types:
        statement = statement.bindparams(*(sa.bindparam(name, type_=kind) for name, kind in types.items()))
    return list(conn.execute(statement, given).mappings())


def _nothing(text: str, said: str) -> Check:
    """No row may come."""

    def check(conn: Connection, day: date) -> Iterator[str]:
        given = {"day": day} if ":day" in text else {}
        yield from (said.format(**row) for row in _rows(conn, text, **given))

    return check


def _intervals(conn: Connection, day: date) -> Iterator[str]:
    """4 and 5: the days billed, counted one by one, are the days on which the timeline has terms and no block."""
    story, billed = _stories(conn), _billed_days(conn)
    parked = {
        row["account_id"] for row in _rows(conn, "SELECT account_id FROM bill_park WHERE accepted_by IS NULL")
    }
    for item, (account, events) in story.items():
        if account in parked:
            continue
        ought = _ought(events, day)
        found = billed.get(item, Counter())
        for one, count in found.items():
            if count != 1:
                yield f"{item} is billed {count} times for {date.fromordinal(one)}"
        missing = [one for one in ought if one <= day.toordinal() and one not in found]
        wrong = [one for one in found if one not in ought]
        if missing or wrong:
            told = [str(date.fromordinal(one)) for one in sorted([*missing, *wrong])][:3]
            yield f"{item}: {len(missing)} days not billed, {len(wrong)} wrongly billed, such as {', '.join(told)}"


def _ought(events: list[tuple[date, str]], day: date) -> set[int]:
    """Ordinals of the days that are to be billed, up to two years after `day`, walking from day to day."""
    found: set[int] = set()
    if not events:
        return found
    active = blocked = False
    waiting = list(events)
    for one in range(waiting[0][0].toordinal(), day.toordinal() + 740):
        while waiting and waiting[0][0].toordinal() <= one:
            what = waiting.pop(0)[1]
            if what in ("blocked", "unblocked"):
                blocked = what == "blocked"
            elif what in ("activated", "ceased"):
                active, blocked = what == "activated", False
        if active and not blocked:
            found.add(one)
        if not waiting and not active:
            break
    return found


def _stories(conn: Connection) -> dict[str, tuple[str, list[tuple[date, str]]]]:
    found: dict[str, tuple[str, list[tuple[date, str]]]] = {}
    query = sa.text(
        "SELECT item_id, account_id, effective, kind FROM subscription_event "
        "JOIN subscription_item i ON i.id = item_id JOIN subscription s ON s.id = subscription_id "
        "WHERE i.role = 'plan' ORDER BY item_id, effective, seq"
    ).columns(effective=sa.Date)
    for row in conn.execute(query):
        found.setdefault(row.item_id, (row.account_id, []))[1].append((row.effective, row.kind))
    return found


def _standing(conn: Connection) -> list[Any]:
    """Charges of days that no reversal takes back."""
    query = sa.text(
        "SELECT c.* FROM charge c LEFT JOIN charge r ON r.reverses = c.id "
        "WHERE c.kind = 'recurring' AND c.reverses IS NULL AND r.id IS NULL"
    ).columns(part_start=sa.Date, part_end=sa.Date, period_start=sa.Date, period_end=sa.Date)
    return list(conn.execute(query))


def _billed_days(conn: Connection) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for row in _standing(conn):
        found[row.item_id].update(range(row.part_start.toordinal(), row.part_end.toordinal()))
    return found


def _proration(conn: Connection, _day: date) -> Iterator[str]:
    """6 and 7: slices of one price in a period add up to the price of their days together, none is out of bounds."""
    together: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in _standing(conn):
        price = msgspec.json.decode(row.terms)["price"]["minor"]
        key = (row.item_id, row.period_start, row.period_end, row.terms)
        sums = together[key]
        sums[0] += row.amount
        sums[1] += (row.part_end - row.part_start).days
        sums[2], sums[3] = price, (row.period_end - row.period_start).days
        if not 0 <= row.amount <= price:
            yield f"{row.item_id}: {row.amount} of {price} for {row.part_start}"
    for key, (amount, days, price, whole) in together.items():
        if amount != half_up(Fraction(price * days, whole)):
            yield f"{key[0]}: {amount} for {days} of {whole} days at {price} from {key[1]}"


def _tax(conn: Connection, _day: date) -> Iterator[str]:
    """16: each subtotal is half-up of its lines' sum times the rate."""
    query = (
        "SELECT l.invoice_id, l.tax_category, l.tax_millionths, l.tax_inclusive, sum(l.amount) AS listed, "
        "sum(l.net) AS net, max(t.base) AS base, max(t.tax) AS tax FROM invoice_line l JOIN invoice_tax t "
        "ON t.invoice_id = l.invoice_id AND t.category = l.tax_category AND t.millionths = l.tax_millionths "
        "AND t.inclusive = l.tax_inclusive WHERE l.credits_invoice IS NULL GROUP BY 1, 2, 3, 4"
    )
    for row in _rows(conn, query):
        part = row["tax_millionths"], 1_000_000 + (row["tax_millionths"] if row["tax_inclusive"] else 0)
        tax = half_up(Fraction(int(row["listed"]) * part[0], part[1]))
        base = int(row["listed"]) - (tax if row["tax_inclusive"] else 0)
        if (tax, base, base) != (row["tax"], row["base"], row["net"]):
            yield f"{row['invoice_id']}: tax {row['tax']} on {row['base']}, lines {row['net']}; not {tax} on {base}"


def _seals(conn: Connection, _day: date) -> Iterator[str]:
    """27: what is final still says what was sealed."""
    lines = _by_invoice(conn, sa.select(invoice_line).order_by(invoice_line.c.position))
    order = (invoice_tax.c.category, invoice_tax.c.millionths, invoice_tax.c.inclusive)
    taxes = _by_invoice(conn, sa.select(invoice_tax).order_by(*order))
    for row in conn.execute(sa.select(invoice).where(invoice.c.state == "final")).mappings():
        if seals.seal(row["seal_version"], dict(row), lines[row["id"]], taxes[row["id"]]) != row["seal"]:
            yield f"{row['number']} was changed"


def _by_invoice(conn: Connection, query: "sa.Select[Any]") -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        found[row["invoice_id"]].append(row)
    return found


def _series(conn: Connection, _day: date) -> Iterator[str]:
    """28 and 29: 1..n without a gap, issue dates never going back."""
    last: dict[tuple[str, str], tuple[int, str]] = {}
    query = (
        "SELECT legal_entity, kind, sequence, issued_on FROM invoice WHERE state = 'final' ORDER BY 1, 2, 3"
    )
    for row in _rows(conn, query):
        key, day = (row["legal_entity"], row["kind"]), str(row["issued_on"])
        number, before = last.get(key, (0, ""))
        if row["sequence"] != number + 1 or day < before:
            yield f"{key}: {row['sequence']} of {day} after {number} of {before}"
        last[key] = (row["sequence"], day)


def _deferred(conn: Connection, day: date) -> Iterator[str]:
    """What is to come by the lines is what the ledger has as deferred, and nothing that is earned is behind."""
    for one in schedule(conn, day):
        if one.behind or one.together != one.booked:
            yield f"{one.legal_entity}, {one.ledger}: {one.together} to come, {one.behind} behind, {one.booked} booked"


def _closed(conn: Connection, _day: date) -> Iterator[str]:
    """A closed month stays what it was."""
    yield from (f"{entity}: {told}" for entity, told in checks.changed(conn))


_OPEN = (
    "(i.total - COALESCE((SELECT sum(a.amount) FROM payment_allocation a WHERE a.invoice_id = i.id "
    "AND a.allocated_on <= :day), 0) - COALESCE((SELECT sum(w.amount) FROM write_off w WHERE w.invoice_id = i.id "
    "AND w.written_on <= :day), 0))"
)
_OPEN_NOW = _OPEN.replace(" AND a.allocated_on <= :day", "").replace(" AND w.written_on <= :day", "")
_OLDEST = (
    f"SELECT h.service, a.timezone, (SELECT min(i.due_on) FROM invoice i WHERE i.account_id = h.account_id "
    f"AND i.state = 'final' AND i.kind = 'invoice' AND {_OPEN_NOW} > 0) AS due "
    "FROM nonpayment_hold h JOIN account a ON a.id = h.account_id WHERE h.held"
)


def _holds(conn: Connection, day: date) -> Iterator[str]:
    """30: who is held has something that is overdue where they live, at noon UTC of the day."""
    for row in _rows(conn, _OLDEST):
        there = datetime.combine(day, time(12), UTC).astimezone(ZoneInfo(row["timezone"])).date()
        if row["due"] is None or str(row["due"]) >= str(there):
            yield f"{row['service']} is held and nothing is overdue"


CHECKS: dict[str, Check] = {
    "4, 5 intervals": _intervals,
    "6, 7 proration": _proration,
    "15 totals": _nothing(
        "SELECT i.id, i.total FROM invoice i WHERE i.total <> i.net + i.tax "
        "OR i.net <> COALESCE((SELECT sum(net) FROM invoice_line l WHERE l.invoice_id = i.id), 0) "
        "OR i.net <> COALESCE((SELECT sum(base) FROM invoice_tax t WHERE t.invoice_id = i.id), 0) "
        "OR i.tax <> COALESCE((SELECT sum(tax) FROM invoice_tax t WHERE t.invoice_id = i.id), 0)",
        "{id} does not add up to {total}",
    ),
    "16 tax": _tax,
    "18 credit notes": _nothing(
        "SELECT number, total, credited FROM (SELECT i.number, i.total, (SELECT sum(n.total) FROM invoice n "
        "WHERE n.state <> 'void' AND n.id IN (SELECT l.invoice_id FROM invoice_line l WHERE l.credits_invoice = i.id)) "
        "AS credited FROM invoice i WHERE i.kind = 'invoice') AS stand WHERE total + credited < 0",
        "{number} of {total} is credited with {credited}",
    ),
    "19 credited lines": _nothing(
        "SELECT l.invoice_id, l.position, l.amount, sum(c.amount) AS credited FROM invoice_line l "
        "JOIN invoice_line c ON c.credits_invoice = l.invoice_id AND c.credits_position = l.position "
        "JOIN invoice n ON n.id = c.invoice_id AND n.state <> 'void' GROUP BY 1, 2, 3 "
        "HAVING (l.amount > 0 AND l.amount + sum(c.amount) < 0) OR (l.amount < 0 AND l.amount + sum(c.amount) > 0)",
        "line {position} of {invoice_id}, {amount}, is credited with {credited}",
    ),
    "20 ledger": _nothing(
        "SELECT transaction_id, currency, sum(amount) AS off FROM ledger_entry GROUP BY 1, 2 HAVING sum(amount) <> 0",
        "{transaction_id} is off by {off} {currency}",
    ),
    "21 receivable": _nothing(
        "SELECT id, open, booked FROM (SELECT a.id, COALESCE(o.open, 0) AS open, COALESCE(b.booked, 0) AS booked "
        f"FROM account a LEFT JOIN (SELECT i.account_id, sum({_OPEN}) AS open FROM invoice i WHERE i.kind = 'invoice' "
        "AND i.state = 'final' AND i.issued_on <= :day GROUP BY 1) AS o ON o.account_id = a.id "
        "LEFT JOIN (SELECT t.account_id, sum(e.amount) AS booked FROM ledger_entry e JOIN ledger_transaction t "
        "ON t.id = e.transaction_id WHERE t.booked_on <= :day AND e.ledger = 'receivable' GROUP BY 1) AS b "
        "ON b.account_id = a.id) AS stand WHERE open <> booked",
        "{id} owes {open}, the books say {booked}",
    ),
    "21 settled": _nothing(
        f"SELECT number FROM (SELECT i.number, i.settled_on, {_OPEN_NOW} AS open FROM invoice i "
        "WHERE i.kind = 'invoice' AND i.state = 'final') AS marks WHERE (open = 0) <> (settled_on IS NOT NULL)",
        "{number} is marked wrongly as settled or open",
    ),
    "22 allocations": _nothing(
        "SELECT id, used FROM (SELECT p.id, p.amount, (SELECT sum(amount) FROM payment_allocation a "
        "WHERE a.payment_id = p.id) AS used, COALESCE((SELECT sum(amount) FROM payment_outflow o "
        "WHERE o.payment_id = p.id), 0) AS gone FROM payment p) AS paid WHERE used > amount - gone "
        "UNION ALL SELECT id, used FROM (SELECT i.id, i.total, (SELECT sum(amount) FROM payment_allocation a "
        "WHERE a.invoice_id = i.id) AS used FROM invoice i WHERE kind = 'invoice') AS owed WHERE used > total",
        "{id}: {used} allocated, more than there is",
    ),
    "23 credit": _nothing(
        "SELECT t.account_id, sum(e.amount) AS credit FROM ledger_entry e JOIN ledger_transaction t "
        "ON t.id = e.transaction_id WHERE e.ledger = 'customer-credit' GROUP BY 1 HAVING sum(e.amount) > 0",
        "{account_id} has used {credit} more credit than it had",
    ),
    "24 captured": _nothing(
        "SELECT id, gone FROM (SELECT p.id, p.amount, COALESCE((SELECT sum(r.amount) FROM refund r "
        "WHERE r.payment_id = p.id AND r.state <> 'failed'), 0) + COALESCE((SELECT sum(c.amount) FROM chargeback c "
        "WHERE c.payment_id = p.id AND c.state = 'open'), 0) AS gone FROM payment p) AS paid WHERE gone > amount",
        "{id}: {gone} refunded and charged back, more than was captured",
    ),
    "27 seals": _seals,
    "28, 29 numbers": _series,
    "30 holds": _holds,
    "33 stages": _nothing(
        "SELECT account_id, debt_due FROM dunning_stage GROUP BY 1, 2 HAVING count(*) <> max(stage)",
        "{account_id} skipped a stage of the debt of {debt_due}",
    ),
    "wallet": _nothing(
        "SELECT account_id, together FROM (SELECT m.account_id, sum(m.amount) AS together FROM wallet_movement m "
        "GROUP BY 1) AS wallet WHERE together < 0 OR together <> -COALESCE((SELECT sum(e.amount) FROM ledger_entry e "
        "JOIN ledger_transaction t ON t.id = e.transaction_id WHERE t.account_id = wallet.account_id "
        "AND e.ledger = 'wallet'), 0)",
        "{account_id} has {together} in its wallet, which is not what the books say",
    ),
    "25 charges": _nothing(
        "SELECT invoice_id, count(*) AS alive FROM gateway_attempt WHERE state IN ('unknown', 'pending') "
        "OR (state = 'succeeded' AND code = '') GROUP BY 1 HAVING count(*) > 1 UNION ALL SELECT a.id, 0 FROM "
        "gateway_attempt a WHERE (a.state = 'succeeded') <> (a.payment_id IS NOT NULL)",
        "{invoice_id} has {alive} charges that came in or may come in, or one without its payment",
    ),
    "deferred": _deferred,
    "closed": _closed,
    "36 once": _nothing(
        "SELECT billable_id FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id WHERE billable_id IS NOT NULL "
        "AND i.state <> 'void' GROUP BY 1 HAVING count(*) > 1",
        "{billable_id} is billed twice",
    ),
}
