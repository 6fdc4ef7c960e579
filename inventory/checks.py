"""What only the inventory can check of intents: that somebody knows a device's platform."""

import difflib
from collections.abc import Iterator
from functools import cache

from core import discovery
from intents.checks import Finding, Scope, check
from intents.reader import Reader


@check("inventory.platform")
def platform(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A platform is a folder: without a renderer and a driver nothing can ever be put on the device."""
    for device_id, device in scope.of(reader, "device"):
        rendered, driven = _folders()
        missing = [
            word
            for word, known in (("renderer", rendered), ("driver", driven))
            if device.platform not in known
        ]
        if len(missing) == 2:
            yield _unknown(device_id, device.platform, sorted(rendered | driven))
        elif missing and device.manage != "observe":
            yield _half(device_id, device.platform, missing[0])


@cache
def _folders() -> tuple[frozenset[str], frozenset[str]]:
    """Platforms with a renderer and with a driver, by the names of their folders: nothing of them is imported."""
    return (
        frozenset(discovery.folders("renderers", "renderer")),
        frozenset(discovery.folders("drivers", "driver")),
    )


def _unknown(device: str, name: str, known: list[str]) -> Finding:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`trunkline platforms` lists them"
    message = f"'{name}' is no platform that we know: {', '.join(known)}"
    return Finding("value.choice", "device", device, ("platform",), message, hint)


def _half(device: str, name: str, missing: str) -> Finding:
    message = f"platform '{name}' has no {missing} yet: nothing can be written to this device"
    hint = f"add {missing}s/{name}, or only observe the device"
    return Finding("value.choice", "device", device, ("platform",), message, hint, "warning")
