"""The same 2 ms of CPU, in a service behind FastAPI, which is protected without a setting."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from overload_app import compute

from outgrow import operation, service, uses


@service
class Work:
    """A service that computes."""

    @operation
    async def done(self) -> str:
        """An answer that costs 2 ms of CPU."""
        compute()
        return "done"


app = FastAPI()


@app.get("/compute", response_class=PlainTextResponse)
async def answer(work: Annotated[Work, Depends(uses(Work))]) -> str:
    """An answer of the service."""
    return await work.done()


@app.get("/pid", response_class=PlainTextResponse)
async def pid() -> str:
    """This process's id."""
    return str(os.getpid())
