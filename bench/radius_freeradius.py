"""FreeRADIUS 3.2 for a measurement: a configuration of our own with the features that ours has switched on.

Many clients with a secret each, Message-Authenticator required, PAP, duplicate detection, rejects delayed and logged;
users in a `files` table, or in PostgreSQL by Debian's own schema and queries. Nothing of Debian's example site runs.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.radius_load import NASES, nas_address, nas_secret
from bench.radius_postgres import Postgres

_QUERIES = Path("/etc/freeradius/3.0/mods-config")
_SCHEMA = _QUERIES / "sql/main/postgresql/schema.sql"
User = tuple[str, str, list[tuple[str, str]]]
"""(login, password, reply attributes as (name, value))"""

_RADIUSD = """
prefix = /usr
sysconfdir = /etc
localstatedir = {folder}
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
raddbdir = {folder}
name = bench
confdir = {folder}
modconfdir = {queries}
pidfile = {folder}/pid
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {{
    destination = files
    file = {folder}/radius.log
    auth_accept = no
    auth_reject = yes
}}
security {{
    allow_core_dumps = no
    max_attributes = 200
    reject_delay = 1
    status_server = yes
}}
thread pool {{
    start_servers = 5
    max_servers = 32
    min_spare_servers = 3
    max_spare_servers = 10
    max_requests_per_server = 0
    auto_limit_acct = no
}}
{clients}
modules {{
    pap {{
    }}
    always ok {{
        rcode = ok
    }}
{modules}
}}
server bench {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {auth}
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = {acct}
    }}
    authorize {{
{authorize}
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
    }}
    preacct {{
        {preacct}
    }}
    accounting {{
        {accounting}
    }}
    post-auth {{
        {accepted}
        Post-Auth-Type REJECT {{
            {rejected}
        }}
    }}
}}
"""
_FILES = """
    files {
        usersfile = ${raddbdir}/users
    }
"""
_SQL = """
    expr {{
    }}
    sql {{
        dialect = "postgresql"
        driver = "rlm_sql_postgresql"
        postgresql {{
            send_application_name = yes
        }}
        radius_db = "{conninfo}"
        acct_table1 = "radacct"
        acct_table2 = "radacct"
        postauth_table = "radpostauth"
        authcheck_table = "radcheck"
        groupcheck_table = "radgroupcheck"
        authreply_table = "radreply"
        groupreply_table = "radgroupreply"
        usergroup_table = "radusergroup"
        read_groups = {groups}
        delete_stale_sessions = yes
        pool {{
            start = 5
            min = 3
            max = 32
            spare = 10
            uses = 0
            lifetime = 0
            idle_timeout = 60
        }}
        client_table = "nas"
        group_attribute = "SQL-Group"
        $INCLUDE ${{modconfdir}}/${{.:name}}/main/${{dialect}}/queries.conf
    }}
"""


class FreeRadius:
    """A running server and its ports."""

    def __init__(self, pid: int, auth_port: int, acct_port: int, log: Path) -> None:
        self.pid, self.auth_port, self.acct_port, self.log = pid, auth_port, acct_port, log


# What Debian's policy `acct_unique` does.
_UNIQUE = """
        update request {
            &Acct-Unique-Session-Id := "%{md5:%{User-Name},%{Acct-Session-Id},%{NAS-IP-Address},%{NAS-Identifier},\
%{NAS-Port-Id},%{NAS-Port}}"
        }
"""


def missing(with_sql: bool = True) -> str:
    """What there is to install; "" when all is there."""
    if shutil.which("freeradius") is None:
        return "freeradius (apt-get install freeradius)"
    if with_sql and not _SCHEMA.exists():
        return "freeradius-postgresql (apt-get install freeradius-postgresql)"
    return ""


@contextmanager
def with_files(users: Iterable[User], nases: int = NASES, also: str = "") -> Iterator[FreeRadius]:
    """FreeRADIUS with its users in a `files` table; `also` are further clients in its own words."""
    with _folder() as folder:
        with (folder / "users").open("w") as file:
            for login, password, reply in users:
                file.write(f'{login} Cleartext-Password := "{password}"\n')
                file.write(",\n".join(f'\t{name} += "{value}"' for name, value in reply) + "\n\n")
        with _running(folder, _FILES, "        files", nases, also=also) as server:
            yield server


@contextmanager
def with_sql(
    users: Iterable[User], base: Postgres, nases: int = NASES, groups: bool = True, accepts: bool = False
) -> Iterator[FreeRadius]:
    """FreeRADIUS with rlm_sql on PostgreSQL: radcheck, radreply, accounting into radacct, rejects into radpostauth.

    `groups` (the module's default) asks for the groups of a user too; `accepts` writes accepted logins into radpostauth
    as well, which Debian's example site does.
    """
    name = "radius_accepts" if accepts else "radius"
    base.create(name)
    base.psql(name, file=_SCHEMA)
    _copy(users, base, name)
    modules = _SQL.format(conninfo=base.conninfo(name), groups="yes" if groups else "no")
    accepted = "sql" if accepts else "ok"
    with (
        _folder() as folder,
        _running(
            folder, modules, "        sql", nases, preacct=_UNIQUE, sql="sql", accepted=accepted
        ) as server,
    ):
        yield server


def _copy(users: Iterable[User], base: Postgres, database: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        check, reply = Path(place) / "check", Path(place) / "reply"
        Path(place).chmod(0o755)
        with check.open("w") as checks, reply.open("w") as replies:
            for login, password, attributes in users:
                checks.write(f"{login}\tCleartext-Password\t:=\t{password}\n")
                replies.writelines(f"{login}\t{name}\t+=\t{value}\n" for name, value in attributes)
        for table, file in (("radcheck", check), ("radreply", reply)):
            base.psql(database, f"\\copy {table} (username, attribute, op, value) from '{file}'")
    base.psql(database, "ANALYZE")


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tl-bench-freeradius-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    folder: Path,
    modules: str,
    authorize: str,
    nases: int,
    preacct: str = "ok",
    sql: str = "ok",
    also: str = "",
    accepted: str = "ok",
) -> Iterator[FreeRadius]:
    auth, acct = _free_port(), _free_port()
    clients = "".join(
        f"client nas{number} {{\n    ipaddr = {nas_address(number)}\n    secret = {nas_secret(number).decode()}\n"
        f"    require_message_authenticator = yes\n    limit {{\n        max_connections = 0\n    }}\n}}\n"
        for number in range(nases)
    )
    (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    (folder / "radiusd.conf").write_text(
        _RADIUSD.format(
            folder=folder, queries=_QUERIES, clients=clients + also, modules=modules, authorize=authorize,
            auth=auth, acct=acct, preacct=preacct, accounting=sql, rejected=sql,
            accepted=accepted,
        )
    )  # fmt: skip
    (folder / "radiusd.conf").chmod(0o600)
    with (folder / "stdout").open("wb") as out:
        server = subprocess.Popen(
            ["freeradius", "-f", "-d", str(folder), "-n", "radiusd"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        _wait(server, folder)
        yield FreeRadius(server.pid, auth, acct, folder / "radius.log")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    log = folder / "radius.log"
    for _attempt in range(600):
        if log.exists() and "Ready to process requests" in log.read_text():
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    told = (folder / "stdout").read_text() + (log.read_text() if log.exists() else "")
    raise TimeoutError(f"FreeRADIUS did not start: {told[-2000:]}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
