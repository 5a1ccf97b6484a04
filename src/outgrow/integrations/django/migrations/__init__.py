"""The versions of the outbox's table."""
