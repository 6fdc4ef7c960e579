"""A small Internet service provider with its API, and a client with tokens of every role."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import tokens
from api.app import create_app
from api.login import link
from tests.world import World, settled_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Applied to all devices once; the webhook has a secret."""
    with settled_world(tmp_path / "home", webhook_secret="shared-with-the-forge") as made:
        yield made


class Caller:
    """Calls the API as somebody: `caller("engineer").get("/devices")`."""

    def __init__(self, world: World, client: TestClient, role: str) -> None:
        with world.one.db.write() as conn:
            self.token_id, self.token = tokens.create(conn, f"{role}-1", role)
        self.client = client

    def get(self, path: str, **params: Any):
        """A GET below /api/v1."""
        return self.client.get(f"/api/v1{path}", params=params, headers=self.headers)

    def post(self, path: str, body: Any = None):
        """A POST below /api/v1."""
        return self.client.post(f"/api/v1{path}", json=body, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        """With the token."""
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture
def client(world: World) -> TestClient:
    """Without any token; a fault of ours becomes its answer."""
    app = create_app(world.one.context, world.one.repo)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def caller(world: World, client: TestClient):
    """Role -> Caller."""
    return lambda role: Caller(world, client, role)


@pytest.fixture
def browser(world: World) -> TestClient:
    """A console that an admin has logged in to by a link."""
    made = TestClient(create_app(world.one.context, world.one.repo), raise_server_exceptions=False)
    assert made.get(link(world.one.context, "admin-1", "admin")).status_code == 200
    return made
