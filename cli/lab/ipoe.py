"""The IPoE half of the lab: a real Kea, a real DHCP relay that adds option 82, a real DHCP client, in namespaces.

    access:      bng L-… (an interface for each line: its name is the circuit-id) -- cpe wan
    core:        bng core -- kea eth0; kea mgmt -- the caller's namespace (the driver logs in there)
    uplink:      bng uplink -- "the Internet": a web server, and the server of the garden's page

The BNG is a Linux that routes, with `dhcrelay` and the firewall that the caller gives. Kea's machine has files of its
own (a mount namespace) and is empty until the driver configures it over SSH. Nothing touches the host's network.
"""

import ipaddress
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from cli.lab import namespaces
from cli.lab.bng import INTERNET, INTERNET_SAYS, Fetched, serve_site
from cli.lab.namespaces import LabFailed
from cli.lab.uml import SSHD, new_key
from drivers.contract import Target

PAGE_SAYS = "Why is my internet on hold? How to pay"
CLIENT = Path(__file__).parent / "guest" / "dhclient.sh"
_CORE = ("192.0.2.10", "192.0.2.11")
_UP = ("192.0.2.20", "192.0.2.21")
# Kea's unit would make its folder, as it is here; where no systemd has run there is nothing yet to mount over.
_PRIVATE = (
    "{{ [ -d /var/lib/kea ] || install -d -o _kea -g _kea -m 750 /var/lib/kea; }} && "
    "mount --bind {root}/etc /etc && mount -t tmpfs run /run && mount --bind {root}/lib /var/lib/kea && "
    "mount --bind {root}/log /var/log && mkdir -p /run/sshd && exec {sshd}"
)
_TIMING = "timeout 5; retry 1; initial-interval 1; backoff-cutoff 2; reboot 1; select-timeout 0;\n"


