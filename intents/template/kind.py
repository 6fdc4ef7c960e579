"""Templates as a kind: whole files in Jinja2, not YAML. The id is `<platform>/<name>`."""

from collections.abc import Iterator

from intents.expressions import template_mistake
from intents.kind import Complaint, Kind
from intents.scalars import Text
from intents.template.schema import Template


def read(identifier: str, text: str) -> Template:
    """The file as a value."""
    platform, name = identifier.split("/")
    return Template(platform=platform, name=name, source=Text(text))


def write(template: Template) -> str:
    """The value as a file."""
    return str(template.source)


def complaints(template: Template) -> Iterator[Complaint]:
    """What Jinja2 cannot read; the field is the line."""
    found = template_mistake(template.source)
    if found is not None:
        yield Complaint("template", (found[0],), f"the template does not parse: {found[1]}")


KIND = Kind(
    name="template",
    struct=Template,
    pattern="templates/{id}.j2",
    plural="templates",
    complaints=complaints,
    id_pattern=r"^[a-z][a-z0-9_]{0,62}/[A-Za-z0-9_.-]{1,63}$",
    read=read,
    write=write,
)
