"""Write examples/aarnet anew: `.venv/bin/python examples/make_aarnet.py`. A test says that it is fresh."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cli.example.network import example_files
from cli.scaffold.write import write_files

FOLDER = Path(__file__).parent / "aarnet"

if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_files(FOLDER, example_files())
