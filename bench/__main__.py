"""`python -m bench [NAME…]` runs the named measurements, or all; `--list` names them with their first line.

`python -m bench NAME --option …` gives options to one that has some.
"""

import ast
import importlib
import inspect
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def available() -> dict[str, str]:
    """Name -> first docstring line of every module here that has a `main`."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        has_main = any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
        if has_main and not path.stem.startswith("__"):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main(args: list[str]) -> int:
    """Run what was asked for; status 2 for a name that is not here."""
    here = available()
    if args == ["--list"]:
        for name, line in here.items():
            print(f"{name:<16}{line}")
        return 0
    at = next((n for n, arg in enumerate(args) if arg.startswith("-")), len(args))
    args, options = args[:at], args[at:]
    unknown = sorted(set(args) - set(here))
    if unknown:
        print(f"bench: no {', '.join(unknown)}; there are: {', '.join(here) or 'none yet'}", file=sys.stderr)
        return 2
    for name in args or here:
        module = importlib.import_module(f"bench.{name}")
        if options and not inspect.signature(module.main).parameters:
            print(f"{name} takes no options:\n{(module.__doc__ or '').rstrip()}")
            return 0 if "--help" in options else 2
        print(f"\n== {name}: {here[name]}", flush=True)
        module.main(*([options] if options else []))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
