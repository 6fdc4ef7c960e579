"""Open sessions have a table of their own, and the large one no index that a Stop would have to touch.

The large one gets another name: a node of the version before, which knows nothing of the small one, may not write to it
any more, and acknowledges from its journal until it is restarted. Under the old name everybody may read it.
"""

import sqlalchemy as sa
from alembic import op

revision = "aaa_0012"
down_revision = "aaa_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of what is open, then drop the indexes of the same."""
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    if on_postgresql:  # at once: who waited for it with a lock of its own on the table would wait in a circle
        op.execute("LOCK TABLE session IN ACCESS EXCLUSIVE MODE")
    op.create_table(
        "session_open",
        sa.Column("session_ref", sa.String(40), primary_key=True),
        sa.Column("nas", sa.String(63), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("stale", sa.Boolean, nullable=False),
    )
    op.execute(
        "INSERT INTO session_open (session_ref, nas, service, stale) "
        "SELECT session_ref, nas, service, stale FROM session WHERE state = 'open'"
    )
    unfinished = (
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "WHERE NOT i.indisvalid AND c.relname = 'ix_session_of_nas'"
    )
    if on_postgresql and op.get_bind().scalar(sa.text(unfinished)):
        op.drop_index("ix_session_of_nas")
    of_nas: list[str | sa.TextClause] = [sa.text("(nas || '')"), "session_ref"]
    op.create_index("ix_session_of_nas", "session", of_nas, if_not_exists=True)
    for name in ("open_service", "open_nas", "open_started", "stale", "nas_started"):
        op.drop_index(f"ix_session_{name}", "session")
    op.create_index("ix_session_open_service", "session_open", ["service"])
    op.create_index("ix_session_open_nas", "session_open", ["nas", "session_ref"])
    op.create_index(
        "ix_session_open_stale", "session_open", ["session_ref"],
        postgresql_where=sa.text("stale = true"), sqlite_where=sa.text("stale = 1"),
    )  # fmt: skip
    op.rename_table("session", "radius_session")
    view = "CREATE VIEW session AS SELECT * FROM radius_session"
    op.execute(f"{view} OFFSET 0" if on_postgresql else view)  # with that it takes no INSERT
