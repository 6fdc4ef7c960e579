"""A small network as files, one or more of every kind; tests break it in one place at a time."""

from pathlib import Path

from core.problems import Problem
from intents import kinds, loader
from intents.loader import Document
from intents.validate import validate_dir

_FILES: dict[tuple[str, str], str] = {
    ("config", "trunkline"): """\
schema: 1
operator: {name: Island Net, asn: 64511, timezone: Europe/Malta, currency: EUR}
aaa:
  servers: [{address: 10.1.0.1, also: "2001:db8:a::1", auth-port: 2812}, {address: 10.1.0.2}]
  realms: {island.example: {}, guest.example: {proxy: [10.3.0.1], secret: "enc:v1:cmVhbG0="}}
logins: {ssh-net: {name: trunkline, key: "enc:v1:a2V5"}}
identities:
  billing: {key: "ssh-ed25519 AAAAC3", paths: [holds/], reasons: [nonpayment]}
guards: {restrict: {percent: 2, count: 100}, deletes: {count: 20}}
windows: {router: "01:00-04:30"}
rollout: {canary: 2, steps: [10, 100], soak: 90s, confirm: 10m}
quarantine: {address: 14d, onu: 7d, vlan: 3d}
""",
    (
        "site",
        "north",
    ): "name: North\nlocation: {lat: 36.05, lon: 14.25}\ntimezone: Europe/Malta\nagent: north\n",
    ("edge", "island"): """\
bngs:
  - {device: gw1, port: eth1, priority: 200}
  - {device: gw2, port: eth1}
redundancy: active-standby
methods: [pppoe, ipoe]
svlans: [200-299, 300-401]
pools: {cgnat: cgn, pd: delegated}
dns: [192.0.2.53]
garden: {page: 192.0.2.80, url: "https://pay.example/", allow: [192.0.2.80/32]}
""",
    ("device", "r1"): """\
site: north
role: router
platform: frr
manage: full
management: {address: 10.0.0.1, login: ssh-net, host-key: "SHA256:abc"}
loopback: {v4: 198.51.100.1/32, v6: "2001:db8:f::1/128"}
interfaces:
  lan0: {description: offices, v4: 203.0.113.1/28}
routing:
  ospf: {area: 0.0.0.0, hello: 1, dead: 10, passive: [lan0]}
  ibgp: {reflector: true}
  ebgp: [{address: 203.0.113.9, asn: 64500, announce: [198.51.100.0/24]}]
  statics: [{prefix: 198.51.100.0/24, discard: true}]
""",
    ("device", "gw1"): """\
site: north
role: bng
platform: linux_pppd
pair: gateways
management: {address: 10.0.0.11, port: 2222}
loopback: {v4: 198.51.100.11/32}
routing: {ospf: {}, ibgp: {rr: [r1]}}
bng: {ac-name: gw1, mtu: 1492}
nas: {vendor: pppd, sources: [198.51.100.11], secrets: ["enc:v1:bmV3", "enc:v1:b2xk"], coa: {rate: 5}}
""",
    ("device", "gw2"): "site: north\nrole: bng\nplatform: linux_pppd\npair: gateways\n",
    ("device", "olt1"): """\
site: north
role: olt
platform: virtual
olt:
  edge: island
  uplink: 0/9/0
  circuit-id: "{device} {pon}:{onu}"
  pons:
    0/1/0: {tech: gpon, split: 32, svlan: 201, cvlans: 100-999}
    0/1/1: {svlan: 202}
  shared: {voice: {svlan: 900}}
""",
    ("device", "ap1"): """\
site: north
role: ap
platform: virtual
ap:
  edge: island
  sectors:
    s1: {port: ath0, azimuth: 90, beam: 60, frequency: 5600, width: 40, ssid: ISLE, max-cpes: 30, svlan: 250}
nas: {vendor: ubiquiti, sources: [10.4.0.9], secrets: ["enc:v1:YXA="], message-authenticator: auto}
""",
    ("link", "r1--gw1"): """\
type: routed
ends:
  - {device: r1, port: eth0, v4: 192.0.2.0/31, v6: "2001:db8:e::/127"}
  - {device: gw1, port: eth0, v4: 192.0.2.1/31, v6: "2001:db8:e::1/127"}
metric: {ospf: 20}
capacity: 10G
risk: [duct-a]
bfd: true
""",
    ("link", "r1--gw2"): """\
type: routed
ends: [{device: r1, port: eth2, v4: 192.0.2.2/31}, {device: gw2, port: eth0, v4: 192.0.2.3/31}]
risk: [duct-b]
""",
    ("link", "olt1--gw1"): """\
type: trunk
ends: [{device: olt1, port: 0/9/0}, {device: gw1, port: eth1}]
svlans: 200-299
""",
    ("link", "nni1"): """\
type: handoff
ends: [{device: gw1, port: eth2}]
partner: bigtel
svlans: [300-399, 401]
edge: island
""",
    ("pool", "cgn"): """\
family: ipv4
use: cgnat
allocate: nas
split: {gw1: [100.64.0.0/22], gw2: [100.64.4.0/22]}
nat: {public: [203.0.113.64/26], ports: 512, mode: deterministic}
""",
    ("pool", "delegated"): """\
family: pd
use: public
allocate: intent
prefixes: ["2001:db8:8000::/40"]
length: 56
""",
    ("plan", "home-100"): """\
type: internet
name: Home 100
rate: {down: 100M, up: 20M}
fair-use: {quota: 1T, then: {down: 10M, up: 2.5M}}
schedule: [{days: [sat, sun], from: "22:00", to: "24:00", rate: {down: 200M, up: 20M}}]
prices:
  - {id: y25, from: 2025-01-01, amount: "29.90", every: month, setup: "50.00", tax: vat}
  - {id: y26, from: 2026-01-01, amount: "31.90", tax: vat}
""",
    ("plan", "router"): 'type: rental\nprices: [{id: a, from: 2025-01-01, amount: "5.00", tax: vat}]\n',
    (
        "plan",
        "visit",
    ): 'type: fee\nprices: [{id: a, from: 2025-01-01, amount: "90", every: once, tax: vat}]\n',
    ("plan", "term"): """\
type: internet
rate: {down: 50M, up: 10M}
prices: [{id: a, from: 2025-01-01, amount: "20.00", bill: arrears, minimum: "15.00"}]
contract: {months: 24, share: 12.5, renew: 12}
notice: 30d
""",
    ("offer", "spring"): """\
type: promotion
name: Half a year at half the price
plans: [home-100]
percent: 50
months: 6
cap: "90.00"
from: 2026-03-01
until: 2026-06-01
""",
    ("offer", "duo"): 'type: bundle\nplans: [home-100, office]\namount: "4.00"\n',
    ("plan", "talk"): 'type: voice\nprices: [{id: y25, from: 2025-01-01, amount: "5.00"}]\n',
    (
        "plan",
        "office",
    ): 'type: l3\nrate: {down: 1G, up: 1G}\nprices: [{id: a, from: 2025-01-01, amount: "400"}]\n',
    ("line", "N-1"): """\
type: gpon
state: active
olt: olt1
pon: 0/1/0
onu: 3
serial: abcd0000beef
model: x1
""",
    ("line", "N-2"): """\
type: radio
state: active
ap: ap1
sector: s1
cpe: {mac: 02-00-5E-10-00-AA, platform: airos}
eap: {login: N-2, password: "enc:v1:ZWFw"}
""",
    ("line", "N-3"): "type: handoff\nstate: active\nlink: nni1\nsvlan: 301\ncvlan: 12\nreference: BT-1\n",
    ("service", "V-1"): """\
customer: K-1
type: internet
state: active
plan: home-100
start: 2025-03-01
line: N-1
attach: {port: eth1, svlan: 201, cvlan: 103}
session: {method: pppoe, login: v1@island.example, password: "enc:v1:cHc=", bind: [circuit]}
ipv4: {mode: cgnat}
ipv6: {wan: slaac, pd: "2001:db8:8000:100::/56"}
""",
    ("service", "V-2"): """\
customer: K-1
type: voice
state: active
plan: talk
line: N-1
attach: {port: pots1, svlan: 900}
sip: {number: "enc:v1:bnI=", login: v2, password: "enc:v1:cHc="}
on-hold: emergency-only
""",
    ("service", "V-3"): """\
customer: K-2
type: internet
state: active
plan: home-100
line: N-2
attach: {svlan: 250}
session: {method: ipoe, circuit-id: "ap1 s1 N-2", bind: [mac], limit: 2, over: reject}
ipv4: {mode: fixed, address: 203.0.113.20}
""",
    ("service", "V-4"): """\
customer: K-3
type: l3
state: active
plan: office
handoffs:
  - {role: primary, router: r1, port: eth5, svlan: 10, v4: {us: 192.0.2.128/31, them: 192.0.2.129/31}}
  - {role: backup, router: gw1, port: eth5, svlan: 10, v4: {us: 192.0.2.130/31, them: 192.0.2.131/31}}
bgp: {asn: 64496, secret: "enc:v1:YmdwCg==", send: default, prefixes: [198.51.100.192/26], max: {v4: 10}}
on-hold: manual
""",
    ("hold", "V-1.nonpayment"): """\
effect: throttle
rate: {down: 1M, up: 512k}
since: 2025-11-20T02:00:00Z
cause: INV-7
batch: dun-2025-11-20
""",
    ("policy", "names"): "kind: device\nrequire: site\nmessage: a device has a site\nseverity: warning\n",
    (
        "automation",
        "page",
    ): "on: device.lost\nwhen: subject\ndo: [{action: page, with: {team: noc, after: 5}}]\n",
    ("template", "frr/banner"): "banner motd {{ name }}\n",
}


