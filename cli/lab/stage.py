"""The stage of `make lab`: the example network on real FRR routers, a real PPPoE BNG and a real Kea, run by a real
installation.

Everything of ours that talks to the network runs on the operator's side, a namespace: `enter` it first, for good.
"""

from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import msgspec

from cli.example.network import example_documents, example_files
from cli.example.options import ExampleOptions
from cli.installation import Installation
from cli.lab.bng import BngLab
from cli.lab.expectations import Expected, expected_of
from cli.lab.forward import Forward
from cli.lab.ipoe import IpoeLab, garden_rules
from cli.lab.pins import pinned
from cli.lab.plan import plan_of
from cli.lab.routers import Lab
from cli.lab.topology import LabPlan
from cli.serving import Serving
from core import crypto
from core.settings import Settings
from intents.config.schema import Config, Login, RadiusServer, Rollout
from intents.device.schema import Device, Management
from intents.dump import to_yaml
from intents.edge.schema import Edge
from intents.init import init_repository
from intents.kinds import path_of
from intents.pool.schema import Pool
from intents.reader import MemoryReader
from intents.scalars import Address, Duration, Secret
from intents.service.schema import Service
from inventory.resolve import resolve_device
from renderers.kea.networks import server_of

BNG = "bng1"
BNG_ADDRESS, CONTROL = "10.255.77.11", "10.255.77.1"
BNG_LOGIN = "lab-bng"
KEA, KEA_ADDRESS, KEA_CONTROL = "kea1", "10.255.78.12", "10.255.78.1"
KEA_LOGIN = "lab-kea"
DHCP_EDGE, DHCP_SERVICE, CIRCUIT = "perth-west", "S-10006", "L-20006"
"""The service behind the relay: its circuit-id is the interface that it is on, as the relay names it."""
FIXED_GATEWAY = Address("203.0.113.62")
"""Of the pool of fixed addresses: its first address is a subscriber's."""
LEASES = {"lease": 12, "garden-lease": 6}
AUTH_PORT, ACCT_PORT = 1812, 1813
PAYMENT_PAGE = Address("198.51.100.90")
_API_PORT = 8080


