"""A small network for AAA's tests: two vendors, one edge, a few services; and a node over it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from aaa.limits.limit import NONE, VOUCHER_ID, Limits
from aaa.view.base import write_base
from aaa.view.compile import Secrets, compile_nas, compile_service
from aaa.view.cpe import compile_line
from aaa.view.realms import compile_realms
from aaa.view.records import ViewRecord
from aaa.view.seal import Seal
from core.settings import Settings
from intents.kinds import KINDS, parse_path, path_of
from intents.loader import load
from intents.reader import MemoryReader

SECRET = b"testing123"

EDGE = """
bngs:
  - {device: bng1, port: bond1, priority: 200}
  - {device: bng2, port: eth1, priority: 100}
pools: {cgnat: west-cgn, public: west-public, pd: west-pd, garden: west-garden}
methods: [pppoe, ipoe]
"""
BNG = """
site: west
role: bng
platform: %(platform)s
nas:
  vendor: %(vendor)s
  sources: [%(source)s]
  secrets: ["enc:v1:%(secret)s"]
  message-authenticator: %(ma)s
  coa: {port: 3799, rate: 500}
"""
OLT = """
site: west
role: olt
platform: huawei_smartax
olt:
  edge: west
  circuit-id: "{device} xpon {pon}:{onu}.{port}"
  pons: {0/1/0: {svlan: 101}}
"""
PLAN = """
type: internet
rate: {down: %(down)s, up: %(up)s}
prices: [{id: p1, from: 2025-07-01, amount: "79.00", every: month}]
"""
AP = """
site: west
role: ap
platform: airos
ap:
  edge: west
  sectors:
    s1: {port: ath0, ssid: EX-W1, auth: %(auth)s, svlan: %(svlan)d}
nas:
  vendor: ubiquiti
  sources: [127.0.0.3]
  secrets: ["enc:v1:testing123"]
  coa: {port: 3799, rate: 5}
