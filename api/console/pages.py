"""Pages from templates: everything is escaped, a missing value is an error, moments are shown in one way."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from core import clock
from core.shown import printable

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Markup)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    finalize=lambda value: printable(value, keep="\r\n\t") if _is_plain(value) else value,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, who: Any, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody: `who` is the session."""
    return HTMLResponse(render(name, who=who, **values), status)


def render(name: str, **values: Any) -> str:
    """The text of a page."""
    return _ENVIRONMENT.get_template(name).render(**values)


def refusal(status: int, messages: list[str], headers: dict[str, str] | None = None) -> HTMLResponse:
    """A page that says what is wrong."""
    text = render("refusal.html", who=None, status=status, messages=messages)
    return HTMLResponse(text, status, headers)


def _moment(value: datetime | None) -> Markup:
    """`<time>`: how long ago, the exact moment for programs and for who points at it."""
    if value is None:
        return Markup("–")
    exact = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, _ago(value))


def _ago(value: datetime) -> str:
    seconds = int((clock.now() - value).total_seconds())
    ahead, seconds = seconds < 0, abs(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"in {seconds // size} {unit}" if ahead else f"{seconds // size} {unit} ago"
    return f"in {seconds} s" if ahead else f"{seconds} s ago"


def _octets(value: int) -> str:
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


_ENVIRONMENT.filters |= {"moment": _moment, "octets": _octets}
