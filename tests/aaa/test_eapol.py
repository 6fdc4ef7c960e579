"""EAP against our server, by wpa_supplicant's eapol_test: every method that we offer, and what must not get in."""

from datetime import UTC, datetime, timedelta

import pytest

from aaa.eap.authority import Authority
from aaa.radius.refusals import Refusals
from aaa.radius.server import RadiusServer
from core import clock
from core.settings import SettingNotUsable, Settings
from tests.aaa.conftest import QUICK
from tests.aaa.eapol import PEAP, TLS, TTLS, Client

pytestmark = pytest.mark.real


@pytest.fixture
def client(certified, server, tmp_path):
    """eapol_test for the running server."""
    return Client(tmp_path, server.auth_port)


def test_peap_lets_in_who_knows_the_password(client, certified, server):
    """PEAP/MSCHAPv2: accepted, both sides have the same MPPE keys; a wrong password and an unknown login are not."""
    ca = certified / "ca.pem"
    told = client.login(PEAP % ("s1@example.net", "pw-1", ca))
    assert told.good, told.text
    assert "MPPE keys OK: 1  mismatch: 0" in told.text
    told = client.login(PEAP % ("s1@example.net", "wrong", ca))
    assert not told.good
    assert "authentication failed" in told.text.lower()
    assert not client.login(PEAP % ("nobody@example.net", "pw-1", ca)).good
    assert server.worker.answers.counted == {"accepted": 1, "wrong-credentials": 1, "unknown": 1}


def test_the_accept_says_who_it_is(client, certified, server):
    """The anonymous outer identity is replaced by the real one, for accounting; the policy's reply is there."""
    told = client.login(PEAP % ("s1@example.net", "pw-1", certified / "ca.pem"))
    accept = told.text[told.text.rindex("code=2 (Access-Accept)") :]
    assert "s1@example.net" in accept
    assert "Attribute 25 (Class)" in accept
    assert "Attribute 80 (Message-Authenticator)" in accept


def test_what_is_held_stays_out(client, certified, server, network, node):
    """The right password of a held service: refused, and support sees that it is the hold."""
    from tests.aaa.network import write_snapshot

    network.hold("S-1", "nonpayment", "block")
    write_snapshot(network, node, seq=2)
    server.worker.view._base = type(server.worker.view._base)(node.home / "radius" / "view" / "view.base")
    assert not client.login(PEAP % ("s1@example.net", "pw-1", certified / "ca.pem")).good
    assert server.worker.answers.counted == {"held": 1}


@pytest.mark.parametrize("inner", ["=PAP", "=CHAP", "=MSCHAP", "=MSCHAPV2", "eap=MSCHAPV2"])
def test_ttls_takes_every_usual_inner_login(client, certified, server, inner):
    """TTLS with PAP, CHAP, MS-CHAP, MS-CHAPv2, or EAP-MSCHAPv2 inside: right password in, wrong one not."""
    ca = certified / "ca.pem"
    told = client.login(TTLS % ("s1@example.net", "pw-1", inner, ca))
    assert told.good, told.text
    assert not client.login(TTLS % ("s1@example.net", "wrong", inner, ca)).good
    assert server.worker.answers.counted == {"accepted": 1, "wrong-credentials": 1}


def test_another_method_inside_is_refused(client, certified, server):
    """TTLS/EAP-MD5 is not what there is inside."""
    assert not client.login(TTLS % ("s1@example.net", "pw-1", "eap=MD5", certified / "ca.pem")).good
    assert server.worker.answers.counted == {"unsupported-method": 1}


def client_file(tmp_path, authority, login, **given):
    """A client's PKCS#12 under the password `secret`."""
    path = tmp_path / f"{login}.p12"
    path.write_bytes(authority.client(login, "secret", **given))
    return path


def test_a_certificate_of_ours_is_a_login(client, certified, server, authority, tmp_path):
    """EAP-TLS with the right certificate, also under an anonymous identity; somebody else's name is refused."""
    ca, mine = certified / "ca.pem", client_file(tmp_path, authority, "s1@example.net")
    for identity in ("s1@example.net", "anonymous@example.net"):
        told = client.login(TLS % (identity, ca, mine))
        assert told.good, told.text
    assert not client.login(TLS % ("s2@example.net", ca, mine)).good
    assert server.worker.answers.counted == {"accepted": 2, "wrong-credentials": 1}
    assert "names s1@example.net, not s2@example.net" in refusal(server)