def network(**changes: str | None) -> dict[str, str]:
    """path -> text. `line_N_1="…"` replaces (or adds) a file, None takes it away."""
    files = {kinds.path_of(*key): text for key, text in _FILES.items()}
    named = {path_key(path): path for path in files}
    for key, text in changes.items():
        path = named[key]
        if text is None:
            del files[path]
        else:
            files[path] = text
    return files


def path_key(path: str) -> str:
    """`network/devices/r1.yaml` -> `device_r1`."""
    kind, identifier = kinds.identity_of(path) or ("", "")
    return f"{kind}_{identifier}".replace("-", "_").replace(".", "_").replace("/", "_")


def text_of(kind: str, identifier: str) -> str:
    """The text of one of the files."""
    return _FILES[kind, identifier]


def write(root: Path, files: dict[str, str]) -> None:
    """Write the files below a folder."""
    for path, text in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def problems(root: Path, files: dict[str, str]) -> list[Problem]:
    """What validation says about the files."""
    write(root, files)
    return validate_dir(root)


def told(found: list[Problem]) -> list[tuple[str, str, int, int]]:
    """(code, path, line, column) of problems: what a test compares."""
    return [(one.code, one.path, one.line, one.column) for one in found]


def mistakes_in(path: str, raw: bytes) -> list[Problem]:
    """The problems of one file; empty when it is good."""
    found = loader.load(path, raw)
    return found if isinstance(found, list) else []


def documents(files: dict[str, str]) -> list[Document]:
    """The good ones of the files, loaded."""
    return loader.good(loader.load(path, text.encode()) for path, text in files.items())
