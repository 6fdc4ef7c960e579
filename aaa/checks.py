"""What only AAA can check of intents: that a NAS's vendor has a table."""

import difflib
from collections.abc import Iterator

from aaa.vendors.registry import names
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
