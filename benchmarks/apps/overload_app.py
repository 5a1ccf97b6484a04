"""FastAPI with a handler that computes for 2 ms."""

import os
import time

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

CPU_NS = 2_000_000

app = FastAPI()


def compute() -> None:
    """Take 2 ms of CPU, on a slow machine no more than on a fast one."""
    until = time.thread_time_ns() + CPU_NS
    while time.thread_time_ns() < until:
        pass


@app.get("/compute", response_class=PlainTextResponse)
async def answer() -> str:
    """An answer that costs 2 ms of CPU."""
    compute()
    return "done"


@app.get("/pid", response_class=PlainTextResponse)
async def pid() -> str:
    """This process's id."""
    return str(os.getpid())
