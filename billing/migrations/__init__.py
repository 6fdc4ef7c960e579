"""Alembic branch of billing."""
