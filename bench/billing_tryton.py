"""Tryton beside us, for information: 1,000 subscriptions billed and posted on the same PostgreSQL.

It is installed by name into an environment of its own when it is asked for; nothing of ours depends on it.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from bench.radius_cost import cpu_of
from bench.radius_postgres import Postgres

INVOICES = int(os.environ.get("TRUNKLINE_BENCH_TRYTON", "1000"))
_SIDE = Path(__file__).with_name("billing_tryton_side.py")
_SERIES = ">=7.0,<7.1"
_PACKAGES = (
    f"trytond{_SERIES}", f"trytond_sale_subscription{_SERIES}", f"trytond_account_invoice{_SERIES}",
    f"proteus{_SERIES}", "psycopg2-binary", "setuptools<80",
)  # fmt: skip


def beside(server: Postgres | None) -> None:
    """Print its lines, in the columns of ours."""
    if server is None:
        print("Tryton: not measured; it is compared on PostgreSQL")
        return
    home = Path(tempfile.gettempdir()) / "trunkline-bench-tryton"
    if (why := _install(home)) is not None:
        print(f"Tryton: not measured, it could not be installed: {why}")
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "trytond.conf"
        # With a queue it prints its invoices later, as we do: what is measured is the posting of both.
        settings.write_text("[database]\nuri = postgresql://\n[queue]\nworker = true\n", encoding="utf-8")
        server.create("tryton")
        env = {
            **os.environ,
            "PGHOST": str(server.folder),
            "PGUSER": "postgres",
            "TRYTONPASSFILE": f"{folder}/word",
            # Which database it is has to be known before its modules are imported.
            "TRYTOND_CONFIG": str(settings),
            "TRYTOND_DATABASE_URI": "postgresql://",
        }
        (Path(folder) / "word").write_text("tryton-bench-only", encoding="utf-8")
        admin = [f"{home}/bin/trytond-admin", "-c", str(settings), "-d", "tryton"]
        everything = [
            *admin,
            "--all",
            "-u",
            "sale_subscription",
            "--activate-dependencies",
            "--email",
            "",
            "-p",
        ]
        subprocess.run(everything, env=env, check=True, capture_output=True)
        before = cpu_of(server.pid)
        command = [f"{home}/bin/python", str(_SIDE), str(settings), "tryton", str(INVOICES)]
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"Tryton: not measured: {done.stderr[-500:]}")
            return
        theirs = sum(cpu_of(server.pid).since(before))
        for line in done.stdout.splitlines():
            name, seconds, cpu = line.split()
            rate = "" if name == "posted" else f"{INVOICES / float(seconds):>10.1f}"
            print(f"{'Tryton: ' + name:<26}{seconds:>9}{cpu:>11}{'':>18}{rate}")
        print(f"{'Tryton: PostgreSQL':<26}{'':>9}{'':>11}{theirs:>18.1f}")


def _install(home: Path) -> str | None:
    """Make the environment unless it is there; says why that did not work."""
    if not (home / "bin" / "trytond-admin").exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [f"{home}/bin/python", "-m", "pip", "install", "--quiet", *_PACKAGES]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"pip ended with {done.returncode}"])[-1]
    return None


if __name__ == "__main__":
    from bench.radius_postgres import postgres

    with postgres() as alone:
        beside(alone)
    sys.exit(0)
