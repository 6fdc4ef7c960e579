"""MS-CHAP: the RFCs' own vectors, and logins over RADIUS by our peer and by radclient."""

import secrets
import socket
import subprocess
from hashlib import md5

import pytest

from aaa.mschap.keys import first_version_keys, hidden_key, mschap_keys
from aaa.mschap.md4 import md4
from aaa.mschap.proof import (
    answer_to,
    authenticator_response,
    challenge_hash,
    nt_hash,
    nt_response,
    response_is_right,
)
from aaa.radius.packet import pair, vendor_pairs
from tests.aaa.eapol import TTLS, Client
from tests.aaa.freeradius import proxy
from tests.support import free_port, need

# RFC 2759 section 9.2, and RFC 3079 section 3.5.3 for the same login.
NAME, PASSWORD = b"User", b"clientPass"
OURS = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
RESPONSE = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"message digest", "d9130a8164549fe818874806e1c7014b"),
        (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "043f8582f241db351ce627e153e7f0e4",
        ),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_gives_the_rfcs_digests(message, digest):
    """RFC 1320 appendix A.5."""
    assert md4(message).hex() == digest


def test_mschapv2_gives_the_rfcs_octets():
    """RFC 2759 section 9.2: the challenge's hash, the password's hash, the response, and our proof."""
    assert challenge_hash(PEER, OURS, NAME).hex() == "d02e4386bce91226"
    assert nt_hash(PASSWORD).hex() == "44ebba8d5312b8d611474411f56989ae"
    assert md4(nt_hash(PASSWORD)).hex() == "41c00c584bd2d91c4017a2a12fa59f3f"
    assert nt_response(OURS, PEER, NAME, PASSWORD) == RESPONSE
    proof = authenticator_response(OURS, PEER, NAME, PASSWORD, RESPONSE)
    assert proof == b"S=407A5589115FD0D6209F510FE9C04566932CDA56"


def test_a_domain_in_front_is_no_part_of_the_name():
    """RFC 2759 section 4: the response is over the name alone."""
    assert nt_response(OURS, PEER, b"BIGCO\\User", PASSWORD) == RESPONSE
    assert response_is_right(OURS, PEER, b"BIGCO\\User", PASSWORD, RESPONSE)
    assert not response_is_right(OURS, PEER, b"User", b"", RESPONSE)


def test_keys_are_the_rfcs():
    """RFC 3079 section 3.5.3: the server's send key for 128 bits."""
    send, _receive = mschap_keys(PASSWORD, RESPONSE)
    assert send.hex() == "8b7cdc149b993a1ba118cb153f56dccb"


