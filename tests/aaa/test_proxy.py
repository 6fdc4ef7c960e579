"""Proxied realms: a real FreeRADIUS as home server, radclient as the NAS, we between them."""

import signal
import socket
import struct
from collections.abc import Iterator

import msgspec
import pytest

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import pair
from aaa.view.records import class_of
from tests.aaa.certificates import Authority
from tests.aaa.conftest import client_of
from tests.aaa.home import FreeRadius
from tests.aaa.network import SECRET
from tests.aaa.test_radclient import radclient
from tests.support import eventually, free_port, need, run

pytestmark = pytest.mark.real

USERS = """
ann@guest.example Cleartext-Password := "tea"
    Reply-Message := "hello",
    Mikrotik-Rate-Limit := "2M/8M",
    Session-Timeout := 3600,
    Framed-Pool := "not-yours",
    Framed-Route := "0.0.0.0/0 192.0.2.1 1",
    Service-Type := Administrative-User,
    Class := 0x544c313a703a532d31,
    Class += 0x74686569727321,
    Tunnel-Password:0 := "tunnel-secret"
ann Cleartext-Password := "tea"
    Reply-Message := "without a realm"
"""
CONFIG = """
schema: 1
operator: {name: Test, timezone: Europe/Malta, currency: EUR}
aaa:
%s
"""


def realms(text: str) -> str:
    """trunkline.yaml with these lines below `aaa:`."""
    return CONFIG % "\n".join(f"  {line}" for line in text.strip().splitlines())


def proxied(*homes: str, more: str = "") -> str:
    """guest.example is answered by these."""
    listed = ", ".join(f'"{home}"' for home in homes)
    return realms(
        f'realms: {{example.net: {{}}, guest.example: {{proxy: [{listed}], secret: "enc:v1:homesecret"{more}}}}}'
    )


@pytest.fixture
def home(tmp_path) -> Iterator[FreeRadius]:
    """One home server."""
    one = FreeRadius(USERS)
    yield one
    one.kill()


def ask(server, *attributes: str, kind: str = "auth") -> str:
    """radclient's words and its output; it verifies the reply itself."""
    port = server.acct_port if kind == "acct" else server.auth_port
    told: str = radclient(port, kind, "\n".join((*attributes, "")), retries=1, patience=10).stdout
    return told


MA = "Message-Authenticator = 0x00"


def test_pap_chap_and_mschap_are_answered_by_the_home_server(anew, network, home):
    """Each method's proof survives the new secret and authenticator; a wrong password is the home server's no."""
    network.put("config", "trunkline", proxied(home.address, more=", allow: [vrf]"))
    server, _client = anew(network)
    for password in ("User-Password", "CHAP-Password", "MS-CHAP-Password"):
        told = ask(server, 'User-Name = "ann@guest.example"', f'{password} = "tea"', MA)
        assert "Access-Accept" in told, told + home.log()
        assert 'Reply-Message = "hello"' in told
        # radclient opens it with its own secret: it was hidden under the home server's.
        assert 'Tunnel-Password:0 = "tunnel-secret"' in told
        if password == "MS-CHAP-Password":
            assert "MS-CHAP-MPPE-Keys" in told
    assert "Access-Reject" in ask(server, 'User-Name = "ann@guest.example"', 'User-Password = "no"', MA)
    assert "Access-Accept" in ask(server, 'User-Name = "s1@example.net"', 'User-Password = "pw-1"', MA)
    assert "s1@example.net" not in home.seen()


def test_a_reseller_sets_no_more_than_it_may(anew, network, home):
    """Pool, route, tunnel, admin rights and a Class that looks like ours are taken out; the rest passes."""
    network.put("config", "trunkline", proxied(home.address))
    server, _client = anew(network)
    told = ask(server, 'User-Name = "ann@guest.example"', 'User-Password = "tea"', MA)
    for passes in ('Mikrotik-Rate-Limit = "2M/8M"', "Session-Timeout = 3600", "Class = 0x74686569727321"):
        assert passes in told
    reply = told[told.index("Access-Accept") :]
    for word in ("Framed-Pool", "Framed-Route", "Service-Type", "Tunnel-Password", "0x544c31"):
        assert word not in reply
    assert server.worker.elsewhere.errands.counted["filtered"] == 5


def test_proxy_states_of_others_come_back_in_order_and_ours_is_last_there(anew, network, home):
    """The home server sees theirs, then ours; the NAS gets back its own and nothing else."""
    network.put("config", "trunkline", proxied(home.address, more=", strip: true"))
    _server, client = anew(network)
    mine = [b"first", b"second"]
    reply = client.login("ann@guest.example", "tea", attributes=b"".join(pair(33, one) for one in mine))
    assert reply is not None
    assert reply.accepted
    assert reply.ma_first
    assert reply.packet.all(33) == mine
    assert reply.packet.first(18) == b"without a realm"
    states = [line.split("= ")[1] for line in home.seen().splitlines() if "Proxy-State" in line]
    assert states[:2] == ["0x6669727374", "0x7365636f6e64"]
    assert states[2].startswith("0x544c")
    assert len(states) == 3


