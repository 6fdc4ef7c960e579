"""What only AAA can check of intents: that a NAS's vendor has a table, and words for the plans' rates."""

import difflib
from collections.abc import Iterator

from aaa.vendors.attributes import MOST
from aaa.vendors.registry import names, narrow
from intents.checks import Finding, Scope, check
from intents.reader import Reader


@check("aaa.nas-vendor")
def nas_vendor(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A vendor without a table in aaa/vendors would leave the NAS's subscribers without a reply."""
    for device_id, device in scope.of(reader, "device"):
        if device.nas is None or device.nas.vendor in names():
            continue
        near = difflib.get_close_matches(device.nas.vendor, names(), n=1)
        yield Finding(
            "value.choice",
            "device",
            device_id,
            ("nas", "vendor"),
            f"'{device.nas.vendor}' is no NAS vendor that we know: {', '.join(names())}",
            f"did you mean {near[0]}?" if near else "add its table to aaa/vendors, or use generic",
        )


@check("aaa.rate")
def rates(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A vendor whose attribute has 32 bits cannot say more than 4.29 Gbit/s: the session would be slower than sold."""
    plans = [(name, plan) for name, plan in scope.of(reader, "plan") if plan.rate is not None]
    fast = [(name, plan) for name, plan in plans if max(plan.rate.down, plan.rate.up) > MOST]
    if not fast:
        return
    devices = [(name, one.nas.vendor) for name, one in reader.all("device") if one.nas is not None]
    slow = [f"{name} ({vendor})" for name, vendor in devices if vendor in names() and narrow(vendor)]
    for name, _plan in fast if slow else ():
        yield Finding(
            "rate.narrow",
            "plan",
            name,
            ("rate",),
            f"RADIUS has no word for more than 4.29 Gbit/s at {', '.join(slow)}: a session there has that speed",
            "let a profile of the NAS set the speed, or sell the plan where another vendor is the NAS",
            "warning",
        )
