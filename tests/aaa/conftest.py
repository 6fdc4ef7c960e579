"""Fixtures of AAA's tests: a network, a node's settings, and a server over its snapshot."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aaa.eap.authority import Authority
from aaa.limits.limit import NONE
from aaa.limits.limit import Limits as RecordedLimits
from aaa.radius.exchange import RadiusClient
from aaa.radius.limits import Limits
from aaa.radius.server import RadiusServer
from core.db import Database
from core.migrate import upgrade
from core.settings import Settings
from tests.aaa.network import SECRET, Network, settings_in, write_snapshot
from tests.aaa.opened import check_open

QUICK = Limits(reject_delay=0.0)


@pytest.fixture
def network() -> Network:
    """Two BNGs and three subscribers."""
    made = Network()
    for number in (1, 2, 3):
        made.subscriber(number)
    return made


@pytest.fixture
def node(tmp_path: Path, network: Network, sqlite_template: Path) -> Settings:
    """A node with a snapshot of the network and a migrated database."""
    settings = settings_in(tmp_path)
    (tmp_path / "trunkline.db").write_bytes(sqlite_template.read_bytes())
    write_snapshot(network, settings)
    return settings


@pytest.fixture
def database(database: Database) -> Iterator[Database]:
    """Recorded state on either database; in the end its table of open sessions has these and no others."""
    yield database
    check_open(database)


@pytest.fixture
def recorded(node: Settings) -> Iterator[Database]:
    """The node's recorded state."""
    db = Database(node.database_url)
    upgrade(db)
    yield db
    check_open(db)
    db.close()


@pytest.fixture
def server(node: Settings) -> Iterator[RadiusServer]:
    """A server in this process, without reject delay."""
    with RadiusServer(node, limits=QUICK, in_process=True) as running:
        yield running


def client_of(server: Any, source: str = "127.0.0.1", secret: bytes = SECRET, **given: Any) -> Any:
    """A client of a running server; untyped, so that a test may look at a reply without asking whether it came."""
    return RadiusClient("127.0.0.1", server.auth_port, server.acct_port, secret, source, **given)


Dial = Callable[..., RadiusClient]


@pytest.fixture
def nas(server: RadiusServer) -> Iterator[Dial]:
    """Makes clients of the server; the source address says which NAS they are."""
    made: list[RadiusClient] = []

    def client(source: str = "127.0.0.1", secret: bytes = SECRET, **given: Any) -> RadiusClient:
        one: RadiusClient = client_of(server, source, secret, **given)
        made.append(one)
        return one

    yield client
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA with a server's certificate, made once."""
    folder = tmp_path_factory.mktemp("tls")
    made = Authority.make(folder, "Example Net")
    made.serve("radius.example.net")
    return made


@pytest.fixture
def certified(node, authority):
    """The node has the certificates."""
    folder = node.home / "radius" / "tls"
    folder.mkdir(parents=True)
    for name in ("ca.pem", "server.pem", "server.key", "ca.key"):
        (folder / name).write_bytes((authority.folder / name).read_bytes())
    return folder


Anew = Callable[..., tuple[RadiusServer, RadiusClient]]


@pytest.fixture
def anew(node: Settings) -> Iterator[Anew]:
    """Writes a network's snapshot (with recorded limits) and starts a server from it; gives it and a client of it."""
    running: list[tuple[RadiusServer, RadiusClient]] = []

    def start(network: Network, limits: RecordedLimits = NONE) -> tuple[RadiusServer, RadiusClient]:
        write_snapshot(network, node, limits=limits)
        server = RadiusServer(node, limits=QUICK, in_process=True).start()
        client = client_of(server)
        running.append((server, client))
        return server, client

    yield start
    for server, client in running:
        client.close()
        server.stop()
