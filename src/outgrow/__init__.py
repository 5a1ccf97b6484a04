"""Outgrow runs a Python backend, says what will break first as it grows, and moves that limit."""

from outgrow.errors import OutgrowError

__version__ = "0.1.0.dev0"

__all__ = ["OutgrowError", "__version__"]