@pytest.fixture(autouse=True)
def _kept(monkeypatch):
    """Refusals stay where `refusal` looks: on a busy machine they were in the database by then."""
    monkeypatch.setattr(Refusals, "flush", lambda _self, _db: 0)


def held(server):
    """How many conversations the worker holds."""
    handler = server.worker.answers.methods["EAP"]
    return len(handler.conversations)


def refusal(server):
    """What support sees of the last refusal."""
    return server.worker.refusals._waiting[-1]["detail"]


def test_foreign_expired_and_revoked_certificates_stay_out(
    client, certified, server, authority, tmp_path, monkeypatch
):
    """Each is refused, and support reads why."""
    ca = certified / "ca.pem"
    foreign = Authority.make(tmp_path / "foreign", "Somebody Else")
    told = client.login(TLS % ("s1@example.net", ca, client_file(tmp_path, foreign, "s1@example.net")))
    assert not told.good
    assert refusal(server) == "client's CA Somebody Else: from another CA"
    with monkeypatch.context() as earlier:
        earlier.setattr(clock, "now", lambda: datetime.now(UTC) - timedelta(days=3))
        old = client_file(tmp_path, authority, "s2@example.net", days=1)
    assert not client.login(TLS % ("s2@example.net", ca, old)).good
    assert refusal(server) == "client certificate s2@example.net: expired"
    gone = client_file(tmp_path, authority, "s3@example.net")
    assert client.login(TLS % ("s3@example.net", ca, gone)).good
    Authority.revoke(authority, "s3@example.net")
    (certified / "crl.pem").write_bytes((authority.folder / "crl.pem").read_bytes())
    assert not client.login(TLS % ("s3@example.net", ca, gone)).good
    assert refusal(server) == "client certificate s3@example.net: revoked"
    assert server.worker.answers.counted == {"accepted": 1, "wrong-credentials": 3}


@pytest.mark.parametrize("mtu", ["200", "1400"])
def test_small_fragments_both_ways(client, certified, server, authority, tmp_path, mtu):
    """A NAS that takes 200 octets, and a client that sends no more: TLS goes through in pieces, in both directions."""
    mine = client_file(tmp_path, authority, "s1@example.net")
    network = TLS % ("s1@example.net", certified / "ca.pem", mine) + "\n  fragment_size=150"
    told = client.login(network, f"-N12:d:{mtu}")
    assert told.good, told.text
    challenges = told.text.count("code=11 (Access-Challenge)")
    assert challenges > (15 if mtu == "200" else 8)


def test_a_client_that_does_not_trust_us_says_so(client, certified, server, authority, tmp_path):
    """The client's alert is for support."""
    foreign = Authority.make(tmp_path / "foreign", "Somebody Else")
    assert not client.login(PEAP % ("s1@example.net", "pw-1", foreign.folder / "ca.pem")).good
    assert "does not trust our certificate" in refusal(server)


def test_md5_alone_is_not_offered(client, server):
    """A client that wants EAP-MD5 gets an EAP-Failure, and support reads what it wanted."""
    network = 'eap=MD5\n  identity="s1@example.net"\n  password="pw-1"'
    told = client.login(network, "-n")
    assert not told.good
    assert "EAP: Received EAP-Failure" in told.text or "EAP-Failure" in told.text
    assert refusal(server) == "the client wants EAP-MD5; offered are EAP-PEAP, EAP-TTLS, EAP-TLS"


def test_a_resumed_session_needs_no_password(client, certified, server):
    """Re-authentication within a worker resumes TLS: half the round trips, the same keys on both sides."""
    for network in (
        PEAP % ("s1@example.net", "pw-1", certified / "ca.pem"),
        TTLS % ("s1@example.net", "pw-1", "=PAP", certified / "ca.pem"),
    ):
        told = client.login(network, "-r1")
        assert told.good, told.text
        assert "MPPE keys OK: 2  mismatch: 0" in told.text
        assert "Handshake finished - resumed=1" in told.text
    assert server.worker.answers.counted == {"accepted": 4}


