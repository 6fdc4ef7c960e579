"""Services and their plans: a price at the service's start, and the same type."""

from collections.abc import Iterator

from intents.checks import Finding, Scope, check
from intents.plan.kind import BESIDE, has_begun
from intents.reader import Reader


@check("prices")
def prices(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A service's plan has a price on the day on which it starts; without a day, any price."""
    for identifier, service in scope.touched(reader, "service", ("plan",)):
        plan = reader.get("plan", service.plan)
        if plan is None or service.state == "ceased":
            continue
        if service.start is not None and plan.prices and not has_begun(plan, service.start):
            first = min(price.from_ for price in plan.prices)
            message = f"plan {service.plan} has no price on {service.start}"
            yield Finding(
                "service.price", "service", identifier, ("plan",), message, f"its first is from {first}"
            )
        elif not plan.prices:
            yield Finding(
                "service.price", "service", identifier, ("plan",), f"plan {service.plan} has no price"
            )
        if plan.type in BESIDE:
            message = f"plan {service.plan} is a plan of type {plan.type}, which goes beside a service"
            hint = "name a plan that is a service; billing adds the others"
            yield Finding("service.plan", "service", identifier, ("plan",), message, hint)
        elif plan.type != service.type:
            message = f"plan {service.plan} is for {plan.type}, the service is {service.type}"
            yield Finding("service.plan", "service", identifier, ("plan",), message, severity="warning")
