"""Times, as tables: `python -m bench` lists and runs the modules of this folder. Tests count, they never time."""
