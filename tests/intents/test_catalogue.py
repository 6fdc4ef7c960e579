"""Plans that go beside services, contracts, and offers: what does not go together is told with its place."""

import pytest

from intents import loader
from intents.loader import Document
from tests.intents.files import network, problems

PLAN, OFFER = "catalog/plans/p.yaml", "catalog/offers/o.yaml"
PRICE = 'prices: [{id: a, from: 2025-01-01, amount: "1"%s}]\n'
TWO = """\
prices:
  - {id: a, from: 2025-01-01, currency: EUR, amount: "1"}
  - {id: %s, from: %s, amount: "2"}
"""
SPEED = "type: internet\nrate: {down: 5M, up: 1M}\n"


@pytest.mark.parametrize(
    ("path", "text", "code", "place"),
    [
        (PLAN, "type: addon\nrate: {down: 5M, up: 1M}\n", "plan.beside", (2, 7)),
        (PLAN, "type: rental\nfair-use: {quota: 1T, then: {down: 1M, up: 1M}}\n", "plan.beside", (2, 11)),
        (PLAN, 'type: rental\ncontract: {months: 12, fee: "9"}\n', "plan.beside", (2, 11)),
        (PLAN, "type: fee\n" + PRICE % ", every: month", "plan.beside", (2, 56)),
        (PLAN, "type: addon\n" + PRICE % ', minimum: "5"', "plan.price", (2, 58)),
        (PLAN, SPEED + PRICE % ", every: once, bill: arrears", "plan.price", (3, 68)),
        (PLAN, SPEED + PRICE % ', every: once, setup: "5"', "plan.price", (3, 69)),
        (PLAN, SPEED + PRICE % ', every: year, minimum: "5"', "plan.price", (3, 71)),
        (PLAN, SPEED + PRICE % ', minimum: "-5"', "plan.price", (3, 58)),
        (PLAN, SPEED + "contract: {months: 12}\n", "plan.contract", (3, 11)),
        (PLAN, SPEED + 'contract: {months: 12, fee: "9", share: 5}\n', "plan.contract", (3, 11)),
        (PLAN, SPEED + 'contract: {months: 12, fee: "-9"}\n', "plan.contract", (3, 29)),
        (PLAN, SPEED + "contract: {months: 12, share: 0}\n", "plan.contract", (3, 31)),
        (PLAN, SPEED + "contract: {months: 0, share: 5}\n", "value.format", (3, 20)),
        (PLAN, SPEED + "contract: {months: 12, share: 5, fees: 1}\n", "key.unknown", (3, 34)),
        (PLAN, SPEED + "notice: soon\n", "value.format", (3, 9)),
        (PLAN, SPEED + PRICE % ", currency: euro", "value.format", (3, 59)),
        (PLAN, SPEED + PRICE % ", contract: {months: 12}", "plan.contract", (3, 59)),
        (PLAN, SPEED + PRICE % ', contract: {months: 12, fee: "-9"}', "plan.contract", (3, 77)),
        (PLAN, SPEED + PRICE % ", every: once, contract: {months: 12, share: 5}", "plan.price", (3, 72)),
        (PLAN, "type: addon\n" + PRICE % ", contract: {months: 12, share: 5}", "plan.beside", (2, 59)),
        (PLAN, SPEED + TWO % ("a", "2026-01-01, currency: AUD"), "plan.price-twice", (5, 10)),
        (PLAN, SPEED + TWO % ("b", "2025-01-01, currency: EUR"), "plan.price-twice", (5, 19)),
        (OFFER, "type: promotion\n", "offer.discount", (1, 7)),
        (OFFER, 'type: promotion\npercent: 5\namount: "5"\n', "offer.discount", (1, 7)),
        (OFFER, "type: promotion\npercent: 0\n", "offer.discount", (2, 10)),
        (OFFER, "type: promotion\npercent: 0.00001\n", "offer.discount", (2, 10)),
        (OFFER, 'type: promotion\namount: "0.00"\n', "offer.discount", (2, 9)),
        (OFFER, 'type: promotion\npercent: 5\ncap: "-4"\n', "offer.discount", (3, 6)),
        (OFFER, "type: promotion\npercent: 5\nfrom: 2026-02-01\nuntil: 2026-02-01\n", "offer.days", (4, 8)),
        (OFFER, "type: bundle\npercent: 5\nplans: [fibre]\n", "offer.bundle", (3, 8)),
        (OFFER, "type: bundle\npercent: 5\nplans: [a, b]\nmonths: 3\n", "offer.bundle", (4, 9)),
        (OFFER, "type: gift\npercent: 5\n", "value.choice", (1, 7)),
    ],
)
def test_a_mistake_has_its_place(path, text, code, place):
    """File, line and column of the value that is wrong, or of the one that asks for another."""
    found = loader.load(path, text.encode())
    assert not isinstance(found, Document)
    assert [(one.code, (one.line, one.column)) for one in found] == [(code, place)]


def test_two_versions_may_begin_on_one_day_in_two_currencies():
    """The day is a currency's own, the id is the plan's."""
    assert isinstance(loader.load(PLAN, (SPEED + TWO % ("b", "2025-01-01")).encode()), Document)


def test_an_offer_names_plans_that_there_are(tmp_path):
    """A mistyped plan is found where it stands, with the nearest name."""
    files = network()
    files[OFFER] = "type: bundle\npercent: 5\nplans: [home-100, offise]\n"
    (found,) = problems(tmp_path, files)
    assert (found.code, found.path, found.line, found.hint) == (
        "reference.missing",
        OFFER,
        3,
        "did you mean 'office'?",
    )


def test_a_service_is_not_sold_a_plan_that_goes_beside_one(tmp_path):
    """An error, not a warning."""
    files = network()
    path = next(path for path in files if path.endswith("/V-2.yaml"))
    files[path] = files[path].replace("plan: talk", "plan: router")
    (found,) = problems(tmp_path, files)
    assert (found.code, found.severity) == ("service.plan", "error")
    assert "goes beside a service" in found.message
