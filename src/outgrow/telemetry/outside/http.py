"""Requests of httpx, aiohttp, and urllib3, which is what requests and botocore use.

A call lasts until the head of its response has come. What the app gave to the library is left as it
was: the trace's headers are put into a copy, or taken out again.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.outside.calls import http_call

if TYPE_CHECKING:
    from outgrow.telemetry.outside.calls import OutsideCall

# urllib3 asks itself again for a redirect, or another try.
_is_within: ContextVar[bool] = ContextVar("outgrow_urllib3", default=False)


def watch_httpx(httpx: Any) -> None:
    """See what goes over the network; not what a transport answers within this process.

    Args:
        httpx: The module, imported.
    """
    send: Any = httpx.HTTPTransport.handle_request
    send_async: Any = httpx.AsyncHTTPTransport.handle_async_request

    @wraps(send)
    def send_seen(self: Any, request: Any) -> Any:
        call, sent = _begun_httpx(request)
        try:
            response = send(self, request)
        except BaseException as error:
            call.end(type(error).__name__)
            raise
        finally:
            for name in sent:
                request.headers.pop(name, None)
        call.answered(response.status_code)
        return response

    @wraps(send_async)
    async def send_async_seen(self: Any, request: Any) -> Any:
        call, sent = _begun_httpx(request)
        try:
            response = await send_async(self, request)
        except BaseException as error:
            call.end(type(error).__name__)
            raise
        finally:
            for name in sent:
                request.headers.pop(name, None)
        call.answered(response.status_code)
        return response

    httpx.HTTPTransport.handle_request = send_seen
    httpx.AsyncHTTPTransport.handle_async_request = send_async_seen


def _begun_httpx(request: Any) -> tuple[OutsideCall, dict[str, str]]:
    url, headers = request.url, request.headers
    call = http_call(request.method, url.scheme, url.host, url.port)
    sent = call.headers(headers.__contains__)
    for name, value in sent.items():
        headers[name] = value
    return call, sent


def watch_aiohttp(aiohttp: Any) -> None:
    """See the requests of client sessions; with their redirects each is one.

    Args:
        aiohttp: The module, imported.
    """
    cls = aiohttp.ClientSession
    request: Any = cls._request
    multi_dict: Any = sys.modules["multidict"].CIMultiDict

    @wraps(request)
    async def request_seen(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        try:
            url = self._build_url(str_or_url)
            call = http_call(method, url.scheme, url.host or "", url.explicit_port)
            headers = multi_dict(kwargs.get("headers") or ())
        except Exception:  # what is wrong with it the library says better
            return await request(self, method, str_or_url, **kwargs)
        sent = call.headers(lambda name: name in headers or name in self.headers)
        if sent:
            headers.update(sent)
            kwargs["headers"] = headers
        try:
            response = await request(self, method, str_or_url, **kwargs)
        except BaseException as error:
            status = getattr(error, "status", 0) or 0
            call.end(f"HTTP {status}" if status >= 500 else type(error).__name__)
            raise
        call.answered(response.status)
        return response

    cls._request = request_seen


def watch_urllib3(urllib3: Any) -> None:
    """See the requests of connection pools; with its retries each is one.

    Args:
        urllib3: The module, imported.
    """
    cls = urllib3.connectionpool.HTTPConnectionPool
    urlopen: Any = cls.urlopen

    @wraps(urlopen)
    def urlopen_seen(
        self: Any,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        *args: Any,
        **kw: Any,
    ) -> Any:
        if _is_within.get():
            return urlopen(self, method, url, body, headers, *args, **kw)
        call = http_call(method, self.scheme, self.host or "", self.port)
        given = self.headers if headers is None else headers
        names = {str(name).lower() for name in given or ()}
        sent = call.headers(names.__contains__)
        if sent:
            headers = given.copy() if given else {}
            headers.update(sent)
        within = _is_within.set(True)
        try:
            response = urlopen(self, method, url, body, headers, *args, **kw)
        except BaseException as error:
            call.end(type(error).__name__)
            raise
        finally:
            _is_within.reset(within)
        call.answered(response.status)
        return response

    cls.urlopen = urlopen_seen