def test_what_comes_back_to_us_is_a_loop(anew, network, home):
    """A request that carries our own Proxy-State gets no answer, and is not sent round once more."""
    network.put("config", "trunkline", proxied(home.address))
    server, _client = anew(network)
    elsewhere = server.worker.elsewhere
    client = client_of(server, patience=0.3, attempts=1)
    assert client.login("ann@guest.example", "tea", attributes=pair(33, elsewhere._proxy_state)) is None
    client.close()
    assert elsewhere.errands.counted["loop"] == 1
    assert elsewhere.errands.counted["forwarded"] == 0


def test_the_second_server_answers_when_the_first_is_killed(anew, network, tmp_path):
    """In the middle of a stream of logins the first home server dies: none is refused or lost; it comes back by
    Status-Server, and is asked first again."""
    first, second = FreeRadius(USERS), FreeRadius(USERS)
    try:
        network.put("config", "trunkline", proxied(first.address, second.address))
        server, _client = anew(network)
        client = client_of(server, patience=8, attempts=1)
        errands = server.worker.elsewhere.errands
        for number in range(30):
            if number == 10:
                first.kill()
            reply = client.login("ann@guest.example", "tea")
            assert reply is not None
            assert reply.accepted
        assert errands.counted["failover"] >= 1
        assert errands.counted["unanswered"] == 0
        assert "ann" in second.seen()
        before = second.seen().count("ann@guest.example")
        first.start()
        eventually(lambda: set(errands.states().values()) == {"alive"}, cap=15, says=errands.states)
        assert client.login("ann@guest.example", "tea").accepted
        assert second.seen().count("ann@guest.example") == before
        client.close()
    finally:
        first.kill()
        second.kill()


def test_nobody_there_is_silence_and_a_retransmission_is_no_second_request(anew, network):
    """No home server answers: no reject either. Meanwhile retransmissions of the NAS are the same one request."""
    gone = free_port()
    network.put("config", "trunkline", proxied(f"127.0.0.1:{gone}"))
    server, _client = anew(network)
    client = client_of(server, patience=0.3, attempts=2)
    assert client.login("ann@guest.example", "tea") is None
    client.close()
    counted = server.worker.elsewhere.errands.counted
    eventually(lambda: counted["unanswered"] >= 1, cap=5)
    assert server.worker.answers.counted == {}


def test_accounting_of_a_proxied_realm_never_takes_the_short_way(anew, network, home):
    """However the realm is written: the other server is to know of it."""
    network.put("config", "trunkline", proxied(home.address))
    server, _client = anew(network)
    answers = server.worker.answers
    for login, short in (
        (b"s1@example.net", True),
        (b"s1", True),
        (b"ann@guest.example", False),
        (b"ann@GUEST.example", False),
        (b"ann@gu\0est.example", False),
    ):
        body = pair(40, bytes((0, 0, 0, 1))) + pair(44, b"1") + pair(1, login) + class_of("S-1", "abc")
        datagram = wire.request(wire.ACCOUNTING_REQUEST, 1, SECRET, body)
        answers._layouts.learn(datagram)
        assert (answers.lightly(datagram, "127.0.0.1", 1e9) is not None) == short
        read = answers.accounting(datagram, "127.0.0.1")
        assert (read[1].through is None) == short


def test_a_login_of_a_proxied_realm_never_takes_the_short_way(anew, network, home):
    """Nor does one of a NAS that is still moving in, although there is a record of ours whose password is right."""
    logins = (b"s1@example.net", b"ann@guest.example", b"ann@GUEST.example")
    network.subscriber(7, session='method: pppoe, login: ann@guest.example, password: "enc:v1:pw-1"')
    network.put("config", "trunkline", proxied(home.address))
    server, _client = anew(network)
    answers = server.worker.answers
    nas = answers._nases.at("127.0.0.1")

    def short(moving: str) -> list[bool]:
        answers._nases._known["127.0.0.1"] = msgspec.structs.replace(nas, moving=moving)
        bodies = [pair(1, login) + pair(2, hide(b"pw-1", SECRET, bytes(16))) for login in logins]
        asked = [wire.request(wire.ACCESS_REQUEST, 1, SECRET, body, bytes(16)) for body in bodies]
        return [answers.plainly(datagram, "127.0.0.1") is not None for datagram in asked]

    assert short("") == [True, False, False]
    assert short("shadow") == short("proxy") == [False] * 3
    answers._elsewhere = None
    assert short("") == [True, True, False]  # its capitals are for the careful way


