"""A file in a form: `multipart/form-data` (RFC 7578), read whole, with its fields."""

from email import message_from_bytes, policy
from typing import NamedTuple

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.errors import NotUsable
from api.here import Here
from api.login.session import COOKIE, Form, Session, Visits, readable, require_ours
from api.tokens import Role

MOST = 16 << 20
"""Octets: more than the lines that are imported at once."""


class Upload(NamedTuple):
    """A form with one file, and who sent it."""

    session: Session
    name: str
    content: bytes


class Uploads:
    """A dependency: a form with a file, its secret checked, of somebody whose role is one of `roles`.

    The role is looked at before anything is read. Raises LoginNeeded, RoleLacking, FormNotOurs, NotUsable.
    """

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    async def __call__(self, here: Here, request: Request) -> Upload:
        """The form."""
        session = await run_in_threadpool(Visits(self.roles), here, request)
        kind = request.headers.get("content-type", "")
        told = f"it is larger than {MOST >> 20} MiB; trunkline billing bank import takes it"
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > MOST:
            raise NotUsable("the file", told)
        found = bytearray()
        async for part in request.stream():
            found += part
            if len(found) > MOST:
                raise NotUsable("the file", told)
        fields, name, content = await run_in_threadpool(parse, kind, bytes(found))
        readable({**fields, "file": name})
        require_ours(here, fields, request.cookies.get(COOKIE, ""))
        if not content:
            raise NotUsable("the form", "it has no file; choose one")
        return Upload(session, name, content)


def parse(kind: str, body: bytes) -> tuple[Form, str, bytes]:
    """The fields of a form by the type of its body, and the last file with its name; none where it is no such form."""
    fields: Form = {}
    name, content = "", b""
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=policy.HTTP)
    for part in message.iter_parts() if message.is_multipart() else ():
        field, given = part.get_param("name", header="content-disposition"), part.get_filename()
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        if given is not None:
            name, content = given[:120], payload
        elif isinstance(field, str):
            fields.setdefault(field, payload.decode("utf-8", "replace"))
    return fields, name, content