def revealed(value: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """A hidden key in clear, as a NAS reads it (RFC 2548 section 2.4.2)."""
    salt, hidden, clear, last = value[:2], value[2:], b"", authenticator + value[:2]
    assert salt[0] & 0x80
    for at in range(0, len(hidden), 16):
        stream = md5(secret + last).digest()
        last = hidden[at : at + 16]
        clear += bytes(a ^ b for a, b in zip(last, stream, strict=True))
    return clear[1 : 1 + clear[0]]


def test_a_hidden_key_comes_back():
    """Keys of 16 and of 32 octets survive hiding; another secret gives other octets."""
    for size in (16, 32):
        key, authenticator = secrets.token_bytes(size), secrets.token_bytes(16)
        hidden = hidden_key(key, b"\x80\x01", b"secret", authenticator)
        assert revealed(hidden, b"secret", authenticator) == key
        assert revealed(hidden, b"secre7", authenticator) != key
    assert len(first_version_keys(b"x", b"secret", bytes(16))) == 40


def microsoft(kind, value):
    """A Microsoft attribute."""
    return pair(26, (311).to_bytes(4) + pair(kind, value))


def ask(client, login, password, domain=b""):
    """A login by MS-CHAPv2 as a NAS forwards it; the reply, and what a peer needs to check it."""
    ours, peer = secrets.token_bytes(16), secrets.token_bytes(16)
    response = nt_response(ours, peer, domain + login, password)
    body = pair(1, domain + login) + pair(7, (1).to_bytes(4))
    body += microsoft(11, ours) + microsoft(25, b"\x07\x00" + peer + bytes(8) + response)
    authenticator = secrets.token_bytes(16)
    reply = client.access(body, authenticator)
    found = {k: v for value in reply.packet.all(26) for _n, k, v in vendor_pairs(value) if _n == 311}
    return reply, found, (ours, peer, response, authenticator)


def test_a_login_by_mschapv2_gives_proof_and_keys(nas):
    """The reply proves that we know the password too, and both keys are RFC 3079's for this response."""
    reply, found, (ours, peer, response, authenticator) = ask(nas(), b"s1@example.net", b"pw-1")
    assert reply.accepted
    assert reply.ma_first
    proof = authenticator_response(ours, peer, b"s1@example.net", b"pw-1", response)
    assert found[26] == b"\x07" + proof
    send, receive = mschap_keys(b"pw-1", response)
    assert revealed(found[16], b"testing123", authenticator) == send
    assert revealed(found[17], b"testing123", authenticator) == receive
    assert "Mikrotik-Rate-Limit = 50000000/500000000" in reply.attributes


def test_a_refusal_by_mschapv2_tells_nothing(nas, server, network):
    """Wrong password and unknown login read alike: E=691, no second try; support sees which it was."""
    for login, password in ((b"s1@example.net", b"wrong"), (b"nobody", b"pw-1")):
        reply, found, _rest = ask(nas(), login, password)
        assert reply.code == 3
        assert found[2][:11] == b"\x07E=691 R=0 "
        assert not {16, 17, 26} & set(found)
    assert server.worker.answers.counted["wrong-credentials"] == 1
    assert server.worker.answers.counted["unknown"] == 1


def test_a_damaged_response_gets_no_answer(nas):
    """A response of the wrong length is nothing that can be answered."""
    client = nas(attempts=1, patience=0.3)
    body = pair(1, b"s1@example.net") + microsoft(11, bytes(16)) + microsoft(25, bytes(20))
    assert client.access(body, secrets.token_bytes(16)) is None


@pytest.mark.real
@pytest.mark.parametrize(("password", "code"), [("pw-1", 0), ("wrong", 1)])
def test_radclient_logs_in_by_mschap(server, password, code):
    """radclient's own MS-CHAPv1, for NASes that still offer it; the keys come with the accept."""
    program = need("radclient", apt="freeradius-utils")
    told = f'User-Name = "s1@example.net"\nMS-CHAP-Password = "{password}"\nMessage-Authenticator = 0x00\n'
    done = subprocess.run(
        [program, "-x", "-r", "2", "-t", "2", f"127.0.0.1:{server.auth_port}", "auth", "testing123"],
        input=told,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("MS-CHAP-MPPE-Keys" in done.stdout) == (code == 0)
    assert ("MS-CHAP-Error" in done.stdout) == (code == 1)


def test_the_answer_is_des_over_the_hash():
    """RFC 2433's shape: 24 octets; the third key has two octets of the hash and zeros."""
    assert len(answer_to(bytes(8), nt_hash(b"x"))) == 24


@pytest.mark.real
def test_freeradius_asks_us_by_mschapv2_for_its_tunnels(server, certified, tmp_path):
    """FreeRADIUS ends TTLS and proxies MS-CHAPv2; wpa_supplicant at the far end checks our proof of the password."""
    own = free_port(socket.SOCK_DGRAM)
    with proxy(tmp_path / "raddb", certified, server.auth_port, own) as log:
        client = Client(tmp_path, own)
        network = TTLS % ("s1@example.net", "pw-1", "=MSCHAPV2", certified / "ca.pem")
        told = client.login(network)
        assert told.good, told.text[-3000:] + log.read_text()[-6000:]
        assert not client.login(network.replace("pw-1", "wrong")).good
    assert server.worker.answers.counted == {"accepted": 1, "wrong-credentials": 1}
