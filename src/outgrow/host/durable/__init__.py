"""Durable work in one process: what it publishes and enqueues, and what it is given to do."""
