"""Runs inside Tryton's own environment: an operator with monthly subscriptions, billed and posted once.

`python bench/billing_tryton_side.py CONFIG DATABASE INVOICES`; prints `phase seconds CPU-seconds` lines.
"""

# mypy: ignore-errors
# Run by the Python of Tryton's own environment: none of its modules is there where we are checked.

import datetime
import sys
import time
from decimal import Decimal

from proteus import Model, Wizard, config
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, create_tax, get_accounts
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

# What it looks at for each number grows with the invoices of a call: 1,000 in one call take hours, in lots they do not.
LOT = 20
BEGUN, DUE = datetime.date(2025, 12, 1), datetime.date(2026, 1, 1)


def main(file: str, database: str, count: int) -> None:
    """Set up, subscribe, bill, post."""
    config.set_trytond(database, config_file=file)
    monthly, service = _catalogue()
    at = _phase("", None)
    _subscribe(count, monthly, service)
    at = _phase("subscribe", at)
    consume = Wizard("sale.subscription.line.consumption.create")
    consume.form.date = BEGUN
    consume.execute("create_")
    bill = Wizard("sale.subscription.create_invoice")
    bill.form.date = DUE
    bill.execute("create_")
    at = _phase("draft", at)
    invoice = Model.get("account.invoice")
    drafts = invoice.find([("state", "=", "draft")])
    for one in drafts:
        one.invoice_date = DUE
    invoice.save(drafts)
    for first in range(0, count, LOT):
        invoice.click(drafts[first : first + LOT], "post")
    _phase("post", at)
    print("posted", len(invoice.find([("state", "=", "posted")])), 0)


def _catalogue():
    create_company()
    company = get_company()
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company, DUE))
    year.click("create_period")
    create_chart(company)
    tax = create_tax(Decimal(".10"), company)
    tax.save()
    category = Model.get("product.category")(name="Internet", accounting=True)
    category.account_revenue = get_accounts(company)["revenue"]
    category.customer_taxes.append(tax)
    category.save()
    monthly = Model.get("sale.subscription.recurrence.rule.set")(name="Monthly")
    monthly.rules[0].freq = "monthly"
    monthly.rules[0].interval = 1
    monthly.save()
    unit = Model.get("product.uom").find([("name", "=", "Unit")])[0]
    template = Model.get("product.template")(name="Internet", type="service", default_uom=unit)
    template.list_price = Decimal("79.00")
    template.account_category = category
    template.save()
    service = Model.get("sale.subscription.service")(product=template.products[0])
    service.consumption_recurrence = monthly
    service.save()
    return monthly, service


def _subscribe(count, monthly, service) -> None:
    party, subscription = Model.get("party.party"), Model.get("sale.subscription")
    customers = [party(name=f"Customer {n}") for n in range(count)]
    party.save(customers)
    made = []
    for customer in customers:
        one = subscription(party=customer, start_date=BEGUN, invoice_start_date=DUE)
        one.invoice_recurrence = monthly
        line = one.lines.new()
        line.service = service
        line.quantity = 1
        made.append(one)
    subscription.save(made)
    subscription.click(made, "quote")
    subscription.click(made, "run")


def _phase(name, since):
    now = time.monotonic(), time.process_time()
    if since is not None:
        print(name, round(now[0] - since[0], 2), round(now[1] - since[1], 2), flush=True)
    return now


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
