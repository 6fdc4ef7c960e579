"""What only the inventory can check of intents."""

import pytest

from intents.checks import Finding, Scope
from intents.reader import MemoryReader
from inventory import checks


def _findings(name: str, manage: str = "full") -> list[Finding]:
    return list(checks.platform(_reader(name, manage), Scope()))


def _reader(name: str, manage: str) -> MemoryReader:
    from intents.device.schema import Device

    device = Device(site="perth1", role="router", platform=name, manage=manage)  # type: ignore[arg-type]
    return MemoryReader.of([("device", "core1", device)])


def test_an_unknown_platform_is_an_error_with_the_nearest_name() -> None:
    """Its place is the field."""
    (found,) = _findings("virtuel")
    assert (found.severity, found.field, found.hint) == ("error", ("platform",), "did you mean virtual?")


@pytest.mark.parametrize("name", ["virtual", "frr", "linux_pppd"])
def test_a_platform_with_both_folders_is_fine(name: str) -> None:
    """Nothing is found."""
    assert _findings(name) == []


def test_a_platform_that_cannot_be_written_is_a_warning_unless_it_is_only_observed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A renderer alone can preview."""
    monkeypatch.setattr(checks, "_folders", lambda: (frozenset({"acme"}), frozenset({"virtual"})))
    assert [one.severity for one in _findings("acme")] == ["warning"]
    assert _findings("acme", "observe") == []
