"""Recorded state of the API: tokens, and login links that work once."""

import sqlalchemy as sa

from core.db import UtcDateTime, metadata

METADATA = metadata("api")

api_token = sa.Table(
    "api_token",
    METADATA,
    sa.Column("token_id", sa.String(40), primary_key=True),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),  # SHA-256 of 256 random bits
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
)

login_link = sa.Table(
    "login_link",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("token_id", sa.String(40), sa.ForeignKey("api_token.token_id"), nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),
)
