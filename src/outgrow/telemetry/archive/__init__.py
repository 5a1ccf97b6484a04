"""Keeps telemetry in files of a day each, and answers from them; only the observer imports it."""
