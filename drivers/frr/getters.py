"""FRR's JSON answers turned into NAPALM's dictionaries and our neighbours; pure."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from drivers.contract import Neighbour


def facts(answer: dict[str, Any]) -> dict[str, Any]:
    """NAPALM's facts; uptime in seconds."""
    return {
        "vendor": "FRRouting",
        "model": "FRR",
        "os_version": answer["version"],
        "hostname": answer["hostname"],
        "fqdn": answer["hostname"],
        "serial_number": answer["serial"],
        "uptime": answer["uptime"],
        "interface_list": sorted(answer["interfaces"]),
    }


def interfaces(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """NAPALM's interfaces; speed in Mbit/s, -1.0 where the time of the last flap is not known."""
    return {
        name: {
            "is_up": found.get("operationalStatus") == "up",
            "is_enabled": found.get("administrativeStatus") == "up",
            "description": found.get("description", ""),
            "last_flapped": -1.0,
            "speed": float(found.get("speed", 0)),
            "mtu": int(found.get("mtu", 0)),
            "mac_address": found.get("hardwareAddress", "").upper(),
        }
        for name, found in answer.items()
    }


def ospf(answer: dict[str, Any]) -> Iterator[Neighbour]:
    """`show ip ospf neighbor json`: up means Full (RFC 2328 section 10.1)."""
    for router_id, entries in answer.get("neighbors", answer).items():
        for entry in entries:
            state = str(entry.get("nbrState") or entry.get("state", "")).split("/")[0]
            name = f"{router_id} {entry.get('ifaceName', '').split(':')[0]}".strip()
            yield Neighbour("ospf", name, state, state == "Full")


def ospf6(answer: dict[str, Any]) -> Iterator[Neighbour]:
    """`show ipv6 ospf6 neighbor json`: up means Full."""
    for entry in answer.get("neighbors", []):
        state = entry.get("state", "")
        name = f"{entry.get('neighborId', '')} {entry.get('interfaceName', '')}".strip()
        yield Neighbour("ospf6", name, state, state == "Full")


def bgp(answer: dict[str, Any]) -> Iterator[Neighbour]:
    """`show bgp summary json`: one neighbour per address, whatever families it carries."""
    peers: dict[str, str] = {}
    for family in answer.values():
        if isinstance(family, dict):
            peers |= {name: peer.get("state", "") for name, peer in family.get("peers", {}).items()}
    for name, state in sorted(peers.items()):
        yield Neighbour("bgp", name, state, state == "Established")


def bgp_neighbors(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`show bgp vrf all neighbors json` as NAPALM's BGP neighbours; the default VRF is `global`."""
    found: dict[str, dict[str, Any]] = {}
    for name, vrf in answer.items():
        peers = {peer: _bgp_peer(entry) for peer, entry in vrf.items() if _is_address(peer)}
        router_id = next(
            (entry.get("localRouterId", "") for entry in vrf.values() if isinstance(entry, dict)), ""
        )
        found["global" if name == "default" else name] = {"router_id": router_id, "peers": peers}
    return found


def _bgp_peer(entry: dict[str, Any]) -> dict[str, Any]:
    up = entry.get("bgpState") == "Established"
    return {
        "local_as": entry.get("localAs", 0),
        "remote_as": entry.get("remoteAs", 0),
        "remote_id": entry.get("remoteRouterId", ""),
        "is_up": up,
        "is_enabled": not entry.get("adminShutDown", False),
        "description": entry.get("nbrDesc", ""),
        "uptime": entry.get("bgpTimerUpMsec", 0) // 1000 if up else -1,
        "address_family": dict(_families(entry.get("addressFamilyInfo", {}))),
    }


def _families(info: dict[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    for key, name in (("ipv4Unicast", "ipv4"), ("ipv6Unicast", "ipv6")):
        if key in info:
            accepted, sent = info[key].get("acceptedPrefixCounter", 0), info[key].get("sentPrefixCounter", 0)
            yield name, {"received_prefixes": accepted, "accepted_prefixes": accepted, "sent_prefixes": sent}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
