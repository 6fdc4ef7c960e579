"""The console's pages: what they show, to whom, and that nothing of it can be turned against who looks."""

import re

from fastapi.testclient import TestClient

from api.app import create_app
from api.console.layout import HEIGHT, WIDTH, Place, lay_out
from api.console.pages import refusal
from api.login import link
from core import metrics
from crm import customers
from tests.api.parking import park
from tests.world import BLOCK, World, hold_path


def test_the_home_page_shows_the_whole_network(world: World, browser: TestClient) -> None:
    """Every device with its state, the map, the last commits with their effects."""
    page = browser.get("/").text
    for device in ("bng1", "core1", "core2", "olt1"):
        assert f'href="/devices/{device}"' in page
    assert page.count("as in trunk</span>") == 4
    assert page.count("<circle cx") - 4 == 4  # besides those of our sign
    assert "devices 4/4" in page
    assert world.one.repo.head() in page


def test_what_needs_a_person_is_on_the_home_page(world: World, browser: TestClient) -> None:
    """A parked set with its count, a typo with its place, a paused device."""
    set_id = park(world)
    world.push({hold_path("S-3"): "effect: nonsense\n"})
    world.one.settle()
    page = browser.get("/").text
    assert f'action="/sets/{set_id}/release"' in page
    assert f"{hold_path('S-3')}:1:9" in page


def test_a_parked_set_is_released_by_its_form(world: World, browser: TestClient) -> None:
    """A wrong count changes nothing and says why; the right one lets it land in the person's name."""
    set_id = park(world)
    page = browser.get("/").text
    wrong = browser.post(f"/sets/{set_id}/release", data={"csrf": _secret(page), "expect": "7"})
    assert (wrong.status_code, "would do 2, not 7" in wrong.text) == (409, True)
    assert (
        browser.post(f"/sets/{set_id}/release", data={"csrf": _secret(page), "expect": "x"}).status_code
        == 422
    )
    assert (
        browser.post(f"/sets/{set_id}/release", data={"csrf": _secret(page), "expect": "2"}).status_code
        == 200
    )
    world.one.settle()
    shown = browser.get(f"/sets/{set_id}").text
    assert "landed</span>" in shown
    assert "by admin-1" in shown


def test_a_device_is_paused_and_goes_on_by_its_forms(browser: TestClient) -> None:
    """The page says so, with who and why."""
    secret = _secret(browser.get("/devices/core1").text)
    form = {"csrf": secret, "seconds": "3600", "why": "T-1"}
    assert "admin-1: T-1" in browser.post("/devices/core1/pause", data=form).text
    assert "as in trunk" in browser.post("/devices/core1/unpause", data={"csrf": secret}).text


def test_a_service_page_says_what_restricts_it(world: World, browser: TestClient) -> None:
    """Hold, effect, proof, receipts; the search finds it by its login."""
    world.push({hold_path("S-1", "abuse"): BLOCK})
    world.one.settle()
    page = browser.get("/find", params={"q": "S1@example.net"})
    assert page.url.path == "/services/S-1"
    assert "because of abuse (abuse-1)" in page.text
    assert "proven on the network" in page.text


def test_the_search_leads_to_whatever_is_called_so(world: World, browser: TestClient) -> None:
    """Device, service, commit by its beginning; nothing else is guessed."""
    head = world.one.repo.head() or ""
    for text, place in (
        ("core1", "/devices/core1"),
        ("S-2", "/services/S-2"),
        (head[:9], f"/commits/{head}"),
    ):
        assert browser.get("/find", params={"q": text}).url.path == place
    assert browser.get("/find", params={"q": "--help"}).status_code == 404


def test_what_people_write_is_shown_and_never_run(world: World, browser: TestClient) -> None:
    """Names, commit subjects and searches are text."""
    script = "<script>alert(1)</script>"
    with world.one.db.write() as conn:
        name = customers.add(conn, world.key, script)
    world.push({hold_path("S-1"): BLOCK}, script)
    world.one.settle()
    for page in (f"/customers/{name}", "/", f"/commits/{world.one.repo.head()}", f"/find?q={script}"):
        shown = browser.get(page).text
        assert script not in shown
        assert "&lt;script&gt;alert(1)" in shown


def test_a_viewer_sees_the_network_and_no_people(world: World, client: TestClient) -> None:
    """No buttons that would be refused, no sessions, no customers."""
    set_id = park(world)
    client.get(link(world.one.context, "wall", "viewer"))
    assert "an engineer or billing decides" in client.get("/").text
    assert 'action="/devices/core1/pause"' not in client.get("/devices/core1").text
    assert "Sessions" not in client.get("/services/S-1").text
    assert client.get("/customers/C-1").status_code == 403
    secret = _secret(client.get("/").text)
    assert client.post(f"/sets/{set_id}/release", data={"csrf": secret, "expect": "2"}).status_code == 403


def test_readiness_tells_what_is_missing(world: World, client: TestClient) -> None:
    """Ready while the index follows; 503 with the reason once it has stopped."""
    assert client.get("/healthz").json()["alive"] is True
    assert client.get("/readyz").json()["ready"] is True
    world.push({"trunkline.yaml": "schema: 99\n"})
    world.one.settle()
    stopped = client.get("/readyz")
    assert (stopped.status_code, stopped.json()["problems"][0]["code"]) == (503, "ready.index")


def test_metrics_are_for_those_with_a_token(client: TestClient, caller) -> None:
    """In Prometheus' text format."""
    metrics.REGISTRY.collect()
    assert client.get("/metrics").status_code == 401
    told = client.get("/metrics", headers=caller("viewer").headers)
    assert (told.status_code, told.headers["content-type"].split(";")[0]) == (200, "text/plain")


def test_the_openapi_document_names_every_resource(world: World) -> None:
    """Each operation has a summary, and a model of its answer."""
    document = create_app(world.one.context, world.one.repo).openapi()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert {one["tags"][0] for one in operations} >= {
        "customers", "devices", "events", "invoices", "orders", "payments", "quarantine", "receipts", "services",
        "sets",
    }  # fmt: skip
    assert all(one["summary"] and one["description"] for one in operations)


def test_places_on_the_map_can_be_told_apart() -> None:
    """Ten sites at one address and some far away: none covers another, labels keep clear, all inside the picture."""
    near = [Place(f"perth{n}", f"Perth {n}", -31.95, 115.86) for n in range(10)]
    far = [
        Place("darwin", "Darwin", -12.46, 130.84),
        Place("hobart", "Hobart", -42.88, 147.33),
        Place("lost", "Lost"),
    ]
    spots = lay_out((*near, *far))
    points = [(spot.x, spot.y) for spot in spots.values()]
    assert len(set(points)) == 13
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    gaps = [abs(x - a) + abs(y - b) for x, y in points for a, b in points if (x, y) != (a, b)]
    assert min(gaps) > 18
    assert spots["darwin"].y < spots["perth0"].y < spots["hobart"].y
    assert spots["perth0"].x < spots["darwin"].x < spots["hobart"].x


def _secret(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def test_what_strangers_write_turns_no_page_round():
    """A login may have marks that reverse the writing around it, and escape sequences; letters of any language stay."""
    page = bytes(refusal(404, ["a\u202eb\x9bc <i> می\u200cخواهم"]).body).decode()
    assert "a\\u202eb\\x9bc &lt;i&gt; می\u200cخواهم" in page