class LabStage:
    """Made in `home`; `routers` and `bng` are the real parts, `one` the installation that runs them."""

    def __init__(self, home: Path, services: int = 300) -> None:
        self.clear: dict[tuple[str, str], str] = {}
        self.settings = Settings.load(
            home,
            {},
            radius_host=CONTROL,
            radius_auth_port=AUTH_PORT,
            radius_acct_port=ACCT_PORT,
            api_port=_API_PORT,
        )
        self.key = crypto.create_key(self.settings.key_file, self.settings.identity_file)
        self.bng: BngLab | None = None
        self.ipoe: IpoeLab | None = None
        self.options = self._options(services)
        self.plan: LabPlan = plan_of(self._reader())
        self.routers = Lab(self.plan)
        self.serving: Serving | None = None
        self.console: Forward | None = None
        self._one: Installation | None = None

    @property
    def one(self) -> Installation:
        """The installation, once its repository is there."""
        if self._one is None:
            self._one = Installation(self.settings)
        return self._one

    def start_routers(self) -> float:
        """Start empty routers and go to the operator's side for good; seconds."""
        self.routers.start()
        self.console = Forward(self.routers.control, _API_PORT)
        self.routers.enter()
        return self.routers.started_in

    def boot_bng(self, say: Any) -> None:
        """Boot the BNG and the subscriber's router."""
        self.bng = BngLab(management=f"{BNG_ADDRESS}/24", control=f"{CONTROL}/24", name=BNG, say=say)
        self.bng.boot()

    def boot_ipoe(self, say: Any) -> None:
        """Boot Kea's machine, a BNG that relays to it, and a subscriber's client."""
        with_kea = self._reader()
        subnets = [s for n in server_of(resolve_device(with_kea, KEA)).networks for s in n.subnets]
        self.ipoe = IpoeLab(
            line=CIRCUIT,
            gateways=[f"{s.gateway}/{s.prefix.split('/')[1]}" for s in subnets],
            page=str(PAYMENT_PAGE),
            management=f"{KEA_ADDRESS}/24",
            control=f"{KEA_CONTROL}/24",
            say=say,
        )
        self.ipoe.boot()
        self.ipoe.firewall(garden_rules([s.prefix for s in subnets if s.garden], str(PAYMENT_PAGE)))

    def make_repository(self) -> tuple[str, int]:
        """The example network with the keys of these very machines pinned; (commit, files)."""
        files = example_files(self.options)
        files[path_of("device", KEA)] = to_yaml("device", self._kea())
        files |= pinned(self.routers, files, self.key)
        return init_repository(self.settings, files, "engineer"), len(files)

    def serve(self) -> Serving:
        """Start every role on the operator's side."""
        self.serving = Serving(self.one)
        return self.serving.start()

    def console_url(self) -> str:
        """Where the console is, seen from outside of the lab."""
        if self.serving is None or self.console is None:
            return ""
        here = f":{self.console.port_here}/"
        return self.serving.login_url().replace(f":{_API_PORT}/", here)

    def expected(self) -> Expected:
        """What the routers should know of each other."""
        with self.one.reader() as reader:
            return expected_of(reader, self.plan, self.one.context.secrets)

    def close(self) -> None:
        """End everything and remove what was made."""
        if self.serving is not None:
            self.serving.stop()
        if self._one is not None:
            self._one.close()
        if self.console is not None:
            self.console.close()
        if self.bng is not None:
            self.bng.close()
        if self.ipoe is not None:
            self.ipoe.close()
        self.routers.stop()

    def _reader(self) -> MemoryReader:
        documents = example_documents(self.options) | {("device", KEA): self._kea()}
        return MemoryReader.of((kind, name, value) for (kind, name), value in documents.items())

    def _kea(self) -> Device:
        pin = self.ipoe.pin if self.ipoe is not None else None
        reached = Management(address=Address(KEA_ADDRESS), login=KEA_LOGIN, host_key=pin)
        return Device(
            site="perth1",
            role="dhcp",
            platform="kea",
            manage="full",
            management=reached,
            options=dict(LEASES),
        )

    def _options(self, services: int) -> ExampleOptions:
        radius = RadiusServer(address=Address(CONTROL), auth_port=AUTH_PORT, acct_port=ACCT_PORT)
        return msgspec.structs.replace(
            ExampleOptions(),
            seal=self._seal, services=services, router_platform="frr", bng_platform="linux_pppd", bng_vendor="pppd",
            management=_management, nas_sources=_sources, message_authenticator="auto", redundant=False, vlans=False,
            bind=(), hello=1, dead=10, radius=(radius,), windows={}, adjust=self._adjusted,
            rollout=Rollout(canary=1, steps=(100,), soak=Duration(0), confirm=Duration(120)),
        )  # fmt: skip

    def _seal(self, path: str, key: str) -> str:
        text = self.clear.setdefault((path, key), token_urlsafe(15))
        return crypto.seal(self.key, text, path, key)

    def _adjusted(self, _kind: str, identifier: str, value: Any) -> Any:
        """The BNG guest's host key and login, once it runs; devices that are not in the lab are not logged in to."""
        if isinstance(value, Device) and value.platform != "frr":
            return self._not_routed(identifier, value)
        if isinstance(value, Edge) and value.garden is not None:
            # The lab's Internet has the address of the example's payment page.
            garden = msgspec.structs.replace(value.garden, page=PAYMENT_PAGE, allow=())
            return msgspec.structs.replace(
                value, garden=garden, dhcp=(KEA,) if identifier == DHCP_EDGE else ()
            )
        if isinstance(value, Pool) and identifier == f"{DHCP_EDGE}-public":
            return msgspec.structs.replace(value, gateway=FIXED_GATEWAY)
        if isinstance(value, Service) and identifier == DHCP_SERVICE and value.session is not None:
            session = msgspec.structs.replace(value.session, circuit_id=CIRCUIT, bind=())
            return msgspec.structs.replace(value, session=session)
        if isinstance(value, Service) and value.bgp is not None:
            return None  # its customer's router is not in the lab
        if isinstance(value, Config):
            return msgspec.structs.replace(value, logins={**value.logins, **self._logins()})
        return value

    def _logins(self) -> dict[str, Login]:
        """Root's keys of the machines that run already."""
        found = {}
        if self.bng is not None:
            found[BNG_LOGIN] = self._login(BNG_LOGIN, self.bng.bng.key_path)
        if self.ipoe is not None:
            found[KEA_LOGIN] = self._login(KEA_LOGIN, self.ipoe.key_path)
        return found

    def _login(self, name: str, path: Path) -> Login:
        sealed = crypto.seal(self.key, path.read_text(), "trunkline.yaml", f"logins.{name}.key")
        return Login(name="root", key=Secret(sealed))

    def _not_routed(self, identifier: str, value: Device) -> Device:
        value = msgspec.structs.replace(value, routing=None)  # pppd's kernel runs no routing daemon
        if identifier != BNG:
            return msgspec.structs.replace(value, management=None)
        pin = self.bng.bng.host_key.pin if self.bng is not None else None
        reached = Management(address=Address(BNG_ADDRESS), login=BNG_LOGIN, host_key=pin)
        return msgspec.structs.replace(value, management=reached, sections=("subscriber",))


def _management(_device: str, number: int) -> Management:
    return Management(address=Address(f"10.255.0.{number}"))


def _sources(device: str, *own: str) -> tuple[str, ...]:
    return (BNG_ADDRESS,) if device == BNG else own
