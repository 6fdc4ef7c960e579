"""802.1X end to end: hostapd asks our server, wpa_supplicant logs in, and a Disconnect drops it."""

import pytest
import sqlalchemy as sa

from aaa.coa import client as coa
from aaa.models import session
from aaa.radius.nases import entry_at
from aaa.radius.server import RadiusServer
from aaa.view.seal import Seal
from cli.lab import namespaces
from tests.aaa.conftest import QUICK
from tests.aaa.eapol import PEAP
from tests.aaa.hostapd import radio
from tests.aaa.network import write_snapshot
from tests.support import eventually, need

pytestmark = pytest.mark.real


@pytest.fixture
def air(tmp_path, node, network, certified, recorded):
    """A running server and hostapd as the AP `ap1` in one namespace, a veth to a station in another."""
    need("ip", apt="iproute2", root=True)
    need("hostapd", apt="hostapd")
    network.radio(7)
    # hostapd answers a Disconnect from the namespace's first address, whichever it was sent to.
    network.bng("bng1", "mikrotik", "127.0.0.9")
    network.put("device", "ap1", network.texts["device", "ap1"].replace("127.0.0.3", "127.0.0.1"))
    write_snapshot(network, node)
    folder = tmp_path / "air"
    folder.mkdir()
    with radio(folder) as made:
        with namespaces.inside(made.ap):
            server = RadiusServer(node, limits=QUICK, in_process=True)
        with server:
            made.serve(server.auth_port, server.acct_port)
            eventually(lambda: "AP-ENABLED" in made.log("hostapd"), cap=10, says=lambda: made.log("hostapd"))
            yield made, server


def sessions(db):
    """Every session row."""
    with db.read() as conn:
        return conn.execute(sa.select(session)).all()


def test_a_station_logs_in_is_counted_and_is_dropped(air, node, recorded, certified):
    """Login with the service's reply; Accounting-Start with the right service, although the outer identity is
    anonymous; re-authentication without a second session; Disconnect acknowledged; Accounting-Stop.
    """
    made, server = air

    def told():
        return made.log("hostapd")[-6000:] + made.log("station")[-3000:]

    made.connect(PEAP % ("L-7", "air-7", certified / "ca.pem"))
    eventually(lambda: "EAP authentication completed successfully" in made.log("station"), cap=15, says=told)
    (row,) = eventually(lambda: sessions(recorded), cap=10, says=told)
    assert (row.service, row.login, row.nas, row.state) == ("S-7", "L-7", "ap1", "open")

    made.cli("reauthenticate")
    eventually(lambda: server.worker.answers.counted["accepted"] == 2, cap=10, says=told)
    assert len(sessions(recorded)) == 1

    nas = entry_at(server.worker.view.lookup, Seal.of(node.home), "127.0.0.1")
    assert nas is not None
    with namespaces.inside(made.ap):
        outcome = coa.disconnect(nas, coa.identity_of(nas, row.acct_session_id, row.login))
    assert outcome.result == "acked", outcome
    eventually(lambda: sessions(recorded)[0].state == "closed", cap=10, says=told)
    assert "AP-STA-DISCONNECTED" in made.log("hostapd")
