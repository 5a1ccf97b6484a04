"""Arguments for differences that more than one behaviour shows."""

from __future__ import annotations

EXIT_CODES = (
    "exit codes are the same for every verb: 1 where it failed, 2 where it was called wrongly;"
    " uvicorn's 3 means nothing elsewhere"
)
OWN_LINES = (
    "outgrow shows the exception and the lines of the user's own code that led to it, on one"
    " screen, instead of a traceback through both servers"
)
ASKED_TO_STOP = (
    "a stop that was asked for and went well is no failure: 0. uvicorn raises the signal again"
    " once it has shut down, which service managers must be told to accept"
)
