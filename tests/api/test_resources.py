"""Resources: devices, receipts, held sets, quarantine, each page by page and by role."""

import json

import pytest

from tests.world import GARDEN, World, hold_path


def test_devices_are_listed_with_their_state_page_by_page(caller) -> None:
    """Every device once, in order, `next` leading from page to page."""
    viewer = caller("viewer")
    first = viewer.get("/devices", limit=3).json()
    rest = viewer.get("/devices", limit=3, after=first["next"]).json()
    assert first["schema"] == "trunkline.devices/1"
    assert [one["id"] for one in first["devices"] + rest["devices"]] == ["bng1", "core1", "core2", "olt1"]
    assert {one["state"] for one in first["devices"]} == {"verified"}
    assert rest["next"] is None


def test_a_device_shows_its_run_step_by_step(caller) -> None:
    """From desired to verified."""
    viewer = caller("viewer")
    run = viewer.get("/devices/core1").json()["runs"][0]
    steps = viewer.get(f"/devices/core1/runs/{run['id']}").json()["steps"]
    assert [steps[0]["state"], steps[-1]["state"]] == ["desired", "verified"]


def test_a_paused_device_is_not_written_until_it_goes_on(world: World, caller) -> None:
    """A pause by the API holds back the next commit, an unpause lets it through; both name the token's actor."""
    engineer = caller("engineer")
    paused = engineer.post("/devices/core1/pause", {"seconds": 3600, "why": "T-1"}).json()["device"]
    assert (paused["label"], paused["paused"]["actor"]) == ("paused", "engineer-1")
    world.push({"network/links/core1--core2.yaml": _costlier(world)})
    world.one.settle()
    assert engineer.get("/devices/core1").json()["device"]["state"] == "paused"
    engineer.post("/devices/core1/unpause")
    world.one.settle()
    assert engineer.get("/devices/core1").json()["device"]["state"] == "verified"


def test_apply_asks_for_a_run_of_the_indexed_commit(world: World, caller) -> None:
    """It is queued at once and its id told."""
    asked = caller("engineer").post("/devices/core1/apply", {})
    world.one.settle()
    run = caller("viewer").get(f"/devices/core1/runs/{asked.json()['run']}").json()["run"]
    assert (asked.status_code, run["state"]) == (202, "verified")


def test_receipts_are_found_by_commit_and_by_target(world: World, caller) -> None:
    """A prefix of the commit is enough."""
    held = world.push({hold_path("S-1"): GARDEN})
    world.one.settle()
    viewer = caller("viewer")
    (found,) = viewer.get("/receipts", commit=held[:10], target="S-1").json()["receipts"]
    assert (found["lane"], found["step"], found["commit_id"]) == (1, "policy", held)
    assert viewer.get("/receipts", target="nothing").json()["receipts"] == []


@pytest.mark.parametrize("cursor", ["9" * 30, "-1", "\u0661", "x"])
@pytest.mark.parametrize("path", ["/events", "/receipts", "/sets"])
def test_a_cursor_that_is_none_of_ours_is_refused(caller, path: str, cursor: str) -> None:
    """A number beyond every sequence is the caller's mistake, not a fault of ours."""
    assert caller("admin").get(path, after=cursor).status_code == 422


@pytest.mark.parametrize("amount", ["1e999999999", "NaN", "9" * 20])
@pytest.mark.parametrize("currency", ["AUD", "\ud800"])
def test_a_payment_that_nobody_can_read_is_refused(caller, client, amount: str, currency: str) -> None:
    """Exponents, endless digits and half a surrogate pair are refused with 422 and change nothing."""
    wanted = json.dumps({"account": "A-1", "amount": amount, "currency": currency})
    headers = caller("billing").headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    told = client.post("/api/v1/payments", content=wanted, headers=headers)
    assert (told.status_code, told.json()["schema"]) == (422, "trunkline.error/1")


def test_what_is_quarantined_is_told_with_its_place(world: World, caller) -> None:
    """A typo in trunk: path, line, column and message."""
    world.push({hold_path("S-1"): "effect: nonsense\n"})
    world.one.settle()
    (bad,) = caller("viewer").get("/quarantine").json()["quarantined"]
    assert (bad["path"], bad["problems"][0]["line"]) == (hold_path("S-1"), 1)


def _costlier(world: World) -> str:
    return world.files["network/links/core1--core2.yaml"].replace("ospf: 10", "ospf: 55")
