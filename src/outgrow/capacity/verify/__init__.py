"""Checks a forecast: a load test up to the limit that it names, and what came of it."""

from outgrow.capacity.verify.course import Course
from outgrow.capacity.verify.driving import Driver, Ended, Sends, Step
from outgrow.capacity.verify.loads import loads_of
from outgrow.capacity.verify.scoring import Score, first_of, score

__all__ = ["Course", "Driver", "Ended", "Score", "Sends", "Step", "first_of", "loads_of", "score"]
