"""A FastAPI app with Sentry's SDK set up at import, as its manual has it."""

from __future__ import annotations

import os

import sentry_sdk
from fastapi import FastAPI

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], traces_sample_rate=0.0)
app = FastAPI()


@app.get("/pid")
async def pid() -> dict[str, int]:
    """Answer with this process's id."""
    return {"pid": os.getpid()}


@app.get("/fail")
async def fail() -> None:
    """Fail the way a bug does."""
    raise RuntimeError("reported once")
