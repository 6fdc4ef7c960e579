"""FreeRADIUS's radclient, a client that we did not write, against our server."""

import subprocess

import pytest

from tests.support import need

pytestmark = pytest.mark.real


def radclient(
    port: int, kind: str, attributes: str, secret: str = "testing123", retries: int = 2, patience: int = 2
) -> subprocess.CompletedProcess:
    """Run radclient; it verifies the reply's authenticator and Message-Authenticator itself."""
    program = need("radclient", apt="freeradius-utils")
    return subprocess.run(
        [program, "-x", "-r", str(retries), "-t", str(patience), f"127.0.0.1:{port}", kind, secret],
        input=attributes,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_pap_and_chap(server):
    """radclient is accepted by PAP and CHAP, and sees the vendor's attributes."""
    for password in ("User-Password", "CHAP-Password"):
        told = f'User-Name = "s1@example.net"\n{password} = "pw-1"\nMessage-Authenticator = 0x00\n'
        done = radclient(server.auth_port, "auth", told)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Access-Accept" in done.stdout
        assert 'Mikrotik-Rate-Limit = "50000000/500000000"' in done.stdout
    done = radclient(
        server.auth_port,
        "auth",
        'User-Name = "s1@example.net"\nUser-Password = "no"\nMessage-Authenticator = 0x00\n',
    )
    assert done.returncode == 1
    assert "Access-Reject" in done.stdout


def test_status_and_accounting(server, recorded):
    """Status-Server and Accounting-Request are acknowledged; the session is in the database."""
    import sqlalchemy as sa

    from aaa.models import session

    assert "Access-Accept" in radclient(server.auth_port, "status", "Message-Authenticator = 0x00\n").stdout
    told = 'Acct-Status-Type = Start\nAcct-Session-Id = "abc"\nUser-Name = "s1@example.net"\n'
    told += "Framed-IP-Address = 100.64.0.9\n"
    assert "Accounting-Response" in radclient(server.acct_port, "acct", told).stdout
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(session)).all()
    assert (row.acct_session_id, row.service, row.framed_address) == (b"abc", "S-1", "100.64.0.9")


def test_a_wrong_secret_is_silence(server):
    """Signed with another secret: no answer at all."""
    told = 'User-Name = "s1@example.net"\nUser-Password = "pw-1"\nMessage-Authenticator = 0x00\n'
    assert "No reply" in radclient(server.auth_port, "auth", told, "wrong", retries=1, patience=1).stdout
