"""A BNG without pppd on a kernel that has nftables for IP, this machine's: agent and hooks as a BNG has them.

The guests' kernel has none (the agent takes iptables there), so here namespaces play BNG, subscriber and Internet;
the BNG's side sees an /etc and a /run of its own. `ppp0` is a veth by that name; the programs that the hooks call can
be replaced.
"""

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.lab import namespaces
from cli.lab.bng import serve_site
from drivers.files_on_device import agent_text
from drivers.linux_pppd.files import parse
from inventory.resolve import resolve_device
from renderers.linux_pppd.renderer import FREE_GROUP, HELD_GROUP, render
from tests.linux_pppd.network import Opened, reader
from tests.support import eventually, need

BNG, SUBSCRIBER, INTERNET = (namespaces.full_name(f"n-{name}") for name in ("bng", "sub", "net"))
FREE, HELD, SITE = "100.64.0.77", "100.127.0.5", "198.51.100.80"
GROUPS = {"new": 0, "free": FREE_GROUP, "held": HELD_GROUP}
BNGS_SIDE = (
    "link set ppp0 up",
    "address add 2001:db8::1/64 dev ppp0",
    f"address add 100.64.0.1 peer {FREE}/32 dev ppp0",  # as pppd does it; the redirect needs it
    f"address add 100.64.0.1 peer {HELD}/32 dev ppp0",
)
BNGS_UPLINK = (
    "link set wan up",
    "address add 192.0.2.1/31 dev wan",
    "route add default via 192.0.2.0",
)
SUBSCRIBERS_SIDE = (
    "link set ppp0 up",
    f"address add {FREE}/32 dev ppp0",
    f"address add {HELD}/32 dev ppp0",
    "address add 2001:db8::2/64 dev ppp0",
    "route add 100.64.0.1/32 dev ppp0",
    "route add default via 100.64.0.1 dev ppp0",
)
INTERNETS_SIDE = (
    "link set wan up",
    "address add 192.0.2.0/31 dev wan",
    f"address add {SITE}/32 dev lo",
    "address add 198.51.100.90/32 dev lo",
    "route add default via 192.0.2.1",
)
SANDBOX = (
    "mount --bind {etc} /etc && mount -t tmpfs run /run && mkdir -p /run/trunkline /run/bin && exec sleep 600"
)


class HostBng:
    """The agent in a mount namespace of its own, with the rendered files in place."""

    def __init__(self, folder: Path) -> None:
        etc = folder / "etc"
        subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
        files = parse(render(resolve_device(reader(), "bng1"), Opened()).config)
        kept = {path: file for path, file in files.items() if "/access/" not in path}
        state = etc / "trunkline" / "state"
        state.mkdir(parents=True)
        for path, file in kept.items():
            target = etc / Path(path).relative_to("/etc")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)
            target.chmod(int(file.mode, 8))
        (state / "manifest").write_text("".join(f"{file.mode} {path}\n" for path, file in kept.items()))
        agent = etc / "trunkline" / "agent"
        agent.write_text(agent_text("linux_pppd"))
        agent.chmod(0o755)
        inside = ["ip", "netns", "exec", BNG, "unshare", "-m", "sh", "-c", SANDBOX.format(etc=etc)]
        self._sleeper = subprocess.Popen(inside)
        eventually(
            lambda: self.run("test -d /run/bin && test -x /etc/trunkline/agent").returncode == 0, cap=10
        )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the agent runs."""
        where = ["nsenter", "-t", str(self._sleeper.pid), "-m", "-n", "sh", "-c", command]
        return subprocess.run(where, capture_output=True, text=True, timeout=60, check=False)

    def must(self, command: str) -> str:
        """Run a command that must work; returns what it says."""
        done = self.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def agent(self, *words: str) -> None:
        """Let the agent do something that must work."""
        self.must(shlex.join(["/etc/trunkline/agent", *words]))

    def replug(self) -> None:
        """The interface goes, and a new one has its name, as at the next session that pppd gives the number to."""
        self.run("ip link del ppp0")
        namespaces.batch([f"link add ppp0 netns {BNG} type veth peer name ppp0 netns {SUBSCRIBER}"])
        namespaces.batch(BNGS_SIDE, BNG)
        namespaces.batch(SUBSCRIBERS_SIDE, SUBSCRIBER)

    def put(self, group: str) -> None:
        """The interface is `new`, `free` or `held`, whoever says so."""
        self.must(f"ip link set dev ppp0 group {GROUPS[group]}")

    def program(self, name: str, script: str) -> None:
        """What the hooks find by this name."""
        self.must(
            f"printf '#!/bin/sh\\n%s\\n' {shlex.quote(script)} >/run/bin/{name}; chmod 755 /run/bin/{name}"
        )

    def hook(self, which: str, pid: int = 1) -> subprocess.CompletedProcess[str]:
        """Run a hook for ppp0 as pppd with this pid does: `ip-pre-up.d/trunkline-up` or `ip-down.d/trunkline-down`."""
        words = [
            f"PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin PPPD_PID={pid} PEERNAME=s1@example.net",
            f"/etc/ppp/{which} ppp0 /dev/pts/0 38400 100.64.0.1 {FREE}",
            "trunkline/eth1/1/02-00-00-00-00-01/id",
        ]
        return self.run(" ".join(words))

    def close(self) -> None:
        """End the sandbox."""
        self._sleeper.kill()
        self._sleeper.wait()


@contextmanager
def host_bng(folder: Path) -> Iterator[HostBng]:
    """Booted: the agent has loaded everything by itself, and ppp0 is new. Ends with the block."""
    for binary, apt in (
        ("nft", "nftables"),
        ("dnsmasq", "dnsmasq-base"),
        ("curl", "curl"),
        ("unshare", "util-linux"),
    ):
        need(binary, apt=apt, root=True)
    names = (BNG, SUBSCRIBER, INTERNET)
    namespaces.remove(names)
    namespaces.create(names)
    namespaces.batch([f"link add wan netns {BNG} type veth peer name wan netns {INTERNET}"])
    namespaces.batch(BNGS_UPLINK, BNG)
    namespaces.batch(INTERNETS_SIDE, INTERNET)
    host = HostBng(folder)
    host.replug()
    site = serve_site(INTERNET, SITE, "this is the internet")
    try:
        host.agent("boot")
        host.put("free")
        eventually(lambda: (fetch(HELD), fetch(FREE)) == (511, 200), cap=20)  # both servers answer
        host.put("new")
        yield host
    finally:
        site.kill()
        site.wait()
        host.close()
        namespaces.remove(names)


def fetch(source: str = FREE, url: str = f"http://{SITE}/", cap: int = 3) -> int:
    """The HTTP status that a subscriber with this address gets; 0 for no answer."""
    asked = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    asked += ["--max-time", str(cap), "--interface", source, url]
    done = subprocess.run(
        ["ip", "netns", "exec", SUBSCRIBER, *asked], capture_output=True, text=True, check=False
    )
    return int(done.stdout or 0)
