"""What a message says: by `templates/message/<name>.j2` of the repository, else in our words."""

from collections.abc import Mapping
from typing import Any

import msgspec
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from billing.messages.facts import Facts
from billing.messages.words import DEAR, REGARDS, TEXTS
from billing.papers.errors import TemplateFailed
from billing.papers.parties import Party, Seller
from intents.reader import Reader

_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


class Text(msgspec.Struct, frozen=True):
    """A message: subject, paragraphs of the letter, and the same as a text message."""

    subject: str
    paragraphs: tuple[str, ...]
    short: str


def text(reader: Reader, purpose: str, facts: Facts, seller: Seller, buyer: Party) -> Text:
    """What it says, in the seller's language. Raises TemplateFailed.

    An own template is named after the step, else the purpose. Its first line is the subject, what follows is the
    letter; the text message is the letter without line breaks.
    """
    told = _told(facts, seller, buyer)
    name = next((one for one in _names(purpose, facts) if reader.get("template", one) is not None), None)
    if name is not None:
        made = _own(name, str(reader.get("template", name).source), told)
        subject, _, rest = made.strip().partition("\n")
        paragraphs = tuple(part.strip() for part in rest.split("\n\n") if part.strip())
        return Text(" ".join(subject.split()), paragraphs, " ".join(rest.split()))
    language = seller.language if seller.language in TEXTS else "en"
    about, body, short = (one.format(**told) for one in TEXTS[language][purpose])
    dear = DEAR[language].format(**told)
    return Text(
        about,
        (dear, body, f"{REGARDS[language]}\n{told['seller']}"),
        f"{told['seller']}: {short}",
    )


def _names(purpose: str, facts: Facts) -> tuple[str, ...]:
    return (f"message/{facts.name}", f"message/{purpose}") if facts.name else (f"message/{purpose}",)


def _own(name: str, source: str, told: Mapping[str, Any]) -> str:
    try:
        return _SANDBOX.from_string(source).render(told)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise TemplateFailed(name, int(getattr(error, "lineno", None) or 1), str(error)) from error


def _told(facts: Facts, seller: Seller, buyer: Party) -> dict[str, str]:
    """Each within one line: a name with a line break must not begin a header of its own."""
    given = {
        "amount": str(facts.money), "invoices": ", ".join(facts.invoices), "due": str(facts.due),
        "day": str(facts.day or ""), "by": facts.by, "name": facts.name, "seller": seller.name, "buyer": buyer.name,
    }  # fmt: skip
    return {name: " ".join(value.split()) for name, value in given.items()}
