"""Who may call, and what never leaks."""

import hashlib
import hmac
import importlib
import json
import re
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api import tokens
from api.app import create_app
from api.bank.upload import Uploads
from api.errors import TokenRefused
from api.failures import LIMIT
from api.login import link
from api.login.session import COOKIE, Visits
from api.security import Needs
from core import clock, discovery, logs
from tests.support import trunkline
from tests.world import World

PUBLIC = {"/healthz", "/readyz", "/login", "/static/{name}", "/webhooks/git", "/webhooks/gateways/{gateway}"}


def test_every_address_declares_who_may_call_it() -> None:
    """Besides health, login, static files and the signed webhook; a new resource cannot forget it."""
    undeclared = {route.path for route in _routes() if not _declared(route.dependant)}
    assert undeclared == PUBLIC


@pytest.mark.parametrize("said", [None, "Bearer tok_0.nonsense", "Bearer ", "Basic YTpi"])
def test_without_a_token_nothing_is_told(client: TestClient, said: str | None) -> None:
    """401 with the JSON contract, for whatever is read or done; so for a token that nobody made."""
    headers = {} if said is None else {"Authorization": said}
    for route in _routes():
        if route.path.startswith(("/api/", "/metrics")):
            for method in route.methods or ():
                answer = client.request(method, route.path, headers=headers)
                assert (answer.status_code, answer.json()["schema"]) == (401, "trunkline.error/1"), route.path


@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        ("viewer", "/devices/core1/pause", {"seconds": 60}),
        ("support", "/devices/core1/apply", {}),
        ("support", "/sets/set_1/release", {"expect": 1}),
        ("engineer", "/customers", {"name": "Ada"}),
        ("billing", "/orders", {"customer": "C-1", "plan": "fibre-500", "access": {}}),
    ],
)
def test_another_role_is_refused(caller, role: str, path: str, body: dict) -> None:
    """403, and the answer says which role it takes."""
    refused = caller(role).post(path, body)
    assert refused.status_code == 403
    assert refused.json()["problems"][0]["code"] == "role-lacking"


def test_a_revoked_and_an_expired_token_are_refused(world: World, caller) -> None:
    """At once, and alike."""
    viewer = caller("viewer")
    assert viewer.get("/devices").status_code == 200
    with world.one.db.write() as conn:
        tokens.revoke(conn, viewer.token_id, "admin-1")
        _, short = tokens.create(conn, "night-shift", "viewer", timedelta(hours=8))
    assert viewer.get("/devices").status_code == 401
    later = clock.now() + timedelta(hours=9)
    with clock.frozen(later), world.one.db.read() as conn, pytest.raises(TokenRefused):
        tokens.identify(conn, short)


def test_a_token_is_kept_only_as_its_hash(world: World, caller) -> None:
    """Whoever reads the database cannot call with what is there."""
    secret = caller("admin").token.split(".")[1]
    home = world.settings.home
    world.one.db.close()
    assert not [path for path in home.glob("trunkline.db*") if secret.encode() in path.read_bytes()]


def test_a_form_without_its_secret_is_refused(browser: TestClient) -> None:
    """403 for every form of the console, and nothing has changed."""
    forms = [route.path for route in _routes() if route.methods == {"POST"} and not _is_api(route)]
    assert len(forms) > 6
    for path in forms:
        address = re.sub(r"{\w+}", "INV-000001", path)
        for form in ({}, {"csrf": "0" * 64}):
            assert browser.post(address, data=form, follow_redirects=False).status_code == 403, path
    assert browser.get("/devices/core1").text.count("Let it go on") == 0


def test_a_login_from_another_page_is_refused(client: TestClient) -> None:
    """The login form carries a secret too."""
    assert client.post("/login", data={"token": "x"}).status_code == 403


def test_a_login_link_works_once_and_for_ten_minutes(world: World, client: TestClient) -> None:
    """The second try, and one that comes too late, see the login form."""
    address = link(world.one.context, "demo", "viewer")
    first = client.get(address)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    client.cookies.clear()
    assert client.get(address).status_code == 401
    late = link(world.one.context, "demo", "viewer")
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        assert client.get(late).status_code == 401


def test_the_session_cookie_is_bound_and_ends_with_its_token(world: World, client: TestClient) -> None:
    """HttpOnly, SameSite=Strict; changed by a letter, or its token revoked: back to the login page."""
    said = client.get(link(world.one.context, "demo", "viewer")).headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=strict" in said
    assert client.get("/").status_code == 200
    good = client.cookies[COOKIE]
    client.cookies.set(COOKIE, good.replace("tok_", "tok-"))
    assert client.get("/").headers.get("location") == "/login"
    client.cookies.clear()
    client.cookies.set(COOKIE, good)
    with world.one.db.write() as conn:
        tokens.revoke(conn, good.split("~")[0], "admin-1")
    assert client.get("/").headers.get("location") == "/login"


