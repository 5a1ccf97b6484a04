"""Benchmarks: ours beside uvicorn, gunicorn and granian, interleaved in one run, on this machine.

`python -m benchmarks` runs all, `python -m benchmarks http count` some. Each writes its rows to
results/NAME.json and prints them. Read ratios, not values: both sides of a ratio ran in the same
round, so that a noisy machine disturbs both alike.
"""
