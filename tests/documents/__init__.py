"""Documents that cannot go stale: references written from the code, links that resolve, examples that run.

`python -m tests.documents` checks them, `python -m tests.documents --write` (`make docs`) writes the references.
"""
