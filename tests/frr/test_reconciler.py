"""The whole way: a repository, an installation, and three real routers that nobody has configured."""

from pathlib import Path

import pytest

from cli.installation import Installation
from cli.lab.convergence import wait_converged
from cli.lab.pins import pinned
from cli.lab.plan import plan_of
from cli.lab.routers import Lab, start_routers
from core import crypto
from core.settings import Settings
from intents.init import init_repository
from intents.repository import Repository
from reconciler import receipts, runs
from reconciler.states import RunState
from tests.frr.network import BGP_ENDS, ROUTERS, documents, reader
from tests.support import need, run

pytestmark = pytest.mark.real

ROLLOUT = "rollout: {canary: 1, steps: [100], soak: 0s, confirm: 120s}\n"
LINK = "network/links/r1--r2.yaml"


@pytest.fixture(scope="module")
def lab():
    """Empty routers; the whole module is on the operator's side."""
    need("/usr/lib/frr/frr-reload.py", apt="frr frr-pythontools", root=True)
    with start_routers(plan_of(reader())) as started, started.inside():
        yield started


@pytest.fixture(scope="module")
def one(lab: Lab, tmp_path_factory):
    """An installation whose trunk is the small network, with this lab's keys pinned."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings.load(home, {}, radius_auth_port=0, radius_acct_port=0, api_port=0, test_mode=True)
    key = crypto.create_key(settings.key_file, settings.identity_file)
    texts = documents() | {"network/sites/perth1.yaml": "name: Perth 1\n"}
    texts["trunkline.yaml"] += ROLLOUT
    files = {path: text.encode() for path, text in texts.items()}
    init_repository(settings, files | pinned(lab, files, key), "engineer")
    installation = Installation(settings)
    yield installation
    installation.reconciler.close()
    installation.close()


def states(one: Installation) -> dict[str, RunState]:
    with one.db.read() as conn:
        return {device: run.state for device, run in runs.latest(conn).items()}


def push(one: Installation, path: str, text: str) -> str:
    """A merged pull request."""
    clone = Path(one.settings.home, "clone")
    if not clone.exists():
        run(["git", "clone", "-q", one.settings.repository, clone])
    (clone / path).write_text(text)
    run(["git", "commit", "-qam", "Another cost"], cwd=clone)
    run(["git", "push", "-q", "origin", "HEAD"], cwd=clone)
    return Repository(one.settings.repository, one.settings.trunk).head() or ""


def test_trunk_becomes_a_network_of_real_routers(one, lab):
    """Three empty routers are configured over SSH in waves, verified, and find each other."""
    one.settle()
    assert states(one) == dict.fromkeys(ROUTERS, RunState.VERIFIED)
    counts, _ = wait_converged(lab, 90, bgp=BGP_ENDS)
    assert (counts.ospf, counts.ospf6, counts.bgp) == (6, 6, BGP_ENDS)


def test_a_commit_reaches_the_routers_that_it_names_and_leaves_receipts(one, lab):
    """Another cost on the link r1-r2: two devices, a receipt of that commit each, sessions stay."""
    commit = push(one, LINK, documents(cost=25)[LINK])
    one.settle()
    with one.db.read() as conn:
        changed = {name for name, found in runs.latest(conn).items() if found.commit_id == commit}
        acked = {found.target for found in receipts.recent(conn) if found.commit_id == commit}
    assert changed == acked == {"r1", "r2"}
    assert states(one) == dict.fromkeys(ROUTERS, RunState.VERIFIED)
    wait_converged(lab, 90, bgp=BGP_ENDS)
