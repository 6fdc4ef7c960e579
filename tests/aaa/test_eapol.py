"""EAP against our server, by wpa_supplicant's eapol_test: every method that we offer, and what must not get in."""

import pytest

from aaa.eap.authority import Authority
from tests.aaa.eapol import PEAP, TLS, TTLS, Client

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
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


@pytest.fixture
def client(certified, server, tmp_path):
    """eapol_test for the running server."""
    return Client(tmp_path, server.auth_port)


def test_peap_lets_in_who_knows_the_password(client, certified, server):
    """PEAP/MSCHAPv2: accepted, both sides have the same MPPE keys; a wrong password and an unknown login are not."""
    ca = certified / "ca.pem"
    told = client.login(PEAP % ("s1@example.net", "pw-1", ca))
    assert told.good, told.text
