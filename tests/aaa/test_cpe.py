"""Radio lines: whose reply a CPE gets at its AP, when documents change, and MAC logins as access points send them."""

from typing import Any

import pytest

from aaa.accounting.record import INTERIM, START
from aaa.accounting.store import session_of
from aaa.enforcement import corrections
from aaa.errors import SecretNotOpenable
from aaa.radius.packet import pair
from aaa.vendors.registry import text_of
from aaa.view.compile import Secrets, compile_service
from aaa.view.cpe import compile_line
from aaa.view.records import Wanted, decode, service_key
from aaa.view.seal import Seal
from core.db import Database
from tests.aaa.network import open_secret
from tests.aaa.test_accounting import record, stored, write
from tests.aaa.test_view import Built, cold

VLAN = ["Tunnel-Type = 0:13", "Tunnel-Medium-Type = 0:6"]


@pytest.fixture
def built(tmp_path, network):
    """A view over a network with a radio line 7 and an IPoE service over it."""
    network.radio(7)
    made = Built(Database(f"sqlite:///{tmp_path / 'index.db'}"), network)
    yield made
    made.db.close()


def reply(built):
    """(service, status, attributes) of the CPE's record at its AP."""
    access = built.access(b"u:L-7")
    assert access.nas == {"ap1": 0}
    return access.service, access.status, text_of(access.blocks[0]) if access.blocks else []


def test_a_cpe_gets_the_reply_of_its_ipoe_service_and_its_vlan(built):
    """Rate, Class and the sector's VLAN, at its AP alone."""
    service, status, told = reply(built)
    assert (service, status) == ("S-7", "ok")
    assert [line for line in told if line.startswith("Class = TL1:")]
    assert "WISPr-Bandwidth-Max-Down = 100000000" in told
    assert [*VLAN, "Tunnel-Private-Group-Id = 150"] == told[-3:]


def test_a_hold_of_the_service_shows_at_the_ap(built):
    """The record follows the hold, and its lifting."""
    built.network.hold("S-7", "nonpayment", "block")
    built.changed(("hold", "S-7.nonpayment"))
    assert reply(built)[1] == "held"
    built.network.drop("hold", "S-7.nonpayment")
    built.changed(("hold", "S-7.nonpayment"))
    assert reply(built)[1] == "ok"


@pytest.mark.parametrize("session", ["", 'method: pppoe, login: r7, password: "enc:v1:r7"'])
def test_a_line_without_an_ipoe_service_is_let_in_plainly(built, session):
    """No service, or one whose session the BNG has: the VLAN and no Class, so that nothing is counted twice."""
    built.network.radio(7, session=session)
    built.changed(("service", "S-7"))
    service, status, told = reply(built)
    assert (service, status) == ("", "ok")
    assert not [line for line in told if line.startswith("Class")]
    assert [*VLAN, "Tunnel-Private-Group-Id = 150"] == told[-3:]
    assert built.rows() == cold(built.network)


def test_a_sector_that_changes_its_vlan_changes_its_lines(built):
    """Only the AP's file changed; every CPE on it gets the new VLAN."""
    built.network.radio(7, svlan=151)
    built.changed(("device", "ap1"))
    assert reply(built)[2][-1] == "Tunnel-Private-Group-Id = 151"
    assert built.rows() == cold(built.network)


def test_of_several_services_the_internet_one_answers(built):
    """A voice service on the same line changes nothing."""
    voice = "customer: C-1\ntype: voice\nstate: active\nplan: fibre-100\nline: L-7\nsession: {method: ipoe}\n"
    built.network.put("service", "S-0", voice)
    built.changed(("service", "S-0"))
    assert reply(built)[0] == "S-7"
    assert built.rows() == cold(built.network)


def test_a_line_that_ends_lets_nobody_in(built):
    """Ceased: the record is gone."""
    text = built.network.texts["line", "L-7"]
    built.network.put("line", "L-7", text.replace("state: active", "state: ceased"))
    built.changed(("line", "L-7"))
    assert not [key for key, _owner, _record in built.rows() if key == b"u:L-7"]
    assert built.rows() == cold(built.network)


def test_a_radio_password_that_cannot_be_opened_costs_the_service_nothing(network):
    """The line's own record is what is kept and told; the service's session at the BNG is compiled."""
    network.radio(7)

    def unusable(text, path, name):
        if name == "eap.password":
            raise SecretNotOpenable(path)
        return open_secret(text, path, name)

    secrets = Secrets(unusable, Seal(bytes(64)))
    keys = [one.key for one in compile_service(network.reader(), "S-7", secrets)]
    assert keys == [b"m:02005e100007", b"s:S-7"]
    with pytest.raises(SecretNotOpenable):
        compile_line(network.reader(), "L-7", secrets.moved)


@pytest.mark.parametrize(
    "spelt", ["02005e100007", "02:00:5e:10:00:07", "02-00-5E-10-00-07", "0200.5e10.0007", "02005E100007"]
)
def test_a_mac_login_as_access_points_send_it(anew, network, spelt):
    """hostapd's way (ieee802_11_auth.c: hostapd_radius_acl_query): the MAC as User-Name and as User-Password;
    others add Service-Type Call-Check (RFC 2865 section 5.6). However it is spelt, it is that CPE.
    """
    network.radio(7, auth="mac", session="")
    server, client = anew(network)
    at_ap = type(client)("127.0.0.1", server.auth_port, server.acct_port, b"testing123", "127.0.0.3")
    calling = pair(31, b"02-00-5E-10-00-07")
    for more in (b"", pair(6, (10).to_bytes(4))):
        told = at_ap.login(spelt, spelt, attributes=calling + more, ppp=False)
        assert told.accepted
        assert "Tunnel-Private-Group-Id = 150" in told.attributes
    assert not at_ap.login("02005e1000ff", "02005e1000ff", ppp=False).accepted
    at_ap.close()


@pytest.mark.parametrize("over", ["replace", "reject"])
def test_a_cpes_session_at_the_ap_and_that_at_the_bng_do_not_end_each_other(built, database, over):
    """One at each is no session too many, however often accounting marks them; a second one at either is."""
    service = built.network.radio(7, session=f"method: ipoe, over: {over}")
    built.changed(("service", service))
    key = service_key(service)
    raw = next(record for there, _owner, record in built.rows() if there == key)
    wanted = decode(raw, Wanted)
    assert wanted is not None
    known = {service: wanted}

    def told(kind: int, nas: str, name: bytes, after: int, calling: str = "02-00-5E-10-00-07") -> None:
        hashed = {"policy_hash": wanted.policy_hash, "wanted_hash": wanted.policy_hash, "nas": nas}
        more: Any = hashed | {"service": service, "session_id": name, "calling": calling}
        write(database, record(kind, after, session_time=max(0, after - int(name)), most=1, **more))

    def excess() -> list[bytes]:
        held = [session_of(row) for row in stored(database) if row.state == "open"]
        return [one.session.acct_session_id for one in corrections(held, known, lambda _nas: "generic")]

    told(START, "ap1", b"1", 1)
    told(START, "bng1", b"9", 9)
    told(INTERIM, "ap1", b"1", 60)
    assert len([row for row in stored(database) if row.state == "open"]) == 2
    assert excess() == []
    told(START, "bng1", b"70", 70, calling="")
    assert excess() == [b"9" if over == "replace" else b"70"]