def test_without_certificates_the_reason_is_clear(server, tmp_path):
    """No certificate on the node: a refusal that names the file and the command."""
    client = Client(tmp_path, server.auth_port)
    assert not client.login(PEAP % ("s1@example.net", "pw-1", "/nowhere")).good
    assert "server.pem is missing: `trunkline radius certificate make`" in refusal(server)


@pytest.mark.parametrize("method", ["MSCHAPV2", "MD5"])
def test_without_a_tunnel_any_worker_goes_on(certified, node, tmp_path, method):
    """EAP-MSCHAPv2 and EAP-MD5, where the setting offers them: State has everything, the worker holds nothing."""
    settings = Settings.load(
        node.home, env={}, radius_auth_port=0, radius_acct_port=0, radius_eap_methods=[method.lower()]
    )
    network = f'eap={method}\n  identity="s1@example.net"\n  password="%s"'
    options = ["-n"] if method == "MD5" else []
    with RadiusServer(settings, limits=QUICK, in_process=True) as server:
        client = Client(tmp_path, server.auth_port)
        told = client.login(network % "pw-1", *options)
        assert told.good, told.text
        assert not client.login(network % "wrong", *options).good
        assert server.worker.answers.counted == {"accepted": 1, "wrong-credentials": 1}
        assert held(server) == 0


def test_a_client_may_choose_another_offered_method(client, certified, server, authority, tmp_path):
    """PEAP is proposed; who wants TTLS or TLS gets it after one Nak."""
    told = client.login(TTLS % ("s1@example.net", "pw-1", "=PAP", certified / "ca.pem"))
    assert told.good
    assert "EAP: vendor 0 method 25" in told.text or "method=25" in told.text
    assert "EAP: Building EAP-Nak" in told.text


def test_conversations_are_given_back(client, certified, server):
    """After logins that went well and badly nothing is held."""
    for password in ("pw-1", "wrong"):
        client.login(PEAP % ("s1@example.net", password, certified / "ca.pem"))
    assert held(server) == 0


def test_a_misspelt_method_is_told_at_the_start(node):
    """The setting names the methods that there are."""
    settings = Settings.load(
        node.home, env={"TRUNKLINE_RADIUS_EAP_METHODS": "peap,leap"}, radius_auth_port=0, radius_acct_port=0
    )
    with pytest.raises(SettingNotUsable, match="name some of peap, ttls, tls, mschapv2, md5"):
        RadiusServer(settings)


NEWEST = '\n  phase1="tls_disable_tlsv1_3=0"'


def test_tls_1_3_gives_the_same_keys_and_is_never_resumed(
    client, certified, server, authority, tmp_path, monkeypatch
):
    """Every tunnelled method over TLS 1.3 (RFC 9190, RFC 9427), twice in a row; an expired certificate is refused."""
    ca, mine = certified / "ca.pem", client_file(tmp_path, authority, "s1@example.net")
    for network in (
        PEAP % ("s1@example.net", "pw-1", ca),
        TTLS % ("s1@example.net", "pw-1", "=PAP", ca),
        TTLS % ("s1@example.net", "pw-1", "=MSCHAPV2", ca),
        TTLS % ("s1@example.net", "pw-1", "eap=MSCHAPV2", ca),
        TLS % ("s1@example.net", ca, mine),
    ):
        told = client.login(network + NEWEST, "-r1")
        assert told.good, told.text
        assert "Using TLS version TLSv1.3" in told.text
        assert "MPPE keys OK: 2  mismatch: 0" in told.text
        assert "resumed=1" not in told.text
    with monkeypatch.context() as earlier:
        earlier.setattr(clock, "now", lambda: datetime.now(UTC) - timedelta(days=3))
        old = client_file(tmp_path, authority, "s2@example.net", days=1)
    assert not client.login(TLS % ("s2@example.net", ca, old) + NEWEST).good
    assert refusal(server) == "client certificate s2@example.net: expired"