"""
RADIO = """
type: radio
state: active
ap: ap1
sector: s1
cpe: {mac: "02:00:5e:10:00:%(number)02x"}
eap: {login: L-%(number)d, password: "enc:v1:air-%(number)d"}
"""
LINE = """
type: gpon
state: active
olt: olt1
pon: 0/1/0
onu: %(onu)d
serial: HWTC1A2B%(onu)04X
"""
SERVICE = """
customer: C-1
type: internet
state: %(state)s
plan: %(plan)s
line: %(line)s
attach: {port: eth1, svlan: 101, cvlan: %(cvlan)d}
session: {%(session)s}
ipv4: {mode: cgnat}
ipv6: {wan: slaac, pd: "2001:db8:4001:%(onu)x::/64"}
"""
HOLD = """
effect: %(effect)s
%(more)s
"""


def open_secret(text: str, path: str, name: str) -> str:
    """Stands in for core.crypto: the clear text is behind the prefix; the place must be the right one."""
    kind, identifier = parse_path(path)  # type: ignore[misc]
    assert path == path_of(kind, identifier)
    assert name in ("session.password", "nas.secrets", "eap.password") or name.startswith("aaa.")
    return text.removeprefix("enc:v1:").rstrip("=")


class Network:
    """Documents as text by (kind, id); `reader()` loads them strictly, as the indexer would."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self._loaded: dict[tuple[str, str, str], Any] = {}
        self.put(
            "site", "west", "name: West\nlocation: {lat: -31.9, lon: 115.8}\ntimezone: Australia/Perth\n"
        )
        self.put("edge", "west", EDGE)
        self.bng("bng1", "mikrotik", "127.0.0.1")
        self.bng("bng2", "pppd", "127.0.0.2", ma="auto")
        self.put("device", "olt1", OLT)
        for pool, use, prefix in (
            ("west-cgn", "cgnat", "100.64.0.0/20"),
            ("west-public", "public", "203.0.113.0/25"),
            ("west-garden", "garden", "100.127.0.0/20"),
        ):
            self.put("pool", pool, f"family: ipv4\nuse: {use}\nprefixes: [{prefix}]\n")
        self.put("pool", "west-pd", 'family: pd\nuse: public\nprefixes: ["2001:db8:4000::/40"]\nlength: 64\n')
        self.plan("fibre-500", "500M", "50M")
        self.plan("fibre-100", "100M", "20M")

    def put(self, kind: str, identifier: str, text: str) -> None:
        """Write a document."""
        self.texts[kind, identifier] = text

    def drop(self, kind: str, identifier: str) -> None:
        """Delete a document."""
        self.texts.pop((kind, identifier), None)

    def bng(
        self, name: str, vendor: str, source: str, ma: str = "require", secret: str = "testing123"
    ) -> None:
        """A BNG of a vendor at a source address."""
        platform = {"mikrotik": "routeros", "pppd": "linux_pppd"}.get(vendor, "virtual")
        words = {"platform": platform, "vendor": vendor, "source": source, "ma": ma, "secret": secret}
        self.put("device", name, BNG % words)

    def plan(self, name: str, down: str, up: str) -> None:
        """A plan with its speeds."""
        self.put("plan", name, PLAN % {"down": down, "up": up})

    def subscriber(
        self, number: int, *, plan: str = "fibre-500", session: str = "", state: str = "active"
    ) -> str:
        """A line and a PPPoE service s<number>@example.net with password pw-<number>; returns the service id."""
        line, service = f"L-{number}", f"S-{number}"
        self.put("line", line, LINE % {"onu": number % 1000})
        words: dict[str, Any] = {
            "plan": plan,
            "line": line,
            "onu": number,
            "cvlan": 1000 + number,
            "state": state,
            "session": session
            or f'method: pppoe, login: s{number}@example.net, password: "enc:v1:pw-{number}"',
        }
        self.put("service", service, SERVICE % words)
        return service

    def radio(self, number: int, svlan: int = 150, auth: str = "eap", session: str = "method: ipoe") -> str:
        """A CPE L-<number> with password air-<number> on ap1; a service over it, unless `session` is empty."""
        self.put("device", "ap1", AP % {"svlan": svlan, "auth": auth})
        self.put("line", f"L-{number}", RADIO % {"number": number})
        service = f"S-{number}"
        self.drop("service", service)
        if session:
            words = {"state": "active", "plan": "fibre-100", "line": f"L-{number}", "onu": number}
            text = SERVICE % (words | {"cvlan": 0, "session": session})
            self.put("service", service, text.replace("attach: {port: eth1, svlan: 101, cvlan: 0}\n", ""))
        return service

    def hold(self, service: str, reason: str, effect: str, more: str = "") -> None:
        """A hold on a service."""
        self.put("hold", f"{service}.{reason}", HOLD % {"effect": effect, "more": more})

    def reader(self) -> MemoryReader:
        """All documents, loaded strictly."""
        documents = []
        for (kind, identifier), text in sorted(self.texts.items()):
            loaded = self._loaded.get((kind, identifier, text))
            if loaded is None:  # a text gives the same document: it is loaded once
                loaded = load(path_of(kind, identifier), text.strip().encode() + b"\n")
                self._loaded[kind, identifier, text] = loaded
            assert not isinstance(loaded, list), loaded
            documents.append(loaded)
        return MemoryReader(documents)

    def records(self, seal: Seal, limits: Limits = NONE) -> list[ViewRecord]:
        """The whole view, compiled cold."""
        reader, secrets = self.reader(), Secrets(open_secret, seal)
        found = compile_realms(reader, secrets)
        found += [one for device in reader.ids("device") for one in compile_nas(reader, device, secrets)]
        vouchers = [name for name in limits.known if name.startswith(VOUCHER_ID)]
        for service in [*reader.ids("service"), *vouchers]:
            found += compile_service(reader, service, secrets, limits)
        found += [one for line in reader.ids("line") for one in compile_line(reader, line, secrets.moved)]
        return sorted(found)


def settings_in(home: Path, **given: Any) -> Settings:
    """A node's settings with free ports."""
    return Settings.load(home, env={}, radius_auth_port=0, radius_acct_port=0, **given)


def write_snapshot(network: Network, settings: Settings, seq: int = 1, limits: Limits = NONE) -> None:
    """Put the network's view into the node's base file: what a node has when everything else is away."""
    # Of two owners of a key the smaller answers, as in the database.
    records = {one.key: one.record for one in reversed(network.records(Seal.of(settings.home), limits))}
    write_base(settings.home / "radius" / "view" / "view.base", sorted(records.items()), seq, "test")


@contextmanager
def reading(network: Network) -> Iterator[MemoryReader]:
    """A reader factory for the ViewBuilder."""
    yield network.reader()


__all__ = ["KINDS", "SECRET", "Network", "msgspec", "open_secret", "reading", "settings_in", "write_snapshot"]
