"""Sets of files: read from one text, compared, masked. `=== MODE PATH` before each file, as the renderer writes it."""

import difflib
import re

import msgspec

from core.errors import Terminal

_MARK = re.compile(r"=== ([0-7]{4}) (/etc/(?:ppp|trunkline)/[A-Za-z0-9._/-]+)\n?")
_SECRETS = "/etc/trunkline/radius/servers"
_FORBIDDEN = ("/etc/trunkline/agent", "/etc/trunkline/state/")


class File(msgspec.Struct, frozen=True):
    """A file on the device; `mode` in octal digits as `stat -c %a` prints it."""

    path: str
    mode: str
    text: str


class NotAFileSet(Terminal):
    """The candidate is not a set of files that this driver may write."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the candidate is not a set of files for linux_pppd: {why}")


def parse(config: str) -> dict[str, File]:
    """The files of a text by path. Raises NotAFileSet for a path outside ours, twice, or text before the first."""
    files: dict[str, File] = {}
    name, mode, lines = "", "", list[str]()

    def finish() -> None:
        if name:
            files[name] = File(name, mode, "".join(lines))

    for line in config.splitlines(keepends=True):
        if line.startswith("=== "):
            finish()
            mode, name = _heading(line, files)
            lines = []
        elif not name and line.strip():
            raise NotAFileSet(f"it begins with '{line.strip()[:60]}', not with a line '=== MODE PATH'")
        else:
            lines.append(line)
    finish()
    return files


def _heading(line: str, files: dict[str, File]) -> tuple[str, str]:
    found = _MARK.fullmatch(line)
    if found is None or "/../" in found[2] or found[2].startswith(_FORBIDDEN):
        raise NotAFileSet(
            f"'{line.strip()}' names no file that the driver may write (/etc/ppp, /etc/trunkline)"
        )
    if found[2] in files:
        raise NotAFileSet(f"{found[2]} is in it twice")
    return found[1].lstrip("0"), found[2]


def text_of(files: dict[str, File], sanitized: bool = False) -> str:
    """The files as one text, ordered by path; `sanitized` masks RADIUS secrets."""
    return "".join(
        f"=== {file.mode.zfill(4)} {path}\n{masked(path, file.text) if sanitized else file.text}"
        for path, file in sorted(files.items())
    )


def masked(path: str, text: str) -> str:
    """The text without RADIUS secrets."""
    return re.sub(r"(?m)^(\S+) .*$", r"\1 <secret>", text) if path == _SECRETS else text


def difference(running: dict[str, File], candidate: dict[str, File]) -> str:
    """A unified diff over all files; secrets are masked, a changed one shows as such; "" when nothing differs."""
    parts = []
    for path in sorted({*running, *candidate}):
        old, new = running.get(path), candidate.get(path)
        if old == new:
            continue
        parts += _one(path, old, new)
    return "".join(parts)


def _one(path: str, old: File | None, new: File | None) -> list[str]:
    before, after = (masked(path, file.text) if file else "" for file in (old, new))
    lines = list(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            path if old else "/dev/null",
            path if new else "/dev/null",
        )
    )
    if not lines:
        lines = [f"--- {path}\n", f"+++ {path}\n"]
    if old and new and old.mode != new.mode:
        lines.append(f"mode {old.mode} -> {new.mode}\n")
    if old and new and old.text != new.text and before == after:
        lines.append("secrets differ\n")
    return lines
