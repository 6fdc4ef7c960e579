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
                shared = f"shared:{segment.terms.plan}:{segment.terms.version}"
                yield Part(
                    service=item.service, scope=shared if rule.shared else f"service:{item.service}", rule=rule,
                    period=period, part=part, terms=segment.terms,
                )  # fmt: skip


def together(found: Iterable[Part]) -> dict[tuple[str, str, date], list[Part]]:
    """Parts that are rated as one, by (scope, meter, first day): of a month, those of a service that follow each other
    at one rule, and those of all services that share.
    """
    groups: dict[tuple[str, str, date], list[Part]] = {}
    for one in found:
        same = (members for members in groups.values() if _belongs(one, members[-1]))
        members = next(same, None)
        if members is not None:
            members.append(one)
        else:
            start = one.period.start if one.rule.shared else one.part.start
            groups[one.scope, one.rule.meter, start] = [one]
    return groups


def _belongs(one: Part, last: Part) -> bool:
    if (one.scope, one.period, one.rule) != (last.scope, last.period, last.rule):
        return False
    return one.rule.shared or one.part.start == last.part.end
