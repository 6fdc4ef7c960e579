"""Synthetic network repositories of any size, through one `git fast-import`; for tests and bench/.

`network(1000)` gives the files of a network of 1,000 services; `make(settings, 1000)` makes the bare repository.
"""

from core import crypto
from core.settings import Settings
from intents.init import init_repository
from intents.kinds import path_of

CONFIG = b"""\
schema: 1
operator: {name: Example ISP, asn: 64500, timezone: Australia/Perth, currency: AUD}
identities:
  billing: {key: "ssh-ed25519 AAAA", paths: [holds/], reasons: [nonpayment]}
  crm: {key: "ssh-ed25519 AAAB", paths: [services/, lines/, holds/], reasons: [vacation]}
"""
PER_PON = 60


def network(services: int, config: bytes = CONFIG) -> dict[str, bytes]:
    """Files of one site, one OLT per 6,000 services, one BNG, one plan, and a line for every service."""
    files = {"trunkline.yaml": config}
    files |= _backbone()
    for olt in range(max(1, -(-services // (100 * PER_PON)))):
        files[path_of("device", f"olt{olt}")] = _olt(olt, min(100, -(-services // PER_PON)))
    for number in range(services):
        files |= subscriber(number)
    return files


def subscriber(number: int) -> dict[str, bytes]:
    """The line and the service of one subscriber."""
    line, service = f"L-{number}", f"S-{number}"
    return {path_of("line", line): line_file(number), path_of("service", service): service_file(number)}


def service_file(number: int, plan: str = "fibre") -> bytes:
    """An internet service on line L-<number>."""
    return (
        f"customer: C-{number}\ntype: internet\nstate: active\nplan: {plan}\nline: L-{number}\n"
        f'session: {{method: pppoe, login: s{number}@example.net, password: "enc:v1:AAAA"}}\n'
    ).encode()


def line_file(number: int, olt: int | None = None, onu: int | None = None) -> bytes:
    """A GPON line; its OLT, PON and ONU id follow from the number."""
    place = number // PER_PON
    olt = place // 100 if olt is None else olt
    onu = number % PER_PON if onu is None else onu
    return (
        f"type: gpon\nstate: active\nolt: olt{olt}\npon: 0/1/{place % 100}\nonu: {onu}\n"
        f"serial: HWTC{number:08X}\nmodel: hg8245\n"
    ).encode()


def hold_path(number: int, reason: str = "nonpayment") -> str:
    """Where a hold of service S-<number> lives."""
    return path_of("hold", f"S-{number}.{reason}")


def hold_file(batch: str = "dun-1", effect: str = "walled-garden") -> bytes:
    """A hold."""
    return f"effect: {effect}\ncause: INV-1\nbatch: {batch}\n".encode()


def make(settings: Settings, services: int, config: bytes = CONFIG) -> str:
    """The bare repository of a network; returns the first commit."""
    return init_repository(settings, network(services, config), "builder")


def make_sealed(settings: Settings, services: int, config: bytes = CONFIG) -> str:
    """The same with secrets that open with the installation's data key, so that RADIUS can answer."""
    key = crypto.create_key(settings.key_file, settings.identity_file)
    files = network(services, config)
    for path, text in files.items():
        if path.startswith(("services/", "network/devices/")):
            name = "session.password" if path.startswith("services/") else "nas.secrets"
            sealed = crypto.seal(key, "secret", path, name).encode()
            files[path] = text.replace(b"enc:v1:AAAA", sealed)
    return init_repository(settings, files, "builder")


def _backbone() -> dict[str, bytes]:
    return {
        path_of("site", "perth1"): (
            b"name: Perth 1\nlocation: {lat: -31.95, lon: 115.86}\ntimezone: Australia/Perth\n"
        ),
        path_of("device", "bng1"): (
            b"site: perth1\nrole: bng\nplatform: virtual\nstate: active\nmanage: observe\n"
            b"management: {address: 10.255.0.11}\nloopback: {v4: 198.51.100.11/32}\n"
            b"interfaces: {bond1: {description: access}}\n"
            b'nas: {vendor: mikrotik, sources: [198.51.100.11], secrets: ["enc:v1:AAAA"]}\n'
        ),
        path_of("edge", "perth-west"): (
            b"bngs: [{device: bng1, port: bond1, priority: 200}]\nredundancy: none\nmethods: [pppoe]\n"
            b"svlans: [100-199]\npools: {cgnat: perth-cgn, garden: perth-garden}\n"
        ),
        path_of(
            "pool", "perth-cgn"
        ): b"family: ipv4\nuse: cgnat\nallocate: nas\nsplit: {bng1: [100.64.0.0/16]}\n",
        path_of("pool", "perth-garden"): (
            b"family: ipv4\nuse: garden\nallocate: nas\nsplit: {bng1: [100.127.0.0/16]}\n"
        ),
        path_of("plan", "fibre"): _plan("500M"),
        path_of("plan", "slow"): _plan("50M"),
    }


def _plan(down: str) -> bytes:
    return (
        f"type: internet\nrate: {{down: {down}, up: 50M}}\n"
        'prices: [{id: a, from: 2025-07-01, amount: "79.00", every: month}]\n'
    ).encode()


def _olt(number: int, pons: int) -> bytes:
    listed = "".join(f"    0/1/{pon}: {{tech: gpon, split: 64, svlan: 101}}\n" for pon in range(pons))
    return (
        "site: perth1\nrole: olt\nplatform: virtual\nstate: active\nmanage: observe\n"
        f"management: {{address: 10.255.0.{71 + number}}}\nolt:\n  edge: perth-west\n  uplink: 0/9/0\n"
        f"  profiles: {{prefix: TL-}}\n  pons:\n{listed}"
    ).encode()
