"""What a change would do to who answers: realms that go elsewhere or come back, NASes that move in or are cut over."""

from collections.abc import Iterator
from typing import Any

from core.preview import LIST_LIMIT, Comparison, Section, preview
from intents.reader import Reader

_OURS = "we answer"
_MOVING = {
    "none": _OURS,
    "proxy": "the old server answers",
    "shadow": "the old server answers, we are compared",
}


@preview("aaa-elsewhere")
def sections(comparison: Comparison) -> Iterator[Section]:
    """One section; nothing when everybody is answered by whom they were."""
    moved = [*_realms(comparison), *_nases(comparison)]
    if not moved:
        return
    lines = [f"- {what} {name}: {before} → {after}" for what, name, before, after in moved[:LIST_LIMIT]]
    if len(moved) > LIST_LIMIT:
        lines.append(f"- {len(moved) - LIST_LIMIT} more")
    told = "Live sessions stay; the next login is answered by whom it says here."
    yield Section(
        title="Who answers",
        order=25,
        markdown="\n".join([*lines, "", told]),
        data={"moved": [dict(zip(("what", "name", "before", "after"), one, strict=True)) for one in moved]},
    )


def _realms(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    if ("config", "trunkline") not in comparison.changed:
        return
    before, after = _answered(comparison.base), _answered(comparison.head)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, _OURS), after.get(name, _OURS)
        if was != now:
            yield "realm", name, was, now


def _answered(reader: Reader) -> dict[str, str]:
    config = reader.get("config", "trunkline")
    if config is None:
        return {}
    return {name: _realm(realm) for name, realm in config.aaa.realms.items()}


def _realm(realm: Any) -> str:
    return f"{', '.join(map(str, realm.proxy))} answers" if realm.proxy else _MOVING[realm.moving]


def _nases(comparison: Comparison) -> Iterator[tuple[str, str, str, str]]:
    for kind, name in sorted(comparison.changed):
        if kind == "device":
            was, now = (_nas(reader, name) for reader in (comparison.base, comparison.head))
            if was and now and was != now:
                yield "NAS", name, was, now


def _nas(reader: Reader, name: str) -> str:
    device = reader.get("device", name)
    return "" if device is None or device.nas is None else _MOVING[device.nas.moving]
