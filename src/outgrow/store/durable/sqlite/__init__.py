"""Durable work in one SQLite file with one writer."""
