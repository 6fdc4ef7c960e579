"""What the guards would say of a change: whether it is parked when it lands, and which count lets it pass."""

from collections.abc import Iterator

import msgspec

from core.preview import Comparison, Section, preview
from intents import guards
from intents.guards import Totals, Tripped


@preview("intents")
def sections(comparison: Comparison) -> Iterator[Section]:
    """One section when a guard of trunk would hold the change back; the limits are those before the change."""
    tripped = tripped_guard(comparison)
    if tripped is not None:
        yield Section(
            title="Guards",
            order=5,
            markdown=(
                f"⚠️ This change would be **parked**: {tripped}. Nothing of it is applied before a person says "
                f"`trunkline release COMMIT --expect {tripped.count}`."
            ),
            data=msgspec.to_builtins(tripped),
        )


def tripped_guard(comparison: Comparison) -> Tripped | None:
    """The guard that the change trips, or None."""
    config = comparison.base.get("config", "trunkline")
    if config is None:
        return None
    head = comparison.head
    pairs = ((kind, not head.exists(kind, name)) for kind, name in comparison.changed)
    weight = guards.weigh(pairs)
    if not (weight.restrict or weight.deletes or weight.devices):
        return None
    totals = Totals(len(comparison.base.ids("service")), len(comparison.base.ids("device")))
    return guards.judge(config.guards, weight, totals)
