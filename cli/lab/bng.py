"""The subscriber half of the lab: a real PPPoE BNG and a real subscriber's router, each a User-Mode Linux guest.

    access LAN:      bng eth1 -- cpe eth1        (PPPoE)
    management LAN:  bng eth0, cpe eth0, the caller's namespace (RADIUS and the driver live there)
    uplink:          bng eth2 -- "the Internet": a web server in the lab's own namespace

The caller gives the configuration of the BNG, runs the RADIUS server, and decides what is held; every step here
acts on the real parts and says what happened and how long it took.
"""

import ipaddress
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from cli.lab import namespaces
from cli.lab.uml import Guest, GuestFailed
from core.errors import Terminal
from drivers import registry
from drivers.contract import DeviceUnreachable, LiveSession, Target
from drivers.ssh import Answer, Connection

INTERNET = "198.51.100.80"
"""The web server behind the BNG's uplink; what a subscriber in the garden must not reach."""
INTERNET6 = "2001:db8:80::80"
"""Its IPv6 address."""
INTERNET_SAYS = "this is the internet"
SITE = Path(__file__).parent / "guest" / "site.py"
_UPLINK = ("192.0.2.0", "192.0.2.1")
_UPLINK6 = ("2001:db8:fe::", "2001:db8:fe::1")
DELEGATED = Path(__file__).parent / "guest" / "delegated.sh"
_LCP_REFUSED = 19
"""pppd's exit status when the other end does not accept the login (pppd(8), EXIT STATUS)."""


class DialFailed(Terminal):
    """The subscriber's router got no session; carries pppd's log."""

    def __init__(self, login: str, status: int, log: str) -> None:
        super().__init__(f"{login} got no session, pppd ended with {status}:\n{log}")
        self.login, self.status, self.log = login, status, log


class LoginRejected(DialFailed):
    """RADIUS refused the login."""


class Dialled(msgspec.Struct, frozen=True):
    """What the subscriber's router got, and after how many seconds."""

    interface: str
    address: str
    gateway: str
    seconds: float


class Fetched(msgspec.Struct, frozen=True):
    """An HTTP answer as the subscriber saw it; status 0 is none."""

    status: int
    body: str