def test_guessing_tokens_is_slowed_down(client: TestClient) -> None:
    """After ten failures the next login is not even looked at."""
    page = client.get("/login").text
    secret = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": secret, "token": "tok_1.guess"}
    seen = [client.post("/login", data=form).status_code for _ in range(LIMIT + 1)]
    assert seen == [401] * LIMIT + [429]


def test_a_person_logs_in_with_a_token_and_out_again(client: TestClient, caller) -> None:
    """The form, the cookie, the way back."""
    secret = client.get("/login").text.split('name="csrf" value="')[1].split('"')[0]
    welcome = client.post("/login", data={"csrf": secret, "token": caller("viewer").token})
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
    home = client.get("/").text
    assert "viewer-1" in home
    own = home.split('name="csrf" value="')[1].split('"')[0]
    assert client.post("/logout", data={"csrf": own}).headers["location"] == "/login"
    assert client.get("/").headers.get("location") == "/login"


def test_a_webhook_must_be_signed(world: World, client: TestClient) -> None:
    """HMAC-SHA256 over the body; a wrong one is refused and queues nothing, one delivery is one job."""
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    mac = hmac.new(b"shared-with-the-forge", body, hashlib.sha256).hexdigest()
    for signature in ("", "sha256=", "sha256=" + "0" * 64, mac):
        refused = client.post("/webhooks/git", content=body, headers={"X-Hub-Signature-256": signature})
        assert refused.status_code == 401
    signed = {"X-Hub-Signature-256": f"sha256={mac}"}
    assert client.post("/webhooks/git", content=body, headers=signed).json()["queued"] is True
    assert client.post("/webhooks/git", content=body, headers=signed).json()["queued"] is False
    other = client.post("/webhooks/git", content=body + b" ", headers=signed)
    assert other.status_code == 401
    assert world.one.worker.run_once() == 1


def test_no_token_is_ever_logged(world: World, client: TestClient, caller, capfd) -> None:
    """Not by a refusal, not by a fault, not by a login, whatever the format."""
    logs.configure("json")
    admin, address = caller("admin"), link(world.one.context, "demo", "viewer")
    admin.get("/devices/nothing")
    client.get(address)
    client.get(address)
    client.get("/api/v1/devices", headers={"Authorization": "Bearer " + admin.token[:-1]})
    broken = create_app(world.one.context, world.one.repo)
    broken.state.installed = None
    told = TestClient(broken, raise_server_exceptions=False).get("/api/v1/devices", headers=admin.headers)
    assert told.status_code == 500
    assert "Traceback" not in told.text
    out = "".join(capfd.readouterr())
    assert "a fault of ours" in out
    assert admin.token.split(".")[1] not in out
    assert address.split("=")[1] not in out


def test_pages_let_a_browser_do_only_what_they_need(browser: TestClient) -> None:
    """No script or style but our own files, no frames, nothing cached."""
    page = browser.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "style=" not in page.text
    assert "http://" not in page.text.replace("http://testserver", "")


def test_a_body_that_is_too_long_is_not_read(client: TestClient) -> None:
    """A megabyte is plenty."""
    assert client.post("/webhooks/git", content=b"x" * (1 << 20) + b"x").status_code == 413


def test_the_command_makes_lists_and_revokes_tokens(world: World, client: TestClient) -> None:
    """What it prints works, once revoked it does not; a list shows no secret."""
    home = ["--home", str(world.settings.home)]
    made = trunkline("token", "create", "noc", "--role", "viewer", *home).stdout.strip()
    headers = {"Authorization": f"Bearer {made}"}
    assert client.get("/api/v1/devices", headers=headers).status_code == 200
    listed = trunkline("token", "list", *home).stdout
    assert made.split(".")[0] in listed
    assert made.split(".")[1] not in listed
    assert trunkline("token", "revoke", made.split(".")[0], *home).returncode == 0
    assert client.get("/api/v1/devices", headers=headers).status_code == 401
    assert trunkline("token", "create", "noc", "--role", "king", *home).returncode == 3


def _routes() -> list[APIRoute]:
    """Every endpoint of every resource."""
    folders = discovery.folders("api", "routes")
    routers = [importlib.import_module(f"api.{name}.routes").ROUTER for name in folders]
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert len(found) > 40
    return found


def _is_api(route: APIRoute) -> bool:
    return route.path.startswith(("/api/", "/webhooks/"))


def _declared(dependant) -> bool:
    calls = [one.call for one in dependant.dependencies]
    return any(isinstance(call, Needs | Visits | Uploads) for call in calls)
