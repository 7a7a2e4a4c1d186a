"""Alembic migrations of the registry; `database` runs them. Nothing is run by hand."""
