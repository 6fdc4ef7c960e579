"""The console in a real browser: log in, see the network, release what is parked, on a telephone too."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import BrowserContext, sync_playwright

from api import tokens
from api.app import create_app
from cli.sockets import listening
from tests.api.parking import park
from tests.support import eventually, need
from tests.world import World

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture
def url(world: World) -> Iterator[str]:
    """Where the console listens."""
    app = create_app(world.one.context, world.one.repo)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    socket = listening("127.0.0.1", 0)
    thread = threading.Thread(target=lambda: server.run(sockets=[socket]), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser of nobody; its window is as narrow as a telephone's."""
    program = need("chromium", apt="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            str(tmp_path / "browser"),
            executable_path=program,
            args=ARGS,
            viewport={"width": 400, "height": 800},
        )
        yield browser
        browser.close()


@pytest.mark.real
def test_a_person_logs_in_sees_the_devices_and_releases_a_parked_set(
    world: World, url: str, chromium: BrowserContext
) -> None:
    """With the keyboard, in a narrow window; the page learns by itself that it landed; our policy blocks nothing."""
    set_id = park(world)
    with world.one.db.write() as conn:
        _, token = tokens.create(conn, "engineer-1", "engineer")
    page = chromium.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    shown = page.locator(".device b").all_inner_texts()
    assert sorted(shown) == ["bng1", "core1", "core2", "olt1"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.get_by_label(f"Repeat the count of {set_id}").fill("2")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/#parked")
    world.one.settle()
    eventually(lambda: page.locator("#tiles", has_text="0 parked").count(), cap=15)
    assert page.locator("#parked").count() == 0
    eventually(lambda: "billing" in page.locator("#commit-list").inner_text(), cap=15)
    assert complaints == []
