"""SQL that an administrator of PostgreSQL runs once for a node."""

import re

from aaa.grants import ROLE, statements
from aaa.models import METADATA
from aaa.view.models import view_change, view_position, view_record, view_state
from core.errors import Terminal

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class RoleNameNotUsable(Terminal):
    """A database role's name would need quoting."""

    def __init__(self, name: str) -> None:
        super().__init__(f"'{name}' is no plain role name: small letters, digits and _, at most 63")


def sql(login: str) -> str:
    """A script for psql that makes the nodes' role and one login of it. Raises RoleNameNotUsable."""
    if not _NAME.fullmatch(login):
        raise RoleNameNotUsable(login)
    lines = [
        f"DO $$ BEGIN CREATE ROLE {ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        f"CREATE ROLE {login} LOGIN IN ROLE {ROLE}",
        *statements((view_record, view_change, view_state), (view_position,), "derived"),
        *statements((), METADATA.sorted_tables, "public"),
    ]
    return "".join(f"{line};\n" for line in lines)
