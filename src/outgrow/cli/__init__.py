"""The verbs people type."""

from outgrow.cli.main import app, main

__all__ = ["app", "main"]
