"""Moves all that is kept of events and jobs from one store to another."""
