"""A payment gateway that lies, stumbles and forgets to answer: Stripe's and GoCardless's HTTP, in a process of its own.

`python -m tests.billing.fake_gateway FILE PORT SEED SHARE`: its books are the SQLite file, so a kill loses nothing. A
SHARE of the questions goes wrong: refused before anything is done (500, 429), or done and the answer lost or a 500.
An idempotency key is forgotten after a day of the clock that the test sets.
"""

import json
import random
import sqlite3
import sys
import urllib.parse
from contextlib import closing
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS thing (id TEXT PRIMARY KEY, kind TEXT, key TEXT, at REAL, content TEXT);
CREATE INDEX IF NOT EXISTS thing_key ON thing (key);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value REAL);
"""
KEY_LIVES = 86_400
BEFORE, AFTER = ("busy", "broken"), ("lost", "broken after")


class Books:
    """What the gateway knows, shared with the test through the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as conn, conn:
            conn.executescript(_SCHEMA)

    def made(self, kind: str, key: str, content: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The thing of this key, made now or less than a day before; whether it was before."""
        now = self.setting("now")
        with closing(self._open()) as conn, conn:
            conn.execute("BEGIN IMMEDIATE")
            known = "SELECT content FROM thing WHERE key = ? AND at > ?"
            row = conn.execute(known, (key, now - KEY_LIVES)).fetchone()
            if row is not None:
                return json.loads(row[0]), True
            count = conn.execute("SELECT count(*) FROM thing").fetchone()[0]
            made = {"id": f"{kind}{count + 1:06d}", **content}
            conn.execute(
                "INSERT INTO thing VALUES (?, ?, ?, ?, ?)", (made["id"], kind, key, now, json.dumps(made))
            )
            return made, False

    def get(self, identifier: str) -> dict[str, Any]:
        """A thing by its id."""
        with closing(self._open()) as conn:
            row = conn.execute("SELECT content FROM thing WHERE id = ?", (identifier,)).fetchone()
        found: dict[str, Any] = json.loads(row[0])
        return found

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind, in order."""
        with closing(self._open()) as conn:
            rows = conn.execute("SELECT content FROM thing WHERE kind = ? ORDER BY id", (kind,)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def change(self, identifier: str, **values: Any) -> dict[str, Any]:
        """It goes on."""
        changed = self.get(identifier) | values
        with closing(self._open()) as conn, conn:
            conn.execute("UPDATE thing SET content = ? WHERE id = ?", (json.dumps(changed), identifier))
        return changed

    def share(self, value: float | None = None) -> float:
        """How much goes wrong; the test may change it while the gateway runs."""
        return self.setting("share", value)

    def setting(self, name: str, value: float | None = None) -> float:
        """A setting, changed where a value is given: `share`; `now`, Unix seconds; `locked`: our key is refused."""
        with closing(self._open()) as conn, conn:
            if value is not None:
                conn.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
            row = conn.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return 0.0 if row is None else float(row[0])

    def happened(self, gateway: str, event: dict[str, Any]) -> None:
        """Keep an event, for who asks what happened."""
        with closing(self._open()) as conn, conn:
            values = (event["id"], gateway, "", self.setting("now"), json.dumps(event))
            conn.execute("INSERT INTO thing VALUES (?, ?, ?, ?, ?)", values)

    def events(self, gateway: str, since: float, until: float) -> list[dict[str, Any]]:
        """What happened at a gateway in a time, the newest first."""
        query = "SELECT content FROM thing WHERE kind = ? AND at >= ? AND at < ? ORDER BY at DESC, id DESC"
        with closing(self._open()) as conn:
            rows = conn.execute(query, (gateway, since, until)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=20)


class Handler(BaseHTTPRequestHandler):
    """Both APIs: Stripe's paths begin with /v1 and its bodies are forms."""

    books: Books
    dice: random.Random

    def do_GET(self) -> None:
        """One thing, or a list of them."""
        path, _, query = self.path.partition("?")
        asked, parts = dict(urllib.parse.parse_qsl(query)), path.strip("/").split("/")
        stripe = parts[0] == "v1"
        name, identifier = (parts[1:] if stripe else parts)[0], (parts[1:] if stripe else parts)[1:]
        if self._stumbles(BEFORE):
            return
        if name == "events":
            self._events(stripe, asked)
            return
        if name == "mandates":
            self._mandate(identifier[0])
            return
        kind = {"payment_intents": "pi_", "payments": "PM", "refunds": "re_" if stripe else "RF"}[name]
        if identifier:
            found = self.books.get(identifier[0])
            self._answer(200, found if stripe else {name: found})
            return
        wanted = (
            asked.get("customer")
            or asked.get("payment_intent")
            or asked.get("mandate")
            or asked.get("payment")
        )
        all_ = [one for one in self.books.all(kind) if wanted in (one.get("customer"), one.get("payment_intent"),
                *one.get("links", {}).values())]  # fmt: skip
        if stripe:
            self._answer(200, {"object": "list", "url": path, "has_more": False, "data": all_})
        else:
            self._answer(
                200, {name: all_, "meta": {"cursors": {"before": None, "after": None}, "limit": 100}}
            )

    def _mandate(self, identifier: str) -> None:
        """`MD-<scheme>-<status>`; any other is not there."""
        parts = identifier.split("-")
        if len(parts) == 3:
            scheme, status = parts[1:]
            found = {"id": identifier, "scheme": scheme, "status": status, "reference": "TRUNK-1"}
            self._answer(200, {"mandates": found})
        else:
            error = {"type": "invalid_api_usage", "code": 404, "message": "Resource not found", "errors": []}
            self._answer(404, {"error": error})

    def _events(self, stripe: bool, asked: dict[str, str]) -> None:
        """In pages of two at most."""
        if stripe:
            found = self.books.events("stripe", float(asked["created[gte]"]), float(asked["created[lt]"]))
        else:
            since, until = (datetime.fromisoformat(asked[f"created_at[{name}]"]) for name in ("gte", "lt"))
            found = self.books.events("gocardless", since.timestamp(), until.timestamp())
        after = asked.get("starting_after" if stripe else "after")
        names = [one["id"] for one in found]
        start = names.index(after) + 1 if after in names else 0
        page, more = found[start : start + 2], start + 2 < len(found)
        if stripe:
            self._answer(200, {"object": "list", "url": "/v1/events", "has_more": more, "data": page})
            return
        cursors = {"before": None, "after": page[-1]["id"] if more else None}
        self._answer(200, {"events": page, "meta": {"cursors": cursors, "limit": 2}})

    def do_POST(self) -> None:
        """A charge or a refund; the same idempotency key is the one of before."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        stripe = self.path.startswith("/v1/")
        if self._stumbles(BEFORE):
            return
        if stripe:
            self._stripe(dict(urllib.parse.parse_qsl(body)), self.headers["Idempotency-Key"])
        else:
            self._gocardless(json.loads(body), self.headers["Idempotency-Key"])

    def _stripe(self, form: dict[str, str], key: str) -> None:
        meta = {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")}
        content: dict[str, Any] = {"metadata": meta, "amount": int(form["amount"]), "status": "succeeded"}
        if self.path.endswith("payment_intents"):
            content |= {
                "object": "payment_intent",
                "customer": form["customer"],
                "currency": form["currency"],
            }
            made, _known = self.books.made("pi_", key, content)
        else:
            content |= {"object": "refund", "payment_intent": form["payment_intent"]}
            if self._too_much(form["payment_intent"], "re_", "payment_intent", content["amount"], key):
                error = {
                    "type": "invalid_request_error",
                    "message": "Refund amount is greater than unrefunded amount",
                }
                self._answer(400, {"error": error})
                return
            made, _known = self.books.made("re_", key, content)
        if not self._stumbles(AFTER):
            self._answer(200, made)

    def _gocardless(self, body: dict[str, Any], key: str) -> None:
        name = self.path.strip("/")
        given = body[name]
        if name == "refunds":
            payment = given["links"]["payment"]
            back = sum(
                one["amount"] for one in self.books.all("RF")
                if one["links"]["payment"] == payment and one["status"] != "failed" and one["key"] != key
            )  # fmt: skip
            if back + given["amount"] != given["total_amount_confirmation"]:
                self._invalid("total_amount_confirmation_invalid")
                return
            if self.books.get(payment)["status"] not in ("confirmed", "paid_out"):
                self._invalid("refund_payment_invalid_state")
                return
            if self._too_much(payment, "RF", "payment", given["amount"], key):
                self._invalid("refund_amount_exceeds_payment")
                return
        made, known = self.books.made(
            "PM" if name == "payments" else "RF",
            key,
            given | {"status": "pending_submission" if name == "payments" else "created", "key": key},
        )
        if self._stumbles(AFTER):
            return
        if known:
            self._invalid("idempotent_creation_conflict", {"conflicting_resource_id": made["id"]})
        else:
            self._answer(201, {name: made})

    def _too_much(self, charge: str, kind: str, link: str, amount: int, key: str) -> bool:
        """More than the charge has left; what this key has asked for before is known already."""
        back = 0
        for one in self.books.all(kind):
            if charge in (one.get(link), one.get("links", {}).get(link)) and one["status"] != "failed":
                if (one.get("key") or one["metadata"].get("refund")) == key:
                    return False
                back += one["amount"]
        return bool(back + amount > self.books.get(charge)["amount"])

    def _invalid(self, reason: str, links: dict[str, str] | None = None) -> None:
        error = {"type": "invalid_state", "code": 409, "message": reason,
                 "errors": [{"reason": reason, "message": reason, "links": links or {}}]}  # fmt: skip
        self._answer(409, {"error": error})

    def _stumbles(self, ways: tuple[str, str]) -> bool:
        if ways is BEFORE and self.books.setting("locked"):
            error = {
                "type": "invalid_api_usage",
                "code": 401,
                "message": "The access token is revoked",
                "errors": [],
            }
            self._answer(401, {"error": error})
            return True
        if self.dice.random() >= self.books.share() / 2:
            return False
        way = self.dice.choice(ways)
        if way == "lost":
            self.close_connection = True
            self.connection.close()
        elif way == "busy":
            error = {"type": "invalid_api_usage", "code": 429, "message": "Rate limit exceeded"}
            self._answer(429, {"error": error})
        else:
            self._answer(
                500, {"error": {"type": "gocardless", "code": 500, "message": "broken", "errors": []}}
            )
        return True

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Quietly."""


def main() -> None:
    """Serve until killed."""
    path, port, seed, share = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    Handler.books, Handler.dice = Books(path), random.Random(seed)
    Handler.books.share(share)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
