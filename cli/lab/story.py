"""The story of `make lab`: nineteen routers from nothing, two real subscribers held and released by billing."""

import time
from collections.abc import Callable
from datetime import timedelta

from cli.demo.business import SUSPENDED, Office, first_of_month
from cli.demo.telling import Teller, wait_until
from cli.lab.bng import INTERNET_SAYS, BngLab
from cli.lab.convergence import reach_matrix, wait_converged
from cli.lab.ipoe import PAGE_SAYS, IpoeLab
from cli.lab.stage import BNG, DHCP_SERVICE, KEA, LabStage
from core import clock
from intents.kinds import path_of
from intents.validate import validate_tree
from reconciler import runs
from reconciler.states import RunState

ALICE = "S-10001"
LOGIN = "s10001@example.net"
_ROUTES = 60.0


class StoryBroken(Exception):
    """The lab did not do what it must."""


class LabStory:
    """Every step needs the ones before it."""

    def __init__(self, stage: LabStage, teller: Teller) -> None:
        self.stage, self.tell = stage, teller
        self.month = first_of_month(clock.today("Australia/Perth"), 2)
        self.account = self.other = self.free = ""
        self.dunned = 0.0
        self.office: Office

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Title and function of each step."""
        return [
            ("Start nineteen empty FRR routers in network namespaces", self.routers),
            ("Boot a PPPoE BNG and a subscriber's router, each a Linux kernel of its own", self.bng),
            ("Boot a Kea DHCP server, a BNG that relays to it with option 82, and a client", self.ipoe),
            ("Make the example network with their host keys pinned, and validate it", self.make),
            ("Serve, and configure every router, the BNG and Kea over SSH, from nothing", self.apply),
            ("Wait until all OSPF adjacencies are Full and all iBGP sessions Established", self.converge),
            ("Ping every loopback from every loopback, IPv4 and IPv6", self.reach),
            ("A real PPPoE client logs in through the real BNG", self.log_in),
            ("A real DHCP client gets its address from Kea by its circuit", self.plug_in),
            ("Overdue: the hold ends the session, the next login gets the walled garden", self.hold),
            ("The same dunning run: the DHCP client's next renewal leads into the garden", self.ipoe_held),
            ("The payment arrives: the next login is free", self.pay),
            ("The other payment: the next renewal leads back", self.ipoe_released),
        ]

    def routers(self) -> None:
        """Empty routers."""
        seconds = self.stage.start_routers()
        self.tell.say(f"{len(self.stage.plan.routers)} routers with five daemons each, up in {seconds:.1f} s")

    def bng(self) -> None:
        """Two guests."""
        self.stage.boot_bng(self.tell.say)

    def ipoe(self) -> None:
        """Kea's machine is empty, the client is off."""
        self.stage.boot_ipoe(self.tell.say)

    def make(self) -> None:
        """Trunk."""
        commit, files = self.stage.make_repository()
        problems = validate_tree(self.stage.one.repo, commit)
        if problems:
            raise StoryBroken("; ".join(str(problem) for problem in problems[:3]))
        self.office = Office(self.stage)
        self.tell.say(f"{files} files in commit {commit[:12]}: 0 errors, 0 warnings")

    def apply(self) -> None:
        """The device machine on real devices."""
        self.stage.serve()
        wanted = {router.name for router in self.stage.plan.routers} | {BNG, KEA}
        wait_until("every device verified", lambda: self._verified() >= wanted, 420, 0.2, self._waiting)
        self.tell.say(
            f"{len(wanted)} devices verified: rendered, compared, committed, confirmed, compared again"
        )

    def converge(self) -> None:
        """The protocols' own word."""
        counts, seconds = wait_converged(self.stage.routers, 180, self.stage.expected().bgp)
        self.tell.say(f"{counts} after another {seconds:.1f} s (ends counted, both families)")

    def reach(self) -> None:
        """The data plane's word."""
        loopbacks = self.stage.expected().loopbacks
        reach = reach_matrix(self.stage.routers, loopbacks)
        # Adjacencies are Full before the last routes are installed: a moment is allowed, silence is not.
        end = time.monotonic() + _ROUTES
        while not reach.complete and time.monotonic() < end:
            reach = reach_matrix(self.stage.routers, loopbacks)
        if not reach.complete:
            raise StoryBroken(f"{reach}; missing: {', '.join(reach.missing)}")
        self.tell.say(f"{reach} in {reach.seconds:.1f} s")

    def log_in(self) -> None:
        """Alice's router dials."""
        self._dial()
        if INTERNET_SAYS not in self._bng.fetch().body:
            raise StoryBroken("the subscriber does not reach the Internet")
        wait_until("accounting of the session", self._sessions, cap=15)
        self.tell.say("RADIUS accounting has the session, the Internet answers")

    def plug_in(self) -> None:
        """Bob's router asks by DHCP; the relay names the line."""
        self._ipoe.plug_in()
        wait_until("an address", self._ipoe.address, cap=40)
        self.free = self._ipoe.address()
        wait_until("the Internet", lambda: INTERNET_SAYS in self._ipoe.fetch().body, cap=10)
        self.tell.say(
            f"{DHCP_SERVICE} got {self.free} from Kea, renewed through the relay; the Internet answers"
        )

    def hold(self) -> None:
        """Bill, dun, and see the garden."""
        self.office.adopt(self.month)
        self.office.bill(self.month)
        services = self.office.accounts()
        late = {
            service: a
            for a, owned in services.items()
            for service in owned
            if service in (ALICE, DHCP_SERVICE)
        }
        self.account, self.other = late[ALICE], late[DHCP_SERVICE]
        self.office.pay_all([a for a in services if a not in late.values()], self.month + timedelta(days=5))
        begun = time.monotonic()
        run = self.office.dun(self.month + SUSPENDED)
        self.dunned = begun
        if sorted(run.held) != sorted((ALICE, DHCP_SERVICE)):
            raise StoryBroken(f"dunning held {run.held}")
        self._ended("the held session")
        self.tell.say(f"session ended {time.monotonic() - begun:.1f} s after the dunning run")
        self._dial()
        wait_until("the garden's page", self._has_page, cap=30, every=0.5)
        self.tell.say("any web page now is the garden's: why, and how to pay")

    def _has_page(self) -> bool:
        body = self._bng.fetch().body
        return "Why" in body and "How to pay" in body

    def ipoe_held(self) -> None:
        """The same commit reached Kea on lane 2."""
        wait_until("the garden's address", lambda: self._ipoe.address() not in ("", self.free), cap=60)
        self.tell.say(f"{self._ipoe.address()} {time.monotonic() - self.dunned:.1f} s after the dunning run")
        wait_until("the garden's page", lambda: PAGE_SAYS in self._ipoe.fetch().body, cap=10)
        self.tell.say("any web page now is the garden's")

    def pay(self) -> None:
        """Pay and be free."""
        begun = time.monotonic()
        if self.office.pay(self.account, self.month + SUSPENDED) is None:
            raise StoryBroken("nothing was owed")
        self._ended("the garden's session")
        self.tell.say(f"session ended {time.monotonic() - begun:.1f} s after the payment")
        self._dial()
        wait_until("the Internet", lambda: INTERNET_SAYS in self._bng.fetch().body, cap=20, every=0.5)
        self.tell.say("free: the Internet answers again")

    def ipoe_released(self) -> None:
        """Bob pays."""
        begun = time.monotonic()
        if self.office.pay(self.other, self.month + SUSPENDED) is None:
            raise StoryBroken("nothing was owed")
        wait_until("the old address", lambda: self._ipoe.address() == self.free, cap=60)
        wait_until("the Internet", lambda: INTERNET_SAYS in self._ipoe.fetch().body, cap=10)
        self.tell.say(f"{self.free} again {time.monotonic() - begun:.1f} s after the payment, and free")

    @property
    def _ipoe(self) -> IpoeLab:
        if self.stage.ipoe is None:
            raise StoryBroken("Kea was not booted")
        return self.stage.ipoe

    @property
    def _bng(self) -> BngLab:
        if self.stage.bng is None:
            raise StoryBroken("the BNG was not booted")
        return self.stage.bng

    def _dial(self) -> None:
        password = self.stage.clear[path_of("service", ALICE), "session.password"]
        self._bng.dial(LOGIN, password)

    def _ended(self, what: str) -> None:
        wait_until(f"end of {what}", lambda: not self._bng.connected(), cap=60, every=0.2)

    def _sessions(self) -> bool:
        from aaa.health import live_sessions

        with self.stage.one.db.read() as conn:
            return bool(live_sessions(conn))

    def _waiting(self) -> str:
        """Devices that are not verified, and why."""
        with self.stage.one.db.read() as conn:
            found = runs.latest(conn)
        late = {d: r for d, r in found.items() if r.state is not RunState.VERIFIED}
        return "; ".join(f"{device} is {run.state} ({run.why})" for device, run in sorted(late.items()))

    def _verified(self) -> set[str]:
        with self.stage.one.db.read() as conn:
            return {device for device, run in runs.latest(conn).items() if run.state is RunState.VERIFIED}
