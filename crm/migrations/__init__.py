"""Alembic branch of crm."""
