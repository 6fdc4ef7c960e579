"""IPoE end to end: a commit on trunk, the reconciler, a real Kea, a real relay with option 82, a real client."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.installation import Installation
from cli.lab.bng import INTERNET, INTERNET_SAYS
from cli.lab.ipoe import PAGE_SAYS, IpoeLab
from core import crypto
from core.settings import Settings
from drivers import registry
from drivers.kea.driver import KeaDriver
from intents.init import init_repository
from inventory.resolve import resolve_device
from reconciler import receipts, runs
from reconciler.states import RunState
from renderers.accel_ppp.renderer import render as render_bng
from tests.kea.network import BLOCK, GARDEN, Opened, documents, hold, reader
from tests.support import eventually, run

pytestmark = [pytest.mark.real, pytest.mark.slow]
FREE, HELD = "100.64.0.", "100.127.0."
TALK = f"""\
import socket, sys
talk = socket.create_connection(("{INTERNET}", 80), timeout=5)
print("open", flush=True)
sys.stdin.readline()
talk.settimeout(3)
talk.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(len(talk.recv(100)))
"""


class Operator:
    """An installation that runs the small network, beside the lab."""

    def __init__(self, home: Path, lab: IpoeLab) -> None:
        self.settings = Settings.load(
            home, {}, radius_auth_port=0, radius_acct_port=0, api_port=0, test_mode=True
        )
        key = crypto.create_key(self.settings.key_file, self.settings.identity_file)
        login = crypto.seal(key, lab.key_path.read_text(), "trunkline.yaml", "logins.net-ssh.key")
        found = documents(config=("enc:v1:key", login), kea=("PIN", lab.pin))
        bng = "network/devices/bng1.yaml"
        secret = crypto.seal(key, "radius-secret", bng, "nas.secrets")
        found[bng] = found[bng].replace("enc:v1:radius-secret", secret)
        init_repository(self.settings, {path: text.encode() for path, text in found.items()}, "engineer")
        self.one = Installation(self.settings)

    def push(self, changes: dict[str, str | None]) -> str:
        """Commit files (None removes) on trunk from a clone; returns the commit, with the lanes settled."""
        clone = self.settings.home / "clone"
        if not clone.exists():
            run(["git", "clone", "-q", str(self.settings.repository), str(clone)])
        git = ["git", "-C", str(clone), "-c", "user.name=engineer", "-c", "user.email=e@example.net"]
        for path, text in changes.items():
            target = clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text) if text else target.unlink()
        for words in (["add", "-A"], ["commit", "-q", "-m", "A change"], ["push", "-q", "origin", "HEAD"]):
            run([*git, *words])
        commit = run([*git, "rev-parse", "HEAD"]).stdout.strip()
        self.one.settle()
        return commit

    def runs(self) -> dict[str, RunState]:
        """The state of the newest run of every device."""
        with self.one.db.read() as conn:
            return {device: found.state for device, found in runs.latest(conn).items()}


@pytest.fixture(scope="module")
def operator(lab: IpoeLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Kea configured over SSH from nothing, the BNG's firewall as accel-ppp's renderer makes it."""
    made = Operator(tmp_path_factory.mktemp("operator"), lab)
    lab.firewall(
        render_bng(resolve_device(reader(), "bng1"), Opened()).files["/etc/trunkline/firewall/rules.nft"]
    )
    try:
        made.one.settle()
        yield made
    finally:
        made.one.reconciler.close()
        made.one.close()


@pytest.fixture
def online(lab: IpoeLab, operator: Operator) -> Iterator[IpoeLab]:
    """The subscriber's client is on and has its address."""
    lab.plug_in()
    eventually(lambda: lab.address().startswith(FREE), cap=20)
    yield lab
    lab.unplug()


def test_a_subscriber_is_held_and_released_by_commits(online: IpoeLab, operator: Operator):
    """Address by circuit; a hold's next renewal leads into the garden: the page and nothing else; a release back."""
    assert INTERNET_SAYS in online.fetch().body
    before = operator.runs()
    with Flow(online) as flow:
        commit = operator.push({hold("S-1"): GARDEN})
        eventually(lambda: online.address().startswith(HELD), cap=20)
        assert flow.says_nothing_more()
    assert PAGE_SAYS in online.fetch().body  # any web page is the garden's page
    assert online.fetch(f"http://{INTERNET}:8080/", cap=2).status == 0
    assert online.on_cpe("ping", "-c", "1", "-W", "1", INTERNET).returncode != 0
    with operator.one.db.read() as conn:
        lane2 = [r for r in receipts.of_commit(conn, commit) if r.lane == 2]
    assert [(r.target, r.step, r.outcome) for r in lane2] == [("kea1", "line L-1", "acked")]
    operator.push({hold("S-1"): None})
    eventually(lambda: online.address().startswith(FREE), cap=20)
    eventually(lambda: INTERNET_SAYS in online.fetch().body, cap=10)
    assert operator.runs() == before  # no rendering, no wave, no change window: 02:00 is far away


def test_a_blocked_subscriber_gets_no_address(online: IpoeLab, operator: Operator):
    """Known, and no subnet is open: the renewal is refused, nothing is offered."""
    operator.push({hold("S-1", "abuse"): BLOCK})
    eventually(lambda: online.address() == "", cap=25)
    operator.push({hold("S-1", "abuse"): None})
    eventually(lambda: online.address().startswith(FREE), cap=25)


def test_a_circuit_that_nobody_reserved_gets_nothing(lab: IpoeLab, operator: Operator):
    """A service that is gone leaves a circuit that Kea does not know."""
    path = next(path for path in documents() if path.endswith("/S-1.yaml") and path.startswith("services/"))
    text = documents()[path]
    operator.push({path: text.replace("state: active", "state: ceased")})
    lab.plug_in()
    eventually(lambda: "DHCPDISCOVER" in (lab.folder / "cpe.log").read_text(), cap=5)
    eventually(lambda: "failed to select a subnet" in lab.logs(60), cap=15)
    assert lab.address() == ""
    operator.push({path: text})
    eventually(lambda: lab.address().startswith(FREE), cap=25)
    lab.unplug()


def test_the_device_is_configured_and_the_sessions_are_seen(online: IpoeLab, operator: Operator):
    """Lane 3 verified the configuration; the driver sees the lease under the subscriber's MAC."""
    assert operator.runs()["kea1"] is RunState.VERIFIED
    with registry.opened(online.target) as driver:
        assert isinstance(driver, KeaDriver)
        seen = driver.observe().sessions or ()
        assert online.address() in {one.address for one in seen}
        table = driver._run("cat /etc/kea/trunkline-reservations.json").output
    assert b"olt7-1".hex() in table
    assert '"ip-address": "203.0.113.7"' in table
    assert '"hw-address": "02:00:5e:10:00:03"' in table
    assert '"circuit-id": "0004ff"' in table


class Flow:
    """A connection of the subscriber's that is open before the hold."""

    def __init__(self, lab: IpoeLab) -> None:
        within = ["ip", "netns", "exec", lab.cpe, sys.executable, "-I", "-c", TALK]
        self._talk = subprocess.Popen(
            within, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._talk.stdout is not None
        assert self._talk.stdout.readline() == "open\n"

    def __enter__(self) -> "Flow":
        return self

    def __exit__(self, *_error: object) -> None:
        self._talk.kill()
        self._talk.wait()

    def says_nothing_more(self) -> bool:
        """What the subscriber says on it now is not answered."""
        output, error = self._talk.communicate("\n", timeout=20)
        return output == "" and any(word in error for word in (socket.timeout.__name__, "Error"))
