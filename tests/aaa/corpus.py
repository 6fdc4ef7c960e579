"""Access-Requests as NASes really send them: which attributes, in which order, with or without Message-Authenticator.

Shapes are after what the vendors document and what their packets look like on the wire; names, addresses and secrets
are this test network's. Each gives the attributes before signing; `signed` and `bare` make datagrams of them.
"""

import hashlib
import struct
from collections.abc import Callable

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.digests import hmac_md5
from aaa.radius.packet import pair
from tests.aaa.network import SECRET

ASKED = bytes(range(16))
"""The Request Authenticator of every packet here."""


def number(value: int) -> bytes:
    """A 32-bit attribute value."""
    return struct.pack(">I", value)


def vendor(number_: int, *inner: bytes) -> bytes:
    """A Vendor-Specific attribute with these sub-attributes."""
    return pair(26, struct.pack(">I", number_) + b"".join(inner))


def pap(password: bytes, secret: bytes = SECRET) -> bytes:
    """User-Password."""
    return pair(2, hide(password, secret, ASKED))


def chap(password: bytes, challenge: bytes = ASKED) -> bytes:
    """CHAP-Password."""
    return pair(3, b"\x07" + hashlib.md5(b"\x07" + password + challenge).digest())


def routeros_pppoe(login: bytes, password: bytes) -> bytes:
    """MikroTik RouterOS, PPPoE by PAP."""
    return (
        pair(6, number(2)) + pair(7, number(1)) + pair(5, number(15728650)) + pair(61, number(15))
        + pair(1, login) + pair(31, b"02:00:5E:10:00:01") + pair(30, b"pppoe-west") + pair(87, b"bond1.101")
        + pair(44, b"8120003a") + pap(password) + pair(32, b"bng1") + pair(4, bytes((127, 0, 0, 1)))
    )  # fmt: skip


def routeros_chap(login: bytes, password: bytes) -> bytes:
    """MikroTik RouterOS, PPPoE by CHAP with a challenge of its own, and the DSL Forum's circuit and remote id."""
    return (
        pair(6, number(2)) + pair(7, number(1)) + pair(5, number(15728651)) + pair(61, number(15))
        + pair(1, login) + pair(31, b"02:00:5E:10:00:01") + pair(30, b"pppoe-west") + pair(87, b"bond1.101")
        + pair(60, b"c" * 16) + chap(password, b"c" * 16)
        + vendor(3561, pair(1, b"olt1 xpon 0/1/0:1.eth1")) + vendor(3561, pair(2, b"02005e100001"))
        + pair(32, b"bng1") + pair(4, bytes((127, 0, 0, 1)))
    )  # fmt: skip


def routeros_dhcp(login: bytes, password: bytes) -> bytes:
    """MikroTik RouterOS, DHCP with option 82: the MAC is the login, the sub-options come whole."""
    return (
        pair(61, number(15)) + pair(5, number(2190475265)) + pair(31, b"1:2:0:5e:10:0:9")
        + pair(1, b"02:00:5E:10:00:09") + pair(30, b"dhcp-west") + pair(87, b"vlan101") + pap(b"") + pair(8, bytes(4))
        + vendor(3561, pair(1, b"\x01\x0colt1 0/1/0:9")) + pair(32, b"bng1") + pair(4, bytes((127, 0, 0, 1)))
    )  # fmt: skip


def routeros_mschap(login: bytes, password: bytes) -> bytes:
    """MikroTik RouterOS, PPPoE by MS-CHAPv2."""
    return (
        pair(6, number(2)) + pair(7, number(1)) + pair(1, login) + pair(31, b"02:00:5E:10:00:01")
        + vendor(311, pair(11, b"m" * 16)) + vendor(311, pair(25, b"\x01\x00" + b"r" * 48)) + pair(32, b"bng1")
    )  # fmt: skip


def accel_ppp(login: bytes, password: bytes) -> bytes:
    """accel-ppp, PPPoE over a VLAN, by CHAP-MD5 against the Request Authenticator."""
    return (
        pair(1, login) + pair(32, b"accel-ppp") + pair(4, bytes((127, 0, 0, 2))) + pair(5, number(12))
        + pair(87, b"ppp12") + pair(61, number(5)) + pair(6, number(2)) + pair(7, number(1))
        + pair(31, b"02:00:5e:10:00:01") + pair(30, b"02:00:5e:00:00:fe") + chap(password)
    )  # fmt: skip


def pppd(login: bytes, password: bytes) -> bytes:
    """pppd's radius.so: little more than the login."""
    return (
        pair(6, number(2)) + pair(7, number(1)) + pair(1, login) + pap(password)
        + pair(4, bytes((127, 0, 0, 2))) + pair(5, number(0)) + pair(61, number(0))
    )  # fmt: skip


def cisco(login: bytes, password: bytes) -> bytes:
    """Cisco IOS XE, PPPoE: what the access node says is in AVPairs."""
    return (
        pair(7, number(1)) + pair(1, login) + pap(password) + pair(61, number(33)) + pair(5, number(0))
        + pair(87, b"0/0/1/101.1001") + vendor(9, pair(2, b"0/0/1/101.1001"))
        + vendor(9, pair(1, b"client-mac-address=0200.5e10.0001"))
        + vendor(9, pair(1, b"circuit-id-tag=olt1 xpon 0/1/0:1.eth1"))
        + pair(77, b"speed:ge") + pair(6, number(2)) + pair(4, bytes((127, 0, 0, 1))) + pair(44, b"000A2C3F")
        + pair(55, number(1763856000)) + pair(32, b"bng1")
    )  # fmt: skip


