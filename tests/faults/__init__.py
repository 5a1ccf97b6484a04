"""Faults: what the supervisor, the nursery and the workers promise when something breaks.

Every test starts a real `outgrow run`, breaks one thing, and compares what an outside ledger saw
with what the workers wrote down. `OUTGROW_FAULTS=long` runs the long form and writes report.json.
"""
