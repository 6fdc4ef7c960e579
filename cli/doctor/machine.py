"""This machine: Git, SQLite, the clock, time zones, and how many files may be open."""

import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cli.doctor.finding import Finding
from core import clock

# core.fsync with parts ("committed,reference"): Git 2.36 release notes.
OLDEST_GIT = (2, 36)
# RETURNING: SQLite 3.35.0 release notes.
OLDEST_SQLITE = (3, 35)
# Sockets of sessions, devices and the API together; a distribution's usual soft limit is 1024.
FEWEST_FILES = 4096


def check_git() -> Iterator[Finding]:
    """Git is there, and new enough for the durable reference update of the committer."""
    if shutil.which("git") is None:
        yield Finding("git", "fail", "not installed", "apt-get install git")
        return
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    yield _at_least("git", numbers, OLDEST_GIT, "install a newer git")


def check_sqlite() -> Iterator[Finding]:
    """SQLite is new enough for what our statements use."""
    yield _at_least("sqlite", sqlite3.sqlite_version_info, OLDEST_SQLITE, "use a Python with a newer SQLite")


def _at_least(name: str, found: tuple[int, ...], oldest: tuple[int, ...], hint: str) -> Finding:
    text = ".".join(map(str, found))
    if found >= oldest:
        return Finding(name, "ok", text)
    return Finding(name, "fail", f"{text} is older than {'.'.join(map(str, oldest))}", hint)


def check_files(soft: int | None = None) -> Iterator[Finding]:
    """Enough files may be open at once."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if soft is None else soft
    unlimited = allowed in (resource.RLIM_INFINITY, -1)
    if unlimited or allowed >= FEWEST_FILES:
        yield Finding("open-files", "ok", "no limit" if unlimited else f"up to {allowed}")
    else:
        yield Finding("open-files", "warn", f"only {allowed} may be open", f"run: ulimit -n {FEWEST_FILES}")


def check_clock(moment: datetime | None = None, newest: datetime | None = None) -> Iterator[Finding]:
    """The clock is not before our own program was written, and somebody keeps it right."""
    now, written = moment or clock.now(), newest or _written()
    if now < written:
        message = f"says {now:%Y-%m-%d %H:%M} UTC, which is before this program was installed"
        yield Finding("clock", "fail", message, "set it, and run an NTP client")
    elif _synchronised() is False:
        yield Finding(
            "clock", "warn", "is not synchronised", "run an NTP client: invoices and RADIUS need the time"
        )
    else:
        yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _written() -> datetime:
    return datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)


def _synchronised() -> bool | None:
    """What systemd says; None where it says nothing."""
    if shutil.which("timedatectl") is None:
        return None
    args = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    said = subprocess.run(args, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
    return {"yes": True, "no": False}.get(said)


def check_zones(zone: str = "Australia/Sydney") -> Iterator[Finding]:
    """The time zone database is there: windows and billing days are local."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield Finding("time-zones", "fail", f"{zone} is not known", "apt-get install tzdata")
    else:
        yield Finding("time-zones", "ok", "known")
