"""Jinja2 expressions and templates are only parsed here, never evaluated."""

import jinja2
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=True)


def mistake(expression: str) -> str:
    """Why an expression does not parse; empty when it does."""
    try:
        reading = Parser(_ENVIRONMENT, expression, state="variable")  # compiling would work out 9**9**9
        reading.parse_expression()
        if not reading.stream.eos:
            return f"unexpected {reading.stream.current.value!r}"
    except jinja2.TemplateSyntaxError as error:
        return str(error.message)
    except (RecursionError, ValueError, OverflowError) as error:
        return f"too complex ({type(error).__name__})"
    return ""


def template_mistake(source: str) -> tuple[int, str] | None:
    """Line and reason when a template does not parse."""
    try:
        _ENVIRONMENT.parse(source)
    except jinja2.TemplateSyntaxError as error:
        return error.lineno, str(error.message)
    except (RecursionError, ValueError, OverflowError) as error:
        return 1, f"too complex ({type(error).__name__})"
    return None
