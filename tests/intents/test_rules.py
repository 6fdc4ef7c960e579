"""What only shows between files: each class of mistake has its code, and is told at the place of the field."""

import pytest

from intents import checks, kinds
from intents.reader import MemoryReader, Recorded
from tests.intents.files import documents, network, problems, text_of, told


def path(kind: str, identifier: str) -> str:
    """Where a document lives."""
    return kinds.path_of(kind, identifier)


def changed(kind: str, identifier: str, *swaps: tuple[str, str]) -> str:
    """The text of a file with some of it swapped; each must be there."""
    text = text_of(kind, identifier)
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new, 1)
    return text


N1, N2, N3 = path("line", "N-1"), path("line", "N-2"), path("line", "N-3")
N9, V9 = path("line", "N-9"), path("service", "V-9")

P = "catalog/plans/p.yaml"
SOLD = "type: voice\nprices:\n"
GPON = "type: gpon\nstate: active\nolt: olt1\npon: 0/1/0\nonu: 4\nserial: ABCD0000BEE0\n"
CASES: dict[str, tuple[dict[str, str | None], list[tuple[str, str, int, int]]]] = {
    "one serial twice": (
        {N9: GPON.replace("BEE0", "BEEF")},
        [("serial.twice", N9, 6, 9)],
    ),
    "one ONU id twice on a PON": (
        {N9: GPON.replace("onu: 4", "onu: 3")},
        [("onu.twice", N9, 5, 6)],
    ),
    "one VLAN of a handover twice": (
        {N9: "type: handoff\nstate: active\nlink: nni1\nsvlan: 301\ncvlan: 12\n"},
        [("vlan.twice", N9, 4, 8)],
    ),
    "a whole S-VLAN over a C-VLAN": (
        {N9: "type: handoff\nstate: active\nlink: nni1\nsvlan: 301\n"},
        [("vlan.twice", N9, 4, 8)],
    ),
    "one port and VLAN twice": (
        {V9: changed("service", "V-4", ("port: eth5", "port: eth9"), ("192.0.2.128", "192.0.2.140"),
                     ("192.0.2.129", "192.0.2.141"), ("192.0.2.130", "192.0.2.142"), ("192.0.2.131", "192.0.2.143"))},
        [("vlan.twice", V9, 7, 52)],
    ),
    "one port and VLAN of a line twice": (
        {V9: "customer: K\ntype: voice\nstate: active\nplan: talk\nline: N-1\nattach: {port: pots1, svlan: 900}\n"},
        [("attach.twice", V9, 6, 9)],
    ),
    "one S-VLAN and C-VLAN twice on an edge": (
        {V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-9\n"
             "attach: {svlan: 201, cvlan: 103}\n",
         N9: GPON},
        [("cvlan.twice", V9, 6, 29)],
    ),
    "overlapping pools": (
        {"network/pools/two.yaml": "family: ipv4\nuse: cgnat\nprefixes: [100.64.2.0/24]\n"},
        [("pool.overlap", "network/pools/two.yaml", 3, 12)],
    ),
    "a pool over the prefix of a link": (
        {"network/pools/two.yaml": "family: ipv4\nuse: public\nprefixes: [192.0.2.0/28]\n"},
        [("pool.overlap", "network/pools/two.yaml", 3, 12)] * 2,
    ),
    "overlapping link prefixes": (
        {"network/links/x.yaml": "type: routed\nends: [{device: r1, port: a, v4: 192.0.2.1/30},"
                                 " {device: gw2, port: b, v4: 192.0.2.2/30}]\n"},
        [("prefix.overlap", "network/links/x.yaml", 2, 34)] * 2,
    ),
    "a loopback twice": (
        {"network/devices/r2.yaml": "site: north\nrole: router\nplatform: frr\nloopback: {v4: 198.51.100.1/32}\n"},
        [("prefix.overlap", "network/devices/r2.yaml", 4, 16)],
    ),
    "a fixed address inside a dynamic pool": (
        {path("service", "V-3"): changed("service", "V-3", ("203.0.113.20", "100.64.1.9"))},
        [("fixed.pool", path("service", "V-3"), 8, 30)],
    ),
    "a fixed address twice": (
        {V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-3\n"
             "ipv4: {mode: fixed, address: 203.0.113.20}\n"},
        [("fixed.twice", V9, 6, 30)],
    ),
    "a delegated prefix in another's": (
        {V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-3\n"
             'ipv6: {pd: "2001:db8:8000:180::/57"}\n'},
        [("fixed.twice", V9, 6, 12)],
    ),
    "two routed links on one port": (
        {"network/links/x.yaml": "type: routed\nends: [{device: r1, port: eth0}, {device: gw2, port: b}]\n"},
        [("port.twice", "network/links/x.yaml", 2, 27)],
    ),
    "a NAS source address twice": (
        {"network/devices/gw2.yaml": changed("device", "gw2") + "nas: {vendor: pppd, sources: [198.51.100.11],"
         ' secrets: ["enc:v1:eA=="]}\n'},
        [("nas.twice", "network/devices/gw2.yaml", 5, 31)],
    ),
    "a login twice, whatever the case": (
        {V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-3\nsession: {method: pppoe,"
             ' login: V1@island.example, password: "enc:v1:eA=="}\n'},
        [("login.twice", V9, 6, 33)],
    ),
    "a circuit-id twice": (
        {V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-3\n"
             'session: {method: ipoe, circuit-id: "ap1 s1 N-2"}\n'},
        [("circuit-id.twice", V9, 6, 37)],
    ),
    "a SIP login twice": (
        {V9: changed("service", "V-2", ("port: pots1", "port: pots2"))},
        [("sip.twice", V9, 7, 37)],
    ),
    "a CPE twice": (
        {N9: 'type: radio\nstate: active\nap: ap1\nsector: s1\ncpe: {mac: "02:00:5e:10:00:aa"}\n'},
        [("cpe.twice", N9, 5, 12)],
    ),
    "a reference to nothing": (
        {N9: GPON.replace("olt1", "olt2")},
        [("reference.missing", N9, 3, 6)],
    ),
    "a reference to the wrong role": (
        {N9: GPON.replace("olt1", "r1")},
        [("reference.role", N9, 3, 6)],
    ),
    "a PON that the OLT has not": (
        {N9: GPON.replace("0/1/0", "0/1/7")},
        [("line.pon", N9, 4, 6)],
    ),
    "a sector that the AP has not": (
        {N2: changed("line", "N-2", ("sector: s1", "sector: s2"))},
        [("line.sector", N2, 4, 9)],
    ),
    "a line on a link that is no handover": (
        {N9: "type: handoff\nstate: active\nlink: r1--gw1\nsvlan: 301\n"},
        [("reference.role", N9, 3, 7)],
    ),
    "a VLAN that the handover has not": (
        {N9: "type: handoff\nstate: active\nlink: nni1\nsvlan: 500\n"},
        [("line.vlan", N9, 4, 8)],
    ),
    "an S-VLAN that the PON has not": (
        {path("service", "V-1"): changed("service", "V-1", ("svlan: 201", "svlan: 202"))},
        [("service.vlan", path("service", "V-1"), 7, 29)],
    ),
    "a C-VLAN that the PON has not": (
        {path("service", "V-1"): changed("service", "V-1", ("cvlan: 103", "cvlan: 99"))},
        [("service.vlan", path("service", "V-1"), 7, 41)],
    ),
    "a service on a ceased line": (
        {N3: changed("line", "N-3", ("active", "ceased")),
         V9: "customer: K\ntype: internet\nstate: active\nplan: home-100\nline: N-3\n"},
        [("service.line", V9, 5, 7)],
    ),
    "a plan without a price at the start": (
        {path("service", "V-1"): changed("service", "V-1", ("start: 2025-03-01", "start: 2024-12-31"))},
        [("service.price", path("service", "V-1"), 4, 7)],
    ),
    "one day twice in the operator's currency": (
        {P: SOLD + '  - {id: a, from: 2025-01-01, currency: EUR, amount: "1"}\n'
                   '  - {id: b, from: 2025-01-01, currency: AUD, amount: "1"}\n'
                   '  - {id: c, from: 2025-01-01, amount: "1"}\n'},
        [("plan.price-twice", P, 5, 19)],
    ),
    "more decimals than the currency has": (
        {P: SOLD + '  - {id: a, from: 2025-01-01, currency: JPY, amount: "90.5", setup: "9.00"}\n'
                   '  - {id: b, from: 2025-01-01, currency: KWD, amount: "9.125", minimum: "9.0001"}\n'
                   '  - {id: c, from: 2025-01-01, amount: "9.125", contract: {months: 12, fee: "1.001"}}\n'},
        [("plan.decimals", P, 3, 54), ("plan.decimals", P, 4, 72), ("plan.decimals", P, 5, 39),
         ("plan.decimals", P, 5, 76)],
    ),
    "a cap with more decimals than the currency has": (
        {P: SOLD + "  - id: a\n    from: 2025-01-01\n    currency: JPY\n    amount: '9'\n"
                   "    usage: [{meter: bytes, price: '0.0125', cap: '1.5'}]\n"},
        [("plan.decimals", P, 7, 50)],
    ),
    "a contract in another currency than a price": (
        {P: SOLD + '  - {id: a, from: 2025-01-01, amount: "9"}\n'
                   '  - {id: b, from: 2025-01-01, currency: USD, amount: "9"}\n'
                   '  - {id: c, from: 2025-01-01, currency: AUD, amount: "9", contract: {months: 12, fee: "90"}}\n'
                   'contract: {months: 12, fee: "70"}\n'},
        [("plan.contract", P, 4, 41)],
    ),
    "one rate deck in two currencies": (
        {P: SOLD + '  - {id: a, from: 2025-01-01, amount: "9", calls: {deck: std}}\n'
                   '  - {id: b, from: 2025-01-01, currency: USD, amount: "9", calls: {deck: std}}\n'},
        [("plan.deck", P, 4, 73)],
    ),
    "a plan without any price": (
        {"catalog/plans/talk.yaml": "type: voice\n"},
        [("service.price", path("service", "V-2"), 4, 7)],
    ),
    "a PON's S-VLAN that the edge has not": (
        {"network/devices/olt1.yaml": changed("device", "olt1", ("svlan: 202", "svlan: 500"))},
        [("edge.vlan", "network/devices/olt1.yaml", 10, 20)],
    ),
    "a handover's S-VLANs that the edge has not": (
        {"network/links/nni1.yaml": changed("link", "nni1", ("300-399, 401", "300-402"))},
        [("edge.vlan", "network/links/nni1.yaml", 4, 9)],
    ),
    "a pool of the wrong family": (
        {"network/edges/island.yaml": changed("edge", "island", ("pd: delegated", "pd: cgn"))},
        [("edge.pool", "network/edges/island.yaml", 7, 25)],
    ),
    "a device's login that trunkline.yaml has not": (
        {"network/devices/r1.yaml": changed("device", "r1", ("login: ssh-net", "login: ssh-nett"))},
        [("device.login", "network/devices/r1.yaml", 5, 40)],
    ),
    "a pair on one risk group": (
        {"network/links/r1--gw2.yaml": changed("link", "r1--gw2", ("duct-b", "duct-a"))},
        [("risk.shared", "network/devices/gw2.yaml", 4, 7)],
    ),
    "a hold for a missing service": (
        {path("hold", "V-7.abuse"): "effect: block\n"},
        [("hold.orphan", path("hold", "V-7.abuse"), 1, 1)],
    ),
    "a realm that trunkline.yaml has not": (
        {path("service", "V-1"): changed("service", "V-1", ("v1@island.example", "v1@iland.example"))},
        [("login.realm", path("service", "V-1"), 8, 33)],
    ),
    "a plan of another type": (
        {path("service", "V-2"): changed("service", "V-2", ("plan: talk", "plan: home-100"))},
        [("service.plan", path("service", "V-2"), 4, 7)],
    ),
    "no trunkline.yaml": (
        {"trunkline.yaml": None},
        [("config.missing", "trunkline.yaml", 0, 0)],
    ),
    "ids that differ only in case": (
        {"network/sites/NORTH.yaml": "name: N\n"},
        [("id.case", "network/sites/north.yaml", 0, 0)],
    ),
}  # fmt: skip
WARNINGS = {"risk.shared", "hold.orphan", "login.realm", "service.plan"}


def broken(case: str) -> dict[str, str]:
    """The small network with the changes of a case."""
    files: dict[str, str | None] = {**network(), **CASES[case][0]}
    return {name: text for name, text in files.items() if text is not None}


@pytest.mark.parametrize("case", CASES)
def test_mistake_between_files(case, tmp_path):
    """The whole tree shows it, once, where it is."""
    found = problems(tmp_path, broken(case))
    assert told(found) == CASES[case][1], "\n".join(map(str, found))
    assert {one.severity for one in found} == {"warning" if found[0].code in WARNINGS else "error"}


@pytest.mark.parametrize("case", [case for case in CASES if case != "no trunkline.yaml"])
def test_checking_only_what_changed_finds_the_same(case):
    """With the changed documents as scope, the same codes are found."""
    reader = MemoryReader(documents(broken(case)))
    scope = checks.Scope(found for name in CASES[case][0] if (found := kinds.identity_of(name)))
    codes = sorted(finding.code for finding in checks.findings(reader, scope))
    assert codes == sorted(code for code, *_ in CASES[case][1])


def test_deleting_what_others_name_is_found_at_them():
    """The scope names the deleted plan; the finding lies in the service, with the plan beside it."""
    reader = MemoryReader(documents(network(plan_talk=None)))
    found = checks.findings(reader, checks.Scope([("plan", "talk")]))
    assert [(one.code, one.kind, one.id, one.others) for one in found] == [
        ("reference.missing", "service", "V-2", (("plan", "talk"),))
    ]


def test_the_nearest_name_is_the_hint(tmp_path):
    """A mistyped name is mostly one letter away."""
    found = problems(tmp_path, broken("a reference to nothing"))
    assert found[0].hint == "did you mean 'olt1'?"


def test_a_bad_document_is_not_a_missing_one(tmp_path):
    """A mistake in a plan does not make its services name nothing."""
    found = problems(tmp_path, network(plan_home_100="type: internet\n"))
    assert [one.code for one in found] == ["plan.rate"]


def test_what_is_ceased_claims_nothing(tmp_path):
    """A ceased line keeps its serial for the record; another may have it."""
    again = changed("line", "N-1", ("active", "ceased"))
    files = {
        **network(service_V_1=None, service_V_2=None, hold_V_1_nonpayment=None),
        N1: again,
        N9: text_of("line", "N-1"),
    }
    assert problems(tmp_path, files) == []


def test_two_ports_on_one_segment_are_no_overlap(tmp_path):
    """Devices share a LAN: one network, two addresses; the same address twice is an overlap."""
    other = "site: north\nrole: router\nplatform: frr\ninterfaces: {lan0: {v4: 203.0.113.2/28}}\n"
    files = {**network(), "network/devices/r2.yaml": other}
    assert problems(tmp_path / "good", files) == []
    files["network/devices/r2.yaml"] = other.replace(".2/28", ".1/28")
    assert [one.code for one in problems(tmp_path / "bad", files)] == ["prefix.overlap"]


def test_one_changed_service_reads_few_documents():
    """The cost of a check follows the size of the change: no kind is scanned."""
    reader = Recorded(MemoryReader(documents(network())))
    assert checks.findings(reader, checks.Scope([("service", "V-1"), ("hold", "V-1.nonpayment")])) == []
    assert reader.scans == set()
    assert len(reader.documents) < 12


def test_dependents_of_a_bad_document_are_everything_that_names_it():
    """A bad OLT takes its line, that line's services and their holds with it."""
    reader = MemoryReader(documents(network()))
    found = checks.dependents(reader, [("device", "olt1")])
    assert {("line", "N-1"), ("service", "V-1"), ("service", "V-2"), ("hold", "V-1.nonpayment")} <= found
    assert ("service", "V-3") not in found


def test_a_deck_of_two_plans_is_in_one_currency():
    """Told once: at the plan that changed, or at the later one; also where the operator's currency changes."""
    calls = SOLD + '  - {id: a, from: 2025-01-01%s, amount: "9", calls: {deck: std}}\n'
    mine, theirs = ("plan", "a"), ("plan", "b")
    files = network() | {path(*mine): calls % ", currency: USD", path(*theirs): calls % ""}
    reader = MemoryReader(documents(files))
    for changed_, place in [
        (None, theirs), ([mine], mine), ([theirs], theirs), ([mine, theirs], theirs),
        ([("config", "trunkline")], theirs),
    ]:  # fmt: skip
        (found,) = checks.findings(reader, checks.Scope(changed_))
        assert (found.code, (found.kind, found.id)) == ("plan.deck", place)
    assert found.message == ("deck std is in USD by price version a of plan a, and this price is in EUR")
    assert found.hint == "load a deck of its own with the prices in EUR, and name that"
