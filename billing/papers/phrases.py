"""A line's text as the customer reads it: the sentences that we make, in the seller's language; days as first to last.

What is in a book is written once, in English; names of plans, offers and steps stand as the operator wrote them.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta

_DAY = r"\d{4}-\d\d-\d\d"
_SENTENCES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("back", r"taken back: (?P<rest>.+)"),
        ("line", r"(?P<number>\S+), line (?P<position>\d+): (?P<rest>.+)"),
        ("setup", rf"(?P<name>.+): set-up on (?P<day>{_DAY})"),
        ("early", rf"(?P<name>.+): early termination on (?P<day>{_DAY})"),
        ("minimum", rf"Minimum from {_DAY} to {_DAY} \(exclusive\)"),
        ("prepaid", rf"(?P<rest>.+: {_DAY} to {_DAY} \(exclusive\)), prepaid"),
        ("share", rf"(?P<rest>.+: {_DAY} to {_DAY} \(exclusive\)), (?P<some>\d+) of (?P<all>\d+) days"),
        ("days", rf"(?P<name>.+): (?P<first>{_DAY}) to (?P<end>{_DAY}) \(exclusive\)"),
        ("late", rf"Fee: (?P<name>.+) of (?P<day>{_DAY})"),
        ("returned_back", r"Fee for a payment that was charged back, taken back"),
        ("returned", r"Fee for a payment that was charged back"),
        ("deposit", r"Deposit (?P<name>dep_\w+)"),
        ("once", rf"(?P<name>.+) on (?P<day>{_DAY})"),
        ("data", r"(?P<name>.+): data (?P<used>[\d.]+ \w?B)"),
        ("download", r"(?P<name>.+): download (?P<used>[\d.]+ \w?B)"),
        ("upload", r"(?P<name>.+): upload (?P<used>[\d.]+ \w?B)"),
        ("online", r"(?P<name>.+): time online (?P<used>[\d hmins]+)"),
        ("sessions", r"(?P<name>.+): sessions (?P<used>\d+)"),
        ("calls", r"(?P<name>.+): (?P<number>\d+) calls, (?P<used>[\d hmins]+)"),
    )
)

SAID: Mapping[str, Mapping[str, str]] = {
    "en": {
        "back": "taken back: {rest}", "line": "{number}, line {position}: {rest}", "setup": "{name}: set-up on {day}",
        "early": "{name}: early termination on {day}", "minimum": "Minimum", "prepaid": "{rest}, prepaid",
        "share": "{rest}, {some} of {all} days", "late": "Fee: {name} of {day}",
        "returned": "Fee for a payment that was charged back",
        "returned_back": "Fee for a payment that was charged back, taken back", "deposit": "Deposit {name}",
        "once": "{name} on {day}", "data": "{name}: data {used}", "download": "{name}: download {used}",
        "upload": "{name}: upload {used}", "online": "{name}: time online {used}",
        "sessions": "{name}: sessions {used}", "calls": "{name}: {number} calls, {used}",
    },
    "de": {
        "back": "zurückgenommen: {rest}", "line": "{number}, Position {position}: {rest}",
        "setup": "{name}: Einrichtung am {day}", "early": "{name}: vorzeitige Kündigung zum {day}",
        "minimum": "Mindestumsatz", "prepaid": "{rest}, vorausbezahlt", "share": "{rest}, {some} von {all} Tagen",
        "late": "Gebühr: {name} vom {day}", "returned": "Gebühr für eine zurückgebuchte Zahlung",
        "returned_back": "Gebühr für eine zurückgebuchte Zahlung, zurückgenommen", "deposit": "Kaution {name}",
        "once": "{name} am {day}", "data": "{name}: Datenvolumen {used}", "download": "{name}: Download {used}",
        "upload": "{name}: Upload {used}", "online": "{name}: Onlinezeit {used}",
        "sessions": "{name}: {used} Sitzungen", "calls": "{name}: {number} Anrufe, {used}",
    },
    "fr": {
        "back": "repris : {rest}", "line": "{number}, ligne {position} : {rest}",
        "setup": "{name} : mise en service le {day}", "early": "{name} : résiliation anticipée le {day}",
        "minimum": "Minimum de facturation", "prepaid": "{rest}, prépayé", "share": "{rest}, {some} jours sur {all}",
        "late": "Frais : {name} du {day}", "returned": "Frais pour un paiement rejeté",
        "returned_back": "Frais pour un paiement rejeté, repris", "deposit": "Dépôt de garantie {name}",
        "once": "{name} le {day}", "data": "{name} : données {used}",
        "download": "{name} : données reçues {used}", "upload": "{name} : données envoyées {used}",
        "online": "{name} : temps de connexion {used}", "sessions": "{name} : {used} connexions",
        "calls": "{name} : {number} appels, {used}",
    },
    "es": {
        "back": "anulado: {rest}", "line": "{number}, línea {position}: {rest}", "setup": "{name}: alta el {day}",
        "early": "{name}: baja anticipada el {day}", "minimum": "Consumo mínimo", "prepaid": "{rest}, prepago",
        "share": "{rest}, {some} de {all} días", "late": "Cargo: {name} del {day}",
        "returned": "Cargo por un pago devuelto", "returned_back": "Cargo por un pago devuelto, anulado",
        "deposit": "Fianza {name}", "once": "{name} el {day}", "data": "{name}: datos {used}",
        "download": "{name}: descarga {used}", "upload": "{name}: subida {used}",
        "online": "{name}: tiempo de conexión {used}", "sessions": "{name}: {used} sesiones",
        "calls": "{name}: {number} llamadas, {used}",
    },
}  # fmt: skip
"""By language (ISO 639-1), what each sentence becomes; a language that is not here reads English."""


def said(text: str, language: str, first: date | None = None, end: date | None = None) -> str:
    """A line's text in a language. The days `[first, end)` stand beside the line, and are left out of it."""
    words = SAID.get(language, SAID["en"])
    for name, pattern in _SENTENCES:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        if name == "days":
            return _with_days(parts, first, end)
        if "rest" in parts:
            parts["rest"] = said(parts["rest"], language, first, end)
        return words[name].format(**parts)
    return text


def _with_days(parts: Mapping[str, str], first: date | None, end: date | None) -> str:
    if (parts["first"], parts["end"]) == (str(first), str(end)):
        return parts["name"]
    last = date.fromisoformat(parts["end"]) - timedelta(days=1)
    return f"{parts['name']}: {parts['first']} – {last}"


__all__ = ["SAID", "said"]