class IpoeLab:
    """Kea, BNG, client and Internet. Root only; use as a context manager.

    `gateways` are the BNG's addresses on the access line, with length: the first is what it relays from. `page` is the
    address of the garden's web server. `management` and `control` are Kea's and the caller's on the management LAN.
    """

    def __init__(
        self,
        *,
        line: str,
        gateways: Sequence[str],
        page: str,
        management: str = "10.255.78.12/24",
        control: str = "10.255.78.1/24",
        name: str = "ipoe",
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.line, self.gateways, self.page, self.say = line, tuple(gateways), page, say
        self.management = ipaddress.IPv4Interface(management)
        self.control = ipaddress.IPv4Interface(control)
        self.kea, self.bng, self.cpe, self.internet = (
            namespaces.full_name(f"{name}-{part}") for part in ("kea", "bng", "cpe", "net")
        )
        self.folder = Path(tempfile.mkdtemp(prefix=f"trunkline-lab-{os.getpid()}-"))
        self.host_key, self.login_key = new_key(), new_key()
        self._outside = f"tlk{os.getpid()}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

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
        """Lay the cables, start Kea's machine (empty), the BNG's relay and the Internet."""
        started = time.monotonic()
        namespaces.remove_stale()
        namespaces.create([self.kea, self.bng, self.cpe, self.internet])
        self._cables()
        self._start_machine()
        self._running["net"] = serve_site(self.internet, INTERNET, INTERNET_SAYS)
        self._running["page"] = serve_site(self.internet, self.page, PAGE_SAYS)
        relay = ["dhcrelay", "-4", "-d", "-a", "-m", "append", "-id", self.line, "-iu", "core", _CORE[1]]
        self._running["relay"] = self._start(self.bng, relay, self.folder / "relay.log")
        self._wait_machine()
        self.say(f"boot: Kea, a BNG with a relay, a subscriber's client ({time.monotonic() - started:.1f} s)")

    def _cables(self) -> None:
        inside = f"{self._outside}i"
        links = [
            f"link add core netns {self.bng} type veth peer name eth0 netns {self.kea}",
            f"link add {self.line} netns {self.bng} type veth peer name wan netns {self.cpe}",
            f"link add uplink netns {self.bng} type veth peer name eth0 netns {self.internet}",
            f"link add {self._outside} type veth peer name {inside} netns {self.kea}",
            f"address add {self.control} dev {self._outside}",
            f"link set {self._outside} up",
        ]
        namespaces.batch(links)
        namespaces.batch(
            [*_port("core", f"{_CORE[0]}/31"), *_port(self.line, *self.gateways), *_port("uplink", f"{_UP[0]}/31"),
             f"route add default via {_UP[1]}"], self.bng
        )  # fmt: skip
        namespaces.batch(
            [*_port("eth0", f"{_CORE[1]}/31"), *_port(inside, str(self.management)),
             f"route add default via {_CORE[0]}"], self.kea
        )  # fmt: skip
        namespaces.batch(
            [*_port("eth0", f"{_UP[1]}/31"), f"address add {INTERNET}/32 dev lo",
             f"address add {self.page}/32 dev lo", f"route add default via {_UP[0]}"], self.internet
        )  # fmt: skip
        namespaces.batch(["link set wan up"], self.cpe)

    def _start_machine(self) -> None:
        """Kea's machine: its own /etc, /run and data, an sshd, and nothing configured."""
        root = self.folder / "kea"
        for part in ("lib", "log"):
            (root / part).mkdir(parents=True)
        subprocess.run(["cp", "-a", "/etc", str(root / "etc")], check=True)
        for path in ("kea/kea-dhcp4.conf", "trunkline"):
            subprocess.run(["rm", "-rf", str(root / "etc" / path)], check=True)
        (root / "etc" / "kea").mkdir(exist_ok=True)
        passwd = (root / "etc" / "passwd").read_text().splitlines()
        others = [line for line in passwd if not line.startswith("root:")]
        (root / "etc" / "passwd").write_text("\n".join(["root:x:0:0:root:/run:/bin/sh", *others, ""]))
        ssh = root / "etc" / "ssh"
        _private(ssh / "guest_sshd_config", SSHD + f"ListenAddress {self.management.ip}\n")
        _private(ssh / "guest_host_key", self.host_key.private.decode())
        _private(ssh / "guest_authorized_keys", self.login_key.public + "\n")
        _private(self.key_path, self.login_key.private.decode())
        sshd = f"/usr/sbin/sshd -D -f /etc/ssh/guest_sshd_config -E {self.folder}/sshd.log"
        inside = ["unshare", "-m", "sh", "-c", _PRIVATE.format(root=root, sshd=sshd)]
        self._running["machine"] = self._start(self.kea, inside, self.folder / "machine.log")

    def _wait_machine(self, cap: float = 20) -> None:
        deadline = time.monotonic() + cap
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection((str(self.management.ip), 22), timeout=1):
                return
            time.sleep(0.05)
        raise LabFailed("log in to Kea's machine", self.logs())

    @staticmethod
    def _start(namespace: str, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        within = ["ip", "netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL"]
        with log.open("ab") as out:
            return subprocess.Popen(
                [*within, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def close(self) -> None:
        """End everything and remove what was made."""
        for running in self._running.values():
            running.kill()
            running.wait(timeout=10)
        subprocess.run(["ip", "link", "del", self._outside], capture_output=True, check=False)
        namespaces.remove([self.cpe, self.kea, self.bng, self.internet])
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self, lines: int = 15) -> str:
        """The last lines of every log, for a failure's message."""
        found = [*self.folder.glob("*.log"), self.folder / "kea" / "log" / "kea" / "kea-dhcp4.log"]
        tails = (
            (path.name, path.read_text(errors="replace").splitlines()[-lines:])
            for path in found
            if path.exists()
        )
        return "\n".join(f"== {name}\n" + "\n".join(tail) for name, tail in tails)

    # -- the operator's side -------------------------------------------------------------------------------

    @property
    def key_path(self) -> Path:
        """The private key that logs in to Kea's machine as root."""
        return self.folder / "login_key"

    @property
    def pin(self) -> str:
        """The fingerprint that the intent must pin."""
        return self.host_key.pin

    @property
    def target(self) -> Target:
        """How the driver reaches Kea."""
        return Target(
            device="kea1", platform="kea", host=str(self.management.ip), login="root",
            key_path=str(self.key_path), host_key=self.pin, timeout=60.0,
        )  # fmt: skip

    def firewall(self, rules: str) -> None:
        """The BNG's nftables rules: the walled garden by the addresses of its pool."""
        namespaces.run(["ip", "netns", "exec", self.bng, "nft", "-f", "-"], rules)

    # -- the subscriber's side -----------------------------------------------------------------------------

    def plug_in(self) -> None:
        """The subscriber's router starts its DHCP client, which goes on renewing by itself."""
        conf, leases = self.folder / "dhclient.conf", self.folder / "cpe.leases"
        conf.write_text(_TIMING)
        command = [
            "dhclient",
            "-4",
            "-d",
            "-cf",
            str(conf),
            "-lf",
            str(leases),
            "-pf",
            str(self.folder / "cpe.pid"),
        ]
        command += ["-sf", str(self._script()), "wan"]
        self._running["cpe"] = self._start(self.cpe, command, self.folder / "cpe.log")

    def _script(self) -> Path:
        """dhclient runs it by itself, so it must be executable: an installed package keeps no x bit."""
        script = self.folder / "dhclient.sh"
        script.write_text(CLIENT.read_text())
        script.chmod(0o755)
        return script

    def unplug(self) -> None:
        """The subscriber's router is switched off."""
        client = self._running.pop("cpe", None)
        if client is not None:
            client.kill()
            client.wait(timeout=10)
        namespaces.batch(["address flush dev wan"], self.cpe)

    def address(self) -> str:
        """The subscriber's address; "" for none."""
        shown = namespaces.run(["ip", "-n", self.cpe, "-4", "-o", "address", "show", "dev", "wan"])
        words = shown.split()
        return words[words.index("inet") + 1].split("/")[0] if "inet" in words else ""

    def on_cpe(self, *command: str, cap: float = 20) -> subprocess.CompletedProcess[str]:
        """Run a command on the subscriber's router."""
        within = ["ip", "netns", "exec", self.cpe, *command]
        return subprocess.run(within, capture_output=True, text=True, timeout=cap, check=False)

    def fetch(self, url: str = f"http://{INTERNET}/", cap: int = 5) -> Fetched:
        """Fetch a page as the subscriber does."""
        done = self.on_cpe("curl", "-s", "--max-time", str(cap), "-w", "\n%{http_code}", url)
        body, _, status = done.stdout.rpartition("\n")
        return Fetched(int(status or 0), body)


def garden_rules(garden: Sequence[str], page: str) -> str:
    """A walled garden for who has an address of `garden`: port 80 leads to the page, and nothing else goes anywhere."""
    return _GARDEN.format(garden=", ".join(garden), page=page)


_GARDEN = """\
table inet trunkline {{
    set garden {{ type ipv4_addr; flags interval; elements = {{ {garden} }} }}
    chain capture {{
        type nat hook prerouting priority dstnat
        ip saddr @garden tcp dport 80 dnat ip to {page}:80
    }}
    chain forward {{
        type filter hook forward priority filter
        ip saddr @garden ip daddr {page} tcp dport 80 accept
        ip saddr @garden drop
        ip daddr @garden ip saddr {page} tcp sport 80 ct state established accept
        ip daddr @garden drop
    }}
}}
"""


def _port(name: str, *addresses: str) -> list[str]:
    return [
        *(f"address add {address} dev {name}" for address in addresses),
        f"link set {shlex.quote(name)} up",
    ]


def _private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
