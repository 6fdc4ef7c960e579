"""Certificates for EAP: made, shown, renewed, mistaken; each mistake is one sentence."""

import json
import os

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12
from typer.testing import CliRunner

from aaa.eap import names
from aaa.eap.authority import Authority
from aaa.eap.certificates import Certificates, CertificatesNotUsable, load
from cli.doctor.node import check_certificates
from cli.radius import certificate
from core.errors import Terminal
from tests.support import trunkline


def ask(home, *args):
    """The command in this process, with the status that `trunkline` would end with."""
    done = CliRunner().invoke(certificate.app, [*map(str, args), "--home", str(home)])
    return done.exit_code if not isinstance(done.exception, Terminal) else 3, done.stdout


def test_an_operator_makes_shows_gives_and_takes_back(tmp_path):
    """The whole way by command; keys are private, nothing is overwritten, a revoked one is shown as such."""
    assert ask(tmp_path, "show")[0] == 1
    assert ask(tmp_path, "make", "radius.example.net", "--name", "Example Net")[0] == 0
    folder = tmp_path / "radius" / "tls"
    assert {(folder / name).stat().st_mode & 0o777 for name in ("ca.key", "server.key")} == {0o600}
    assert ask(tmp_path, "make", "radius.example.net")[0] == 3
    told = json.loads(ask(tmp_path, "client", "L-7", "--out", tmp_path / "l7.p12", "--json")[1])
    assert (tmp_path / "l7.p12").stat().st_mode & 0o777 == 0o600
    key, made, more = pkcs12.load_key_and_certificates(
        (tmp_path / "l7.p12").read_bytes(), told["password"].encode()
    )
    assert key is not None
    assert made is not None
    assert names.of(made) == ["L-7"]
    assert len(more) == 1
    assert ask(tmp_path, "revoke", "L-8")[0] == 3
    assert ask(tmp_path, "revoke", "L-7")[0] == 0
    before = (folder / "server.pem").read_bytes()
    assert ask(tmp_path, "renew")[0] == 0
    assert (folder / "server.pem").read_bytes() != before
    told = json.loads(ask(tmp_path, "show", "--json")[1])
    assert told["problem"] == ""
    assert [(one["names"], one["revoked"]) for one in told["certificates"]] == [
        (["Example Net"], False),
        (["radius.example.net"], False),
        (["L-7"], True),
    ]
    env = {**os.environ, "TRUNKLINE_HOME": str(tmp_path)}
    assert "radius.example.net" in trunkline("radius", "certificate", "show", env=env).stdout
    assert next(check_certificates(folder)).level == "ok"


@pytest.mark.parametrize("name", ["", "  ", "a" * 300])
def test_a_name_that_cannot_be_leaves_no_ca_behind(tmp_path, name):
    """A CA without a server's certificate would refuse the next `make`, and `renew` would ask for `make`."""
    assert ask(tmp_path, "make", name)[0] == 3
    assert ask(tmp_path, "make", "radius.example.net")[0] == 0


def test_the_commands_tell_what_is_damaged(certified, node, tmp_path):
    """A file that is no PEM, a place that cannot be written, a login of no usual form."""
    for name in ("crl.pem", "server.pem", "ca.pem"):
        good = (certified / name).read_bytes() if (certified / name).exists() else None
        (certified / name).write_bytes(b"garbage")
        assert ask(node.home, "show")[0] == 3
        if good is None:
            (certified / name).unlink()
        else:
            (certified / name).write_bytes(good)
    assert ask(node.home, "client", "", "--out", tmp_path / "a.p12")[0] == 3
    assert ask(node.home, "client", "bob", "--out", tmp_path / "nowhere" / "a.p12")[0] == 3
    assert ask(node.home, "client", "Bob <b@example.net>", "--out", tmp_path / "b.p12")[0] == 0


def test_each_mistake_is_one_sentence(certified, tmp_path):
    """A foreign key, a damaged file, an outdated certificate, a foreign revocation list: what, where, what to do."""
    good = (certified / "server.key").read_bytes()
    other = Authority.make(tmp_path / "other", "Other")
    other.serve("radius.example.net")
    (certified / "server.key").write_bytes((tmp_path / "other" / "server.key").read_bytes())
    with pytest.raises(CertificatesNotUsable, match="is not the key of"):
        load(certified)
    (certified / "server.key").write_text("no key")
    with pytest.raises(CertificatesNotUsable, match="is no key in PEM without a password"):
        load(certified)
    (certified / "server.key").write_bytes(good)
    other.client("x", "secret")
    other.revoke("x")
    (certified / "crl.pem").write_bytes((tmp_path / "other" / "crl.pem").read_bytes())
    with pytest.raises(CertificatesNotUsable, match="is not signed by a CA"):
        load(certified)
    (certified / "crl.pem").unlink()
    (certified / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    with pytest.raises(CertificatesNotUsable, match=r"ca\.pem is no certificate in PEM"):
        load(certified)
    assert next(check_certificates(certified)).level == "fail"


def test_a_new_certificate_counts_without_a_restart(certified, tmp_path):
    """Files that appear or change are taken at the next login; those that become unusable are told once."""
    folder = tmp_path / "tls"
    watched = Certificates(folder)
    assert watched.contexts() is None
    assert "server.pem is missing" in watched.problem
    folder.mkdir()
    for name in ("ca.pem", "server.pem", "server.key"):
        (folder / name).write_bytes((certified / name).read_bytes())
    first = watched.contexts()
    assert first is not None
    assert watched.contexts() is first
    (folder / "server.key").unlink()
    assert watched.contexts() is None
    assert watched.problem == f"{folder / 'server.key'} is missing"


@pytest.mark.parametrize(
    ("identity", "login"),
    [
        ("s1@example.net", "s1@example.net"),
        ("S1@Example.net", "s1@example.net"),
        ("@example.net", "s1@example.net"),
        ("anonymous@example.net", "s1@example.net"),
        ("anonymous", "s1@example.net"),
        ("s2@example.net", None),
    ],
)
def test_a_certificate_logs_in_whom_it_names(authority, identity, login):
    """Its own names, in any case; an anonymous identity leaves it to the certificate; nobody else's."""
    raw = authority.client("s1@example.net", "secret")
    _key, made, _more = pkcs12.load_key_and_certificates(raw, b"secret")
    assert made is not None
    assert names.login_of(made, identity) == login


def test_a_windows_machine_and_a_name_of_no_other_kind(authority):
    """`host/NAME` is the machine NAME; a login that is neither mail nor host name stands as UPN."""
    for login, identity in (("pc1.example.net", "host/pc1.example.net"), ("Größe 1", "Größe 1")):
        _key, made, _more = pkcs12.load_key_and_certificates(authority.client(login, "secret"), b"secret")
        assert made is not None
        assert names.login_of(made, identity) == login


def test_whatever_is_wrong_with_certificates_ends_no_worker(certified, monkeypatch):
    """A fault that nobody thought of is EAP by TLS refused, with its words."""

    def raises(_folder):
        raise AttributeError("a key of a kind that nobody knows")

    monkeypatch.setattr("aaa.eap.certificates.load", raises)
    found = Certificates(certified)
    assert found.contexts() is None
    assert "nobody knows" in found.problem
