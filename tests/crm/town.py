"""A town to order services in: an OLT, an AP, an edge with pools, plans; and a repository that it is committed to."""

from typing import Any

import yaml

from intents.kinds import path_of
from intents.loader import Document, load
from intents.reader import MemoryReader

TOWN: dict[tuple[str, str], Any] = {
    ("config", "trunkline"): {
        "schema": 1,
        "operator": {"name": "Example ISP", "asn": 64500, "timezone": "Australia/Perth", "currency": "AUD"},
        "aaa": {"servers": [{"address": "10.255.1.1"}], "realms": {"example.net": {}}},
        "identities": {
            "crm": {"key": "ssh-ed25519 AAAB", "paths": ["services/", "lines/", "holds/"], "reasons": ["vacation"]},
            "billing": {"key": "ssh-ed25519 AAAA", "paths": ["holds/"], "reasons": ["nonpayment"]},
        },
        "quarantine": {"address": "30d", "onu": "7d", "vlan": "7d"},
    },
    ("site", "perth1"): {"name": "Perth 1", "location": {"lat": -31.95, "lon": 115.86}, "timezone": "Australia/Perth"},
    ("edge", "west"): {
        "bngs": [{"device": "bng1", "port": "bond1"}],
        "svlans": ["100-199"],
        "pools": {"pd": "west-pd", "public": "west-fixed"},
    },
    ("pool", "west-pd"): {
        "family": "pd", "use": "public", "allocate": "intent", "prefixes": ["2001:db8:4000::/48"], "length": 56,
    },
    ("pool", "west-fixed"): {
        "family": "ipv4", "use": "public", "allocate": "intent", "prefixes": ["203.0.113.0/29"],
        "gateway": "203.0.113.1",
    },
    ("device", "bng1"): {
        "site": "perth1", "role": "bng", "platform": "virtual", "state": "active",
        "loopback": {"v4": "198.51.100.11/32"}, "interfaces": {"bond1": {}},
    },
    ("device", "olt7"): {
        "site": "perth1", "role": "olt", "platform": "virtual", "state": "active", "manage": "partial",
        "olt": {
            "edge": "west", "circuit-id": "{device} xpon {pon}:{onu}",
            "pons": {"0/1/0": {"tech": "gpon", "split": 2, "svlan": 101, "cvlans": "1000-1999"}},
        },
    },
    ("device", "ap-hill"): {
        "site": "perth1", "role": "ap", "platform": "virtual", "state": "active",
        "ap": {"edge": "west", "sectors": {"s1": {"port": "ath0", "svlan": 150}}},
    },
    ("plan", "fibre"): {
        "type": "internet", "name": "Fibre 500", "rate": {"down": "500M", "up": "50M"},
        "prices": [{"id": "2025a", "from": "2025-01-01", "amount": "79.00", "every": "month", "tax": "gst"}],
    },
    ("plan", "voice"): {"type": "voice", "prices": [{"id": "a", "from": "2025-01-01", "amount": "9.00"}]},
    ("plan", "business"): {"type": "l3", "prices": [{"id": "a", "from": "2025-01-01", "amount": "900.00"}]},
}  # fmt: skip


def town(more: dict[tuple[str, str], bytes] | None = None) -> MemoryReader:
    """A reading of the town, with more files."""
    raw = {(kind, name): yaml.safe_dump(fields).encode() for (kind, name), fields in TOWN.items()}
    return MemoryReader([read(kind, name, text) for (kind, name), text in {**raw, **(more or {})}.items()])


def read(kind: str, name: str, text: bytes) -> Document:
    """One file through the strict loader, which must like it."""
    found = load(path_of(kind, name), text)
    assert isinstance(found, Document), [str(problem) for problem in found]
    return found
