"""The Jinja2 environment of a platform: an immutable sandbox, StrictUndefined, and lines that know where they are from.

Templates lie in `renderers/<platform>/templates/`. Every line of a template carries an invisible mark through the
rendering; `rendered` takes the marks off again and turns them into `Rendered.origins`.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from renderers.contract import Rendered

Filter = Callable[..., Any]
_MARK = re.compile("\x02([^\x03]*):(\\d+)\x03")
_SILENT = re.compile(r"[%#]\}\s*$")
"""A line that ends in a tag prints nothing of its own; its line break goes with it."""


@cache
def environment(platform: str, *filters: Filter) -> ImmutableSandboxedEnvironment:
    """The environment of `renderers.<platform>`; each filter goes by its function's name."""
    made = ImmutableSandboxedEnvironment(
        loader=_Marked(jinja2.PackageLoader(f"renderers.{platform}", "templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # device configuration, not HTML: each platform has its own escape filter
    )
    made.filters.update({each.__name__: each for each in filters})
    return made


def rendered(env: ImmutableSandboxedEnvironment, template: str, **values: Any) -> Rendered:
    """Render a template to a configuration whose lines name their origin."""
    lines, origins = [], {}
    for number, line in enumerate(env.get_template(template).render(**values).split("\n"), start=1):
        marks = _MARK.findall(line)
        if marks:
            origins[number] = (marks[-1][0], int(marks[-1][1]))
        lines.append(_MARK.sub("", line))
    return Rendered(config="\n".join(lines), origins=origins)


class _Marked(jinja2.BaseLoader):
    """A loader that puts a mark at the end of every line that prints."""

    def __init__(self, inner: jinja2.BaseLoader) -> None:
        self.inner = inner

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, name, fresh = self.inner.get_source(environment, template)
        return "\n".join(_marked(template, source)), name, fresh


def _marked(template: str, source: str) -> Iterator[str]:
    for number, line in enumerate(source.split("\n"), start=1):
        silent = not line.strip() or _SILENT.search(line)
        yield line if silent else f"{line}\x02{template}:{number}\x03"
