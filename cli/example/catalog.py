"""What the example operator sells, and its trunkline.yaml."""

import datetime

from cli.example.options import ExampleOptions
from intents.config.schema import Aaa, Config, Identity, Login, Operator, Quarantine, Realm
from intents.plan.schema import FairUse, Plan, Price, RatePair
from intents.scalars import Amount, Rate, Secret, Volume

REALM = "example.net"
_FROM = datetime.date(2025, 7, 1)
_PATHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "billing": (("holds/",), ("nonpayment", "prepaid")),
    "crm": (("services/", "lines/", "holds/"), ("vacation",)),
}


def config(options: ExampleOptions) -> Config:
    """The settings of the example operator."""
    password = options.seal("trunkline.yaml", "logins.network.password")
    return Config(
        schema=1,
        operator=Operator(name="Example ISP", asn=64500, timezone="Australia/Perth", currency="AUD"),
        aaa=Aaa(servers=options.radius, realms={REALM: Realm()}),
        logins={"network": Login(name="network", password=Secret(password))},
        identities={
            name: Identity(
                key=options.keys.get(name, f"ssh-ed25519 AAAAexample {name}"), paths=paths, reasons=reasons
            )
            for name, (paths, reasons) in _PATHS.items()
        },
        guards=options.guards,
        windows=dict(options.windows),  # type: ignore[arg-type]
        rollout=options.rollout,
        quarantine=Quarantine(),
    )


def plans() -> dict[str, Plan]:
    """Plans by id; prices are in the operator's currency, before tax."""
    return {
        "fibre-100": _internet("Fibre 100", "100M", "20M", "59.00"),
        "fibre-500": _internet("Fibre 500", "500M", "50M", "79.00", _fair("2T", "20M", "5M")),
        "fibre-1000": _internet("Fibre 1000", "1G", "100M", "99.00", _fair("4T", "50M", "10M")),
        "air-50": _internet("Air 50", "50M", "10M", "49.00"),
        "voice-home": Plan(type="voice", name="Voice at home", prices=(_price("9.90"),)),
        "business-1g": Plan(
            type="l3", name="Business 1G, two circuits", rate=_rate("1G", "1G"), prices=(_price("890.00"),)
        ),
    }


def _internet(name: str, down: str, up: str, amount: str, fair: FairUse | None = None) -> Plan:
    return Plan(type="internet", name=name, rate=_rate(down, up), fair_use=fair, prices=(_price(amount),))


def _fair(quota: str, down: str, up: str) -> FairUse:
    return FairUse(quota=Volume.parse(quota), then=_rate(down, up))


def _rate(down: str, up: str) -> RatePair:
    return RatePair(down=Rate.parse(down), up=Rate.parse(up))


def _price(amount: str) -> Price:
    return Price(id="2025b", from_=_FROM, amount=Amount(amount), every="month", tax="gst")
