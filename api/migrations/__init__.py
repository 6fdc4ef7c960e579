"""Alembic branch of api."""
