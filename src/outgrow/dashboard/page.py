"""The page's files, and headers that let it load nothing from elsewhere, nor run other scripts."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SAFETY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
PAGES = (
    *("", "operations", "traces", "logs", "exceptions", "databases", "workers", "objectives"),
    *("growth", "jobs", "measured", "audit"),
)
_KINDS = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "layout.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


class Files:
    """What the page is made of, read once."""

    def __init__(self) -> None:
        folder = resources.files("outgrow.dashboard") / "static"
        self._contents = {
            name: found.read_bytes() for name in _KINDS if (found := folder / name).is_file()
        }

    async def page(self, request: Request) -> Response:
        """The page itself; which part of it is shown, its script reads from the address."""
        return self._answer(request, "index.html")

    async def file(self, request: Request) -> Response:
        """A file that the page loads."""
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        content = self._contents.get(name)
        if content is None:
            return Response(f"there is no {name[:80]}\n", 404, media_type="text/plain")
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_KINDS[name])
