"""A module whose import raises."""

raise ValueError("the import raises")
