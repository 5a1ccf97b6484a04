"""Checks a forecast: a load test up to the limit that it names, and what came of it."""

from outgrow.capacity.verify.course import Course
from outgrow.capacity.verify.driving import Draw, Driver, Ended, Sending, Step
from outgrow.capacity.verify.loads import loads_of
from outgrow.capacity.verify.scoring import Score, first_of, score

__all__ = [
    "Course",
    "Draw",
    "Driver",
    "Ended",
    "Score",
    "Sending",
    "Step",
    "first_of",
    "loads_of",
    "score",
]
