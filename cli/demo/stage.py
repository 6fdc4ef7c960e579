"""The stage of the demo: a home, virtual devices behind real SSH, NAS stand-ins, everything served on loopback."""

import secrets
import socket
from pathlib import Path

import msgspec

from aaa.radius.client import NasStandIn, StandInSession
from aaa.radius.exchange import RadiusClient, Reply, circuit_attribute
from cli.example.network import example_documents, example_files
from cli.example.options import ExampleOptions
from cli.installation import Installation
from cli.serving import Serving
from core import crypto
from core.errors import Terminal
from core.settings import Settings
from drivers.virtual.device import DeviceSpec, Login
from drivers.virtual.fleet import VirtualFleet
from intents.config.schema import RadiusServer, Rollout
from intents.device.schema import Management
from intents.init import init_repository
from intents.kinds import path_of
from intents.scalars import Address, Duration
from inventory.access import attachment

BNGS = ("bng1", "bng2")


class ServiceOffline(Terminal):
    """A service that should have a session has none."""

    def __init__(self, service: str) -> None:
        super().__init__(f"service {service} could not log in; look at `trunkline radius explain {service}`")


class Stage:
    """Made in `home`; `serve()` starts everything, `close()` ends it."""

    def __init__(self, home: Path, services: int = 300, api_port: int = 0) -> None:
        self.clear: dict[tuple[str, str], str] = {}
        ports = [_free_port(socket.SOCK_DGRAM) for _ in range(3)]
        self.coa_port = ports[2]
        self.settings = Settings.load(
            home,
            {},
            radius_auth_port=ports[0],
            radius_acct_port=ports[1],
            radius_workers=2,
            api_port=api_port,
        )
        self.key = crypto.create_key(self.settings.key_file, self.settings.identity_file)
        self.services = services
        self.fleet = self._fleet(home / "devices")
        self.options = self._options()
        self.nases: dict[str, NasStandIn] = {}
        self.serving: Serving | None = None
        self._one: Installation | None = None

    @property
    def one(self) -> Installation:
        """The installation, once the repository is there."""
        if self._one is None:
            self._one = Installation(self.settings)
        return self._one

    def make_repository(self) -> tuple[str, int]:
        """Write the example network as the first commit; (commit, files)."""
        files = example_files(self.options)
        return init_repository(self.settings, files, "engineer"), len(files)

    def serve(self) -> Serving:
        """Start every role and the NAS stand-ins."""
        self.serving = Serving(self.one)
        self.serving.start()
        radius = self.one.radius
        for number, bng in enumerate(BNGS):
            secret = self.clear[path_of("device", bng), "nas.secrets"].encode()
            source = _source(number)
            client = RadiusClient("127.0.0.1", radius.auth_port, radius.acct_port, secret, source)
            self.nases[bng] = NasStandIn(client, secret, source, self.coa_port, seed=number).start()
        return self.serving

    def close(self) -> None:
        """End everything that runs."""
        for nas in self.nases.values():
            nas.stop()
        if self.serving is not None:
            self.serving.stop()
        if self._one is not None:
            self._one.close()
        self.fleet.stop()

    def console_url(self) -> str:
        """Where the console is, with a way in that works once."""
        return self.serving.login_url() if self.serving is not None else ""

    def dial(self, service: str) -> tuple[Reply, StandInSession]:
        """Log a PPPoE service in through its BNG's stand-in. Raises ServiceOffline."""
        path = path_of("service", service)
        with self.one.reader() as reader:
            intent = reader.get("service", service)
            circuit = attachment(reader, intent).circuit
        password = self.clear[path, "session.password"]
        reply, session = self.nas_of(service).login(
            intent.session.login, password, extra=circuit_attribute(circuit)
        )
        if reply is None or session is None:
            raise ServiceOffline(service)
        return reply, session

    def live(self, service: str) -> StandInSession | None:
        """The service's session as its NAS has it, or None."""
        login = f"s{service.removeprefix('S-')}@example.net"
        found = self.nas_of(service).of(login)
        return found[-1] if found else None

    def pool(self, service: str) -> str:
        """The pool of the live session: what tells the walled garden from the Internet; "" for no session."""
        session = self.live(service)
        named = [line for line in session.policy if line.startswith("Framed-Pool")] if session else []
        return named[0].split(" = ")[1] if named else ""

    def nas_of(self, service: str) -> NasStandIn:
        """The stand-in that terminates a service: odd and even ones share the load."""
        return self.nases[BNGS[int(service.removeprefix("S-")) % len(BNGS)]]

    def _fleet(self, folder: Path) -> VirtualFleet:
        password = secrets.token_urlsafe(12)
        self.clear["trunkline.yaml", "logins.network.password"] = password
        devices = [(name, value) for (kind, name), value in example_documents().items() if kind == "device"]
        login = {"network": Login(password=password)}
        fleet = VirtualFleet(folder, [DeviceSpec(name=n, role=v.role, logins=login) for n, v in devices])
        fleet.start()
        return fleet

    def _options(self) -> ExampleOptions:
        radius = RadiusServer(
            address=Address("127.0.0.1"),
            auth_port=self.settings.radius_auth_port,
            acct_port=self.settings.radius_acct_port,
        )
        return msgspec.structs.replace(
            ExampleOptions(),
            seal=self._seal,
            services=self.services,
            router_platform="virtual",
            management=self._management,
            nas_sources=_sources,
            coa_port=self.coa_port,
            radius=(radius,),
            rollout=Rollout(canary=1, steps=(25, 100), soak=Duration(0), confirm=Duration(60)),
            windows={},
        )

    def _seal(self, path: str, key: str) -> str:
        """A random secret for a place, sealed with the demo's own key and remembered to play the other side."""
        text = self.clear.setdefault((path, key), secrets.token_urlsafe(15))
        return crypto.seal(self.key, text, path, key)

    def _management(self, device: str, _number: int) -> Management:
        known = self.fleet[device]
        return Management(
            address=Address("127.0.0.1"), port=known.spec.port, login="network", host_key=known.host_key
        )


def _source(number: int) -> str:
    """Loopback addresses that make each BNG a NAS of its own."""
    return f"127.0.0.{11 + number}"


def _sources(device: str, *own: str) -> tuple[str, ...]:
    return (_source(BNGS.index(device)),) if device in BNGS else own


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
