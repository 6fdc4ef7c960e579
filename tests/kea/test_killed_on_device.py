"""An agent that is killed between the file of reservations and Kea's reading of it: nobody is told that it is done."""

import json

import pytest

from drivers.kea import on_device

HELD = {"circuit-id": "aa01", "client-classes": ["tl-garden"]}
PUT = [{"op": "put", "reservation": HELD}]


@pytest.fixture
def reservations(tmp_path, monkeypatch):
    """The file, and what Kea has read of it; `says` is what Kea has against the next reading."""
    path = tmp_path / "reservations.json"
    path.write_text("[]")
    kea: dict[str, object] = {"path": str(path), "has": [], "says": "", "killed": False}

    def reload() -> str:
        if kea["killed"]:
            raise KeyboardInterrupt
        if not kea["says"]:
            kea["has"] = json.loads(path.read_text())
        return str(kea["says"])

    monkeypatch.setattr(on_device, "reload", reload)
    kea["killed"] = True
    with pytest.raises(KeyboardInterrupt):
        on_device.objects(str(path), PUT)
    kea["killed"] = False
    return kea


def test_the_next_attempt_lets_kea_read_it(reservations):
    """What is in the file already is not therefore in Kea."""
    assert on_device.objects(reservations["path"], PUT) == [[True, False, ""]]
    assert reservations["has"] == [HELD]
    reservations["has"] = []
    assert on_device.objects(reservations["path"], PUT) == [[True, False, ""]]
    assert reservations["has"] == []  # and once is enough


@pytest.mark.parametrize("more", [[], [{"op": "put", "reservation": {"circuit-id": "bb02"}}]])
def test_what_kea_refuses_then_is_refused(reservations, more):
    """The file is again what Kea had read last, and no operation counts as done."""
    reservations["says"] = "duplicate reservation"
    results = on_device.objects(reservations["path"], PUT + more)
    assert results == [[False, False, "duplicate reservation"]] * len(results)
    with open(reservations["path"]) as file:
        assert json.load(file) == []
