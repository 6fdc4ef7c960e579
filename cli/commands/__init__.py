"""One module a command: `accept_history.py` is `trunkline accept-history`.

A module's first docstring line is the command's line in `trunkline --help`, read without importing it. The module
has either a function `command` (its parameters are the options, by typer) or a `typer.Typer` named `app`.
"""
