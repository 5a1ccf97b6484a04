"""The Django project of examples/adopt as it is, with `/pid` beside it for the benchmark."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "adopt" / "django_app"))

from mysite.asgi import application as django  # pyright: ignore[reportMissingImports]


async def application(scope, receive, send):
    """Answer `/pid`, and pass everything else on to Django."""
    if scope.get("path") != "/pid":
        return await django(scope, receive, send)
    body = b"%d" % os.getpid()
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    return await send({"type": "http.response.body", "body": body})