def juniper(login: bytes, password: bytes) -> bytes:
    """Juniper MX: several sub-attributes of the DSL Forum in one attribute, an empty Chargeable-User-Identity."""
    return (
        pair(1, login) + pap(password) + pair(6, number(2)) + pair(7, number(1)) + pair(89, b"")
        + pair(44, b"4181") + vendor(4874, pair(177, b"500000")) + vendor(4874, pair(24, b"pppoe 02:00:5e:10:00:01"))
        + vendor(3561, pair(1, b"olt1 xpon 0/1/0:1.eth1"), pair(2, b"customer"), pair(129, number(50000)))
        + pair(32, b"mx1") + pair(5, number(4096)) + pair(87, b"xe-0/0/1.101:101-1001") + pair(61, number(15))
    )  # fmt: skip


def huawei(login: bytes, password: bytes) -> bytes:
    """Huawei ME60: a long NAS-Port-Id and its own attributes, one of them empty."""
    return (
        pair(1, login) + pap(password) + pair(5, number(67109888)) + pair(6, number(2)) + pair(7, number(1))
        + pair(31, b"0200-5e10-0001") + pair(32, b"me60-west") + pair(61, number(15)) + pair(44, b"me60wes010000101")
        + pair(87, b"slot=1;subslot=0;port=1;vlanid=1001;vlanid2=101;") + vendor(2011, pair(59, number(1763856000)))
        + vendor(2011, pair(60, b"0.0.0.0 02:00:5e:10:00:01")) + vendor(2011, pair(138, b""))
    )  # fmt: skip


def hostapd_eap(login: bytes, password: bytes) -> bytes:
    """hostapd, 802.1X: the identity in an EAP-Message."""
    identity = b"\x02\x01" + struct.pack(">H", 5 + len(login)) + b"\x01" + login
    return (
        pair(1, login) + pair(4, bytes((127, 0, 0, 1))) + pair(32, b"ap1") + pair(30, b"02-00-5E-00-00-01:trunkline")
        + pair(61, number(19)) + pair(6, number(2)) + pair(5, number(1)) + pair(31, b"02-00-5E-10-00-01")
        + pair(77, b"CONNECT 54Mbps 802.11g") + pair(44, b"5F2A1B3C4D5E6F70") + pair(12, number(1400))
        + pair(79, identity)
    )  # fmt: skip


def hostapd_state(login: bytes, password: bytes) -> bytes:
    """hostapd, the second packet of a conversation."""
    return hostapd_eap(login, password) + pair(24, b"state-of-another-server")


def hostapd_mac(login: bytes, password: bytes) -> bytes:
    """hostapd, MAC authorisation: the MAC is login and password."""
    return (
        pair(1, b"02005e100009") + pap(b"02005e100009") + pair(4, bytes((127, 0, 0, 1))) + pair(32, b"ap1")
        + pair(30, b"02-00-5E-00-00-01:open") + pair(61, number(19)) + pair(31, b"02-00-5E-10-00-09")
    )  # fmt: skip


def radclient(login: bytes, password: bytes) -> bytes:
    """radclient, as somebody types it."""
    return pair(1, login) + pap(password)


def proxied(login: bytes, password: bytes) -> bytes:
    """Through two proxies: each has left its Proxy-State, one of them empty."""
    return radclient(login, password) + pair(33, b"first\x00") + pair(33, b"") + pair(33, b"first\x00")


def crowded(login: bytes, password: bytes) -> bytes:
    """Everything twice: the first of each counts; a password of 32 octets' room; text that is no UTF-8."""
    return (
        pair(1, login) + pair(1, b"other") + pair(7, number(1)) + pair(7, number(6)) + pap(password)
        + pair(2, b"x" * 32) + pair(31, b"\xff\xfe\x00caf\xc3\xa9") + pair(31, b"02:00:5e:10:00:01")
        + pair(87, b"a") + pair(87, b"b")
    )  # fmt: skip


SHAPES: dict[str, Callable[[bytes, bytes], bytes]] = {
    one.__name__: one
    for one in (
        routeros_pppoe, routeros_chap, routeros_dhcp, routeros_mschap, accel_ppp, pppd, cisco, juniper, huawei,
        hostapd_eap, hostapd_state, hostapd_mac, radclient, proxied, crowded,
    )
}  # fmt: skip


def signed(body: bytes, first: bool = True, secret: bytes = SECRET, identifier: int = 7) -> bytes:
    """An Access-Request with Message-Authenticator before all attributes, or (as many NASes do) after them."""
    whole = wire.request(wire.ACCESS_REQUEST, identifier, secret, body, ASKED)
    if first:
        return whole
    unsigned = whole[:20] + body + b"\x50\x12" + bytes(16)
    return unsigned[:-16] + hmac_md5(secret, unsigned)


def bare(body: bytes, identifier: int = 7) -> bytes:
    """An Access-Request without Message-Authenticator."""
    return struct.pack(">BBH", 1, identifier, 20 + len(body)) + ASKED + body
