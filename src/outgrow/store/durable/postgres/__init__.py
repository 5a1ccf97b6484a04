"""Durable work on a PostgreSQL server."""
