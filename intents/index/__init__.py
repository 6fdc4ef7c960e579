"""The index: what the repository says, ready to ask, and the sequence of its changes.

`Indexer(settings, db, repo, index_db).run_once()`, `open_reader(index_db)`, `canonical_dump(index_db)`.
"""
