"""Which parts of which months are rated, by which rule, for whom. Pure."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date

import msgspec

from billing.periods import Cadence, Period
from billing.rating.rules import Rule
from billing.subscriptions import Item
from billing.timeline import Terms, segments

Rules = Callable[[Terms], tuple[Rule, ...]]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a month in which one rule held for a service. `scope`: who uses together."""

    service: str
    scope: str
    rule: Rule
    period: Period
    part: Period
    terms: Terms


def months(anchor: int, on: date, count: int) -> list[Period]:
    """The last `count` months of an account that are over by `on`, oldest first."""
    monthly = Cadence(anchor)
    last = monthly.index(on) - 1
    return [monthly.period(k) for k in range(last - count + 1, last + 1)]


def parts(items: Iterable[Item], period: Period, rules: Rules) -> Iterator[Part]:
    """The parts of a month of an account's services, in order."""
    for item in items:
        for segment in segments(item.events):
            part = period.clip(segment.start, segment.end)
            if part is None:
                continue
            for rule in rules(segment.terms):
                own, shared = scopes(item.service, segment.terms)
                yield Part(
                    service=item.service, scope=shared if rule.shared else own, rule=rule, period=period, part=part,
                    terms=segment.terms,
                )  # fmt: skip


def scopes(service: str, terms: Terms) -> tuple[str, str]:
    """Who uses together: a service by itself, or all of an account that have the price and share."""
    return f"service:{service}", f"shared:{terms.plan}:{terms.version}"


def together(found: Iterable[Part]) -> dict[tuple[str, str, date], list[Part]]:
    """Parts that are rated as one, by (scope, meter, first day): those of a month at one rule, of a service or of all
    that share. A pause between them, or days at another rule, give nobody a cap, tiers or packages twice.
    """
    rated: dict[tuple[str, Period, Rule], list[Part]] = {}
    for one in found:
        rated.setdefault((one.scope, one.period, one.rule), []).append(one)
    groups = {}
    for (scope, period, rule), members in rated.items():
        members.sort(key=lambda one: one.part.start)
        groups[scope, rule.meter, period.start if rule.shared else members[0].part.start] = members
    return groups
