"""The same answers in Starlette."""

import os

from raw import ORDER
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


async def hello(request: Request) -> Response:
    """5 bytes."""
    return PlainTextResponse("hello")


async def order(request: Request) -> Response:
    """About 1 kB of JSON."""
    return JSONResponse(ORDER)


async def pid(request: Request) -> Response:
    """This process's id."""
    return PlainTextResponse(str(os.getpid()))


app = Starlette(routes=[Route("/", hello), Route("/order", order), Route("/pid", pid)])