def test_six_hundred_at_once_need_more_than_one_socket(anew, network, home):
    """The home server hangs while 600 requests come: three identifier spaces carry them, each is answered once."""
    network.put("config", "trunkline", proxied(home.address))
    server, _client = anew(network)
    errands = server.worker.elsewhere.errands
    assert home.process is not None
    home.process.send_signal(signal.SIGSTOP)
    ports = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    requests = []
    for number in range(200):
        authenticator = bytes((number,)) * 16
        body = pair(1, b"ann@guest.example") + pair(2, hide(b"tea", SECRET, authenticator))
        requests.append(wire.request(wire.ACCESS_REQUEST, number, SECRET, body, authenticator))
    for port in ports:
        port.bind(("127.0.0.1", 0))
        port.connect(("127.0.0.1", server.auth_port))
        port.settimeout(3)
        for asked in requests:
            port.send(asked)
    eventually(lambda: errands.counted["forwarded"] == 600, cap=20)
    (one,) = errands._homes.values()
    assert len(one._lanes) == 3
    home.process.send_signal(signal.SIGCONT)
    for port in ports:
        assert all_answers(port, requests) == {bytes((2, number)) for number in range(200)}
        port.close()


def all_answers(port: socket.socket, requests: list[bytes]) -> set[bytes]:
    """Code and identifier of the answers to all requests. What the home server's socket had no room for while it hung,
    and what we gave up meanwhile, is asked again, as a NAS does; what was asked once is answered once.
    """
    found: set[bytes] = set()
    again: set[int] = set()
    for _ in range(10):
        try:
            while len(found) < len(requests):
                answer = port.recv(4096)[:2]
                assert answer not in found or answer[1] in again
                found.add(answer)
            break
        except TimeoutError:
            again |= set(range(len(requests))) - {answer[1] for answer in found}
            for number in again - {answer[1] for answer in found}:
                port.send(requests[number])
    return found


def test_accounting_of_a_proxied_realm_is_ours_and_theirs(anew, network, home, recorded):
    """Acknowledged, in our table without a service of ours, and delivered to the home server in order."""
    import sqlalchemy as sa

    from aaa.models import session

    network.put("config", "trunkline", proxied(home.address))
    _server, client = anew(network)
    for kind in (1, 3, 2):
        body = pair(40, struct.pack(">I", kind)) + pair(44, b"call-1") + pair(1, b"ann@guest.example")
        assert client.account(body + pair(25, b"TL1:p:S-1")) is not None
    eventually(lambda: home.detail().count("Acct-Session-Id") == 3, cap=10, says=home.detail)
    kinds = [line.split("= ")[1] for line in home.detail().splitlines() if "Acct-Status-Type" in line]
    assert kinds == ["Start", "Interim-Update", "Stop"]
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(session)).all()
    assert (row.service, row.login, row.state, row.policy_hash) == ("", "ann@guest.example", "closed", "")


_EAP = """
  eap {
    default_eap_type = peap
    tls-config common {
      private_key_file = %(certs)s/peer.key
      certificate_file = %(certs)s/peer.pem
      ca_file = %(certs)s/ca.pem
      tls_min_version = "1.2"
      tls_max_version = "1.2"
    }
    peap {
      tls = common
      default_eap_type = mschapv2
      virtual_server = inner
    }
    mschapv2 {
    }
  }
"""
_INNER = """
server inner {
  authorize {
    update control {
      Proxy-To-Realm := LOCAL
    }
    mschap
    eap
    files
  }
  authenticate {
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
}
"""


def test_eap_passes_through_with_its_keys(anew, network, tmp_path):
    """PEAP from eapol_test over us to the home server: every round is signed anew, and both ends hold the same keys."""
    program = need("eapol_test", apt="eapoltest")
    certs = tmp_path / "certs"
    Authority().issue(certs, "home.example", "peer")
    home = FreeRadius(
        USERS,
        modules=_EAP % {"certs": certs},
        authorize="    eap",
        authenticate="    eap",
        servers=_INNER,
    )
    try:
        network.put("config", "trunkline", proxied(home.address))
        server, _client = anew(network)
        conf = tmp_path / "peap.conf"
        conf.write_text(
            'network={\n key_mgmt=IEEE8021X\n eap=PEAP\n identity="ann@guest.example"\n password="tea"\n'
            f' ca_cert="{certs / "ca.pem"}"\n phase2="auth=MSCHAPV2"\n}}\n'
        )
        told = run(
            [
                program,
                "-c",
                conf,
                "-a",
                "127.0.0.1",
                "-p",
                str(server.auth_port),
                "-s",
                "testing123",
                "-t",
                "10",
            ],
            check=False,
        ).stdout
        assert "MPPE keys OK: 1" in told, told[-3000:] + home.log()
        assert told.rstrip().endswith("SUCCESS")
        assert server.worker.elsewhere.errands.counted["answered"] > 5
    finally:
        home.kill()