class BngLab:
    """Both guests and the cables between them. Root only; use as a context manager.

    `management` and `control` are addresses with length of the BNG and of the caller on the management LAN; the
    subscriber's router takes the address after the BNG's. `say` gets one line a step.
    """

    def __init__(
        self,
        *,
        management: str = "10.255.77.11/24",
        control: str = "10.255.77.1/24",
        access_port: str = "eth1",
        name: str = "bng1",
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.management = ipaddress.IPv4Interface(management)
        self.control = ipaddress.IPv4Interface(control)
        self.access_port, self.say = access_port, say
        self.namespace = namespaces.full_name(name)
        self.folder = Path(tempfile.mkdtemp(prefix=f"trunkline-lab-{os.getpid()}-"))
        cpe = f"{self.management.ip + 1}/{self.management.network.prefixlen}"
        self.bng = Guest(name, self.folder / name, self.namespace, ("bm", "ba", "bu"), self._bng_network())
        self.cpe = Guest("cpe", self.folder / "cpe", self.namespace, ("cm", "ca"), _cpe_network(cpe))
        self.cpe_address = str(self.management.ip + 1)
        self._outside = f"tlm{os.getpid()}"
        self._internet: subprocess.Popen[bytes] | None = None
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # -- hardware ------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Lay the cables and start both guests."""
        started = time.monotonic()
        namespaces.remove_stale()
        self._cables()
        self._internet = serve_site(self.namespace, INTERNET, INTERNET_SAYS)
        for guest in (self.bng, self.cpe):
            guest.prepare()
            guest.start()
        for guest in (self.bng, self.cpe):
            guest.wait_up()
        self._done("boot", started, "a BNG and a subscriber's router, a kernel of its own each")

    def close(self) -> None:
        """Pull every plug and remove what was made."""
        for session in self._connections.values():
            session.close()
        for guest in (self.cpe, self.bng):
            guest.stop()
        if self._internet is not None:
            self._internet.kill()
            self._internet.wait()
        subprocess.run(["ip", "link", "del", self._outside], capture_output=True, check=False)
        namespaces.remove([self.namespace])
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)

    def _cables(self) -> None:
        namespaces.create([self.namespace])
        links = []
        for bridge, taps in (("mgmt", ("bm", "cm")), ("access", ("ba", "ca"))):
            links.append(f"link add {bridge} type bridge forward_delay 0")
            links += [f"tuntap add {tap} mode tap" for tap in taps]
            links += [f"link set {tap} master {bridge} up" for tap in taps]
            links.append(f"link set {bridge} up")
        links += ["tuntap add bu mode tap", f"address add {_UPLINK[0]}/31 dev bu", "link set bu up"]
        links += [f"address add {INTERNET}/32 dev lo", f"route add default via {_UPLINK[1]}"]
        links += [f"address add {_UPLINK6[0]}/127 dev bu", f"address add {INTERNET6}/128 dev lo"]
        links += [f"route add default via {_UPLINK6[1]}"]
        namespaces.batch(links, self.namespace)
        inside = f"{self._outside}i"
        namespaces.batch(
            [
                f"link add {self._outside} type veth peer name {inside} netns {self.namespace}",
                f"address add {self.control} dev {self._outside}",
                f"link set {self._outside} up",
            ]
        )
        namespaces.batch([f"link set {inside} master mgmt up"], self.namespace)

    def _bng_network(self) -> str:
        return _network(
            ("eth0", str(self.management)), (self.access_port, ""), ("eth2", f"{_UPLINK[1]}/31")
        ) + (
            f"ip route add default via {_UPLINK[0]}\nip address add {_UPLINK6[1]}/127 dev eth2\n"
            f"ip -6 route add default via {_UPLINK6[0]}\n"
        )

    # -- the operator's side -------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        """How the driver reaches the BNG: its host key is pinned, the login is a key."""
        return self._target(self.bng, str(self.management.ip))

    def _target(self, guest: Guest, address: str) -> Target:
        return Target(
            device=guest.name,
            platform="linux_pppd",
            host=address,
            login="root",
            key_path=str(guest.key_path),
            host_key=guest.host_key.pin,
        )

    def configure(self, config: str, revert_in: int = 60) -> str:
        """Put a configuration on the BNG: compare, commit with the device's own timer, confirm. Returns the diff."""
        started = time.monotonic()
        with registry.opened(self.target) as driver:
            driver.load_replace_candidate(config=config)
            change = driver.compare_config()
            if change:
                driver.commit_config(revert_in=revert_in)
                driver.confirm_commit()
        lines = sum(line.startswith(("+", "-")) for line in change.splitlines())
        self._done(
            "configure", started, f"{lines} lines over SSH, confirmed before the BNG's timer undid them"
        )
        return change

    def sessions(self) -> tuple[LiveSession, ...]:
        """The sessions that the BNG sees."""
        with registry.opened(self.target) as driver:
            return driver.observe().sessions or ()

    def end(self, session: LiveSession) -> bool:
        """End a session on the BNG through the driver."""
        started = time.monotonic()
        with registry.opened(self.target) as driver:
            gone = driver.end_session(session)
        self._done(
            "end", started, f"session of {session.login} on {session.interface}: {'gone' if gone else 'none'}"
        )
        return gone

    def on_bng(self, command: str) -> Answer:
        """Run a command on the BNG, as an engineer would who looks at it."""
        return self._on(self.target, command)

    def _on(self, target: Target, command: str, cap: float = 60, text: str = "") -> Answer:
        """Over a connection that stays open, or a new one when the guest was started again meanwhile."""
        for _ in range(2):
            session = self._connections.get(target.device)
            if session is None or not session.is_alive():
                session = self._connections[target.device] = Connection(target)
            try:
                return session.run(command, text, timeout=cap)
            except DeviceUnreachable:
                session.close()
        raise DeviceUnreachable(target, "two connections ended")

    # -- the subscriber's side -----------------------------------------------------------------------------

    def on_cpe(self, command: str, cap: float = 60, text: str = "") -> Answer:
        """Run a command on the subscriber's router, with `text` as its input."""
        return self._on(self._target(self.cpe, self.cpe_address), command, cap, text)

    def dial(
        self, login: str, password: str, unit: int = 0, *options: str, ipv6: bool = False, cap: float = 40
    ) -> Dialled:
        """Dial PPPoE as unit `unit` and wait for the session. Raises LoginRejected or DialFailed."""
        started = time.monotonic()
        words = ["pppd", "plugin", "rp-pppoe.so", self.access_port_of_cpe, "unit", str(unit), "user", login]
        words += [
            "password",
            password,
            "noauth",
            "hide-password",
            "+ipv6" if ipv6 else "noipv6",
            "usepeerdns",
            "mtu",
            "1492",
            "mru",
            "1492",
        ]
        words += [
            "lcp-echo-interval",
            "5",
            "lcp-echo-failure",
            "3",
            "updetach",
            "logfile",
            f"/run/ppp{unit}.log",
        ]
        words += ["defaultroute", "replacedefaultroute"] if unit == 0 else ["nodefaultroute"]
        answer = self.on_cpe(f"rm -f /run/ppp{unit}.log; {shlex.join([*words, *options])}", cap)
        if answer.status:
            log = self.on_cpe(f"cat /run/ppp{unit}.log").output
            rejected = answer.status == _LCP_REFUSED
            raise (LoginRejected if rejected else DialFailed)(login, answer.status, log)
        got = self._dialled(unit, time.monotonic() - started)
        self._done("login", started, f"{login} got {got.address} on {got.interface}")
        return got

    access_port_of_cpe = "eth1"

    def _dialled(self, unit: int, seconds: float) -> Dialled:
        # pppd detaches with the first protocol that is up: IPv6 may come before IPv4.
        look = f"ip -4 -o address show dev ppp{unit}"
        shown = self.on_cpe(f"for _ in $(seq 100); do {look} | grep peer && break; sleep 0.1; done").output
        found = re.search(r"inet (\S+) peer ([0-9.]+)", shown)
        if found is None:
            raise DialFailed("the subscriber", 0, f"ppp{unit} has no address: {shown}")
        return Dialled(f"ppp{unit}", found[1], found[2], seconds)

    def hang_up(self, unit: int = 0) -> None:
        """The subscriber's router ends its session itself."""
        self.on_cpe(
            f"kill $(head -n 1 /run/ppp{unit}.pid) && while [ -e /sys/class/net/ppp{unit} ]; do sleep 0.1; done"
        )

    def connected(self, unit: int = 0) -> bool:
        """Whether the subscriber's router has a session."""
        return self.on_cpe(f"test -e /sys/class/net/ppp{unit}").status == 0

    def addresses6(self, unit: int = 0) -> tuple[str, ...]:
        """The global IPv6 addresses that the subscriber's router made of advertisements."""
        shown = self.on_cpe(f"ip -6 -o address show dev ppp{unit} scope global").output
        return tuple(re.findall(r"inet6 (\S+)/64", shown))

    def delegate(self, unit: int = 0, cap: float = 15) -> str:
        """Ask for a prefix with a real DHCPv6 client, which gives lo an address of it; "" for none in time.

        Raises GuestFailed where the client does not even start: then nobody was asked.
        """
        started = time.monotonic()
        asked = self.on_cpe(DELEGATED.read_text().replace("PORT", f"ppp{unit}"))
        if asked.status:
            why = f"could not start its DHCPv6 client: {asked.output}{asked.error}"
            raise GuestFailed(self.cpe.name, why, self.cpe.last_lines())
        address = ""
        while not address and time.monotonic() - started < cap:
            shown = self.on_cpe("ip -6 -o address show dev lo scope global").output
            address = next(iter(re.findall(r"inet6 (\S+)/64", shown)), "")
        self._done("delegated prefix", started, f"{address or 'no'} address of one")
        return address

    def ping6(self, source: str, unit: int = 0) -> bool:
        """Whether the Internet answers a source address of the subscriber's through the session."""
        ping = f"ping -6 -c 1 -W 2 -I ppp{unit} -I {shlex.quote(source)} {INTERNET6}"
        return self.on_cpe(ping).status == 0

    def fetch(self, url: str = f"http://{INTERNET}/", unit: int = 0, cap: int = 8) -> Fetched:
        """Fetch a page through the session."""
        started = time.monotonic()
        command = f"curl -s --interface ppp{unit} --max-time {cap} -w '\\n%{{http_code}}' {shlex.quote(url)}"
        body, _, status = self.on_cpe(command).output.rpartition("\n")
        got = Fetched(int(status or 0), body)
        self._done("page", started, f"{url} -> {got.status or 'no answer'}, {len(got.body)} characters")
        return got

    def first_answer(self, url: str = f"http://{INTERNET}/", unit: int = 0, cap: float = 60) -> Fetched:
        """The first answer of any web server through the session; where none comes, ask again for `cap` seconds."""
        deadline = time.monotonic() + cap
        while not (got := self.fetch(url, unit)).status and time.monotonic() < deadline:
            time.sleep(0.1)
        return got

    def _done(self, step: str, started: float, what: str) -> None:
        self.say(f"{step}: {what} ({time.monotonic() - started:.1f} s)")


def _network(*ports: tuple[str, str]) -> str:
    lines = []
    for n, (name, address) in enumerate(ports):
        lines.append(f"ip link set vec{n} name {name}")
        lines.append(f"ip link set {name} up")
        if address:
            lines.append(f"ip address add {address} dev {name}")
    return "\n".join(lines) + "\n"


def _cpe_network(management: str) -> str:
    return _network(("eth0", management), ("eth1", ""))


def serve_site(namespace: str, address: str, says: str) -> subprocess.Popen[bytes]:
    """A web server in a namespace; it ends with us."""
    serve = [sys.executable, "-I", str(SITE), address, says]
    within = ["ip", "netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL"]
    return subprocess.Popen([*within, *serve], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
