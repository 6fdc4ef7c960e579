"""Sets of files: read from one text, compared, masked. `=== MODE PATH` before each file, as the renderers write it."""

import difflib
import re
from collections.abc import Callable, Iterator

import msgspec

from core.errors import Terminal


class File(msgspec.Struct, frozen=True):
    """A file on the device; `mode` in octal digits as `stat -c %a` prints it."""

    path: str
    mode: str
    text: str


class NotAFileSet(Terminal):
    """The candidate is not a set of files that this driver may write."""

    def __init__(self, platform: str, why: str) -> None:
        super().__init__(f"the candidate is not a set of files for {platform}: {why}")


class FileRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which files a platform's driver may write, and what in them is secret.

    `allowed` is a regular expression of whole paths, `forbidden` beginnings of paths, `mask(path, text)` the text
    without secrets.
    """

    platform: str
    allowed: str
    where: str
    forbidden: tuple[str, ...]
    mask: Callable[[str, str], str]

    def parse(self, config: str) -> dict[str, File]:
        """The files of a text by path. Raises NotAFileSet for a path outside ours, twice, or text before the first."""
        files: dict[str, File] = {}
        name, mode, lines = "", "", list[str]()
        for line in config.splitlines(keepends=True):
            if line.startswith("=== "):
                if name:
                    files[name] = File(name, mode, "".join(lines))
                mode, name = self._heading(line, files)
                lines = []
            elif not name and line.strip():
                raise NotAFileSet(
                    self.platform, f"it begins with '{line.strip()[:60]}', not with a line '=== MODE PATH'"
                )
            else:
                lines.append(line)
        if name:
            files[name] = File(name, mode, "".join(lines))
        return files

    def _heading(self, line: str, files: dict[str, File]) -> tuple[str, str]:
        found = re.fullmatch(rf"=== ([0-7]{{4}}) ({self.allowed})\n?", line)
        if found is None or "/../" in found[2] or found[2].startswith(self.forbidden):
            why = f"'{line.strip()}' names no file that the driver may write ({self.where})"
            raise NotAFileSet(self.platform, why)
        if found[2] in files:
            raise NotAFileSet(self.platform, f"{found[2]} is in it twice")
        return found[1].lstrip("0"), found[2]

    def text_of(self, files: dict[str, File], sanitized: bool = False) -> str:
        """The files as one text, ordered by path; `sanitized` masks secrets."""
        return "".join(
            f"=== {file.mode.zfill(4)} {path}\n{self.mask(path, file.text) if sanitized else file.text}"
            for path, file in sorted(files.items())
        )

    def difference(self, running: dict[str, File], candidate: dict[str, File]) -> str:
        """A unified diff over all files; secrets are masked, a changed one shows as such; "" when nothing differs."""
        parts = list[str]()
        for path in sorted({*running, *candidate}):
            old, new = running.get(path), candidate.get(path)
            if old != new:
                parts += self._one(path, old, new)
        return "".join(parts)

    def _one(self, path: str, old: File | None, new: File | None) -> Iterator[str]:
        before, after = (self.mask(path, file.text) if file else "" for file in (old, new))
        names = (path if old else "/dev/null", path if new else "/dev/null")
        lines = list(
            difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), *names)
        )
        yield from lines or [f"--- {path}\n", f"+++ {path}\n"]
        if old and new and old.mode != new.mode:
            yield f"mode {old.mode} -> {new.mode}\n"
        if old and new and old.text != new.text and before == after:
            yield "secrets differ\n"
