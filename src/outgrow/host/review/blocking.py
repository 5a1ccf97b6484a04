"""Calls in async operations that stop the whole event loop until they return."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from outgrow.errors import BlockingCallError
from outgrow.host.review.finding import Finding, finding
from outgrow.host.review.values import sketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outgrow.host.review.functions import Call, Function
    from outgrow.host.review.reading import Reading


def _each(start: str, names: str) -> list[str]:
    return [f"{start}.{name}" for name in names.split()]


_HTTP = "get post put patch delete head options request"
_PATHS = "read_text read_bytes write_text write_bytes open"
_IN_A_THREAD = "await asyncio.to_thread(...)"
# What blocks, by its path, and what does the same without blocking.
_BLOCKING: dict[str, str] = {
    "time.sleep": "await asyncio.sleep(...)",
    "builtins.input": _IN_A_THREAD,
    "builtins.open": _IN_A_THREAD,
    "io.open": _IN_A_THREAD,
    "os.system": "await asyncio.create_subprocess_shell(...)",
    "os.popen": "await asyncio.create_subprocess_shell(...)",
    **dict.fromkeys(_each("pathlib.Path()", _PATHS), _IN_A_THREAD),
    **dict.fromkeys(_each("os", "wait waitpid"), _IN_A_THREAD),
    **dict.fromkeys(
        _each("subprocess", "run call check_call check_output getoutput getstatusoutput")
        + _each("subprocess.Popen()", "wait communicate"),
        "await asyncio.create_subprocess_exec(...)",
    ),
    **dict.fromkeys(
        [
            *_each("requests", _HTTP),
            *_each("requests.Session()", _HTTP),
            *_each("requests.session()", _HTTP),
            *_each("httpx", _HTTP),
            *_each("httpx.Client()", _HTTP),
            *_each("urllib.request", "urlopen urlretrieve"),
            *_each("http.client.HTTPConnection()", "request getresponse"),
            *_each("http.client.HTTPSConnection()", "request getresponse"),
        ],
        "an `httpx.AsyncClient`",
    ),
    **dict.fromkeys(
        _each("socket", "create_connection getaddrinfo gethostbyname gethostbyaddr getfqdn")
        + _each("socket.socket()", "connect recv recv_into send sendall accept"),
        "await asyncio.open_connection(...)",
    ),
    **dict.fromkeys(["smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP"], _IN_A_THREAD),
    **dict.fromkeys(
        [
            *("sqlite3.connect", "psycopg.connect", "psycopg2.connect", "pymysql.connect"),
            *("MySQLdb.connect", "mysql.connector.connect", "psycopg.Connection.connect"),
        ],
        "a field `db: Database`",
    ),
}
_LOCKS = {
    f"{module}.{kind}().acquire"
    for module in ("threading", "multiprocessing")
    for kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition")
}
_RESULTS = {"asyncio.run_coroutine_threadsafe().result"} | {
    f"{pool}().submit().result"
    for pool in (
        *("concurrent.futures.ThreadPoolExecutor", "concurrent.futures.ProcessPoolExecutor"),
        *(
            "concurrent.futures.thread.ThreadPoolExecutor",
            "concurrent.futures.process.ProcessPoolExecutor",
        ),
    )
}


def blocking_calls(reading: Reading) -> Iterator[Finding]:
    """Each such call in an async operation, or in what it calls in the same file, once."""
    told: set[Call] = set()
    for function in _async_operations(reading.functions.values()):
        for reached in reading.reached(function, in_file=True):
            for call in reached.calls:
                instead = _instead_of(call, reached)
                if instead and call not in told:
                    told.add(call)
                    yield _finding(function, reached, call, instead)


def _async_operations(functions: Iterable[Function]) -> Iterator[Function]:
    for each in functions:
        bound = each.operation
        if bound is not None and sketch(bound.cls).operations[bound.operation].kind != "thread":
            yield each


def _finding(function: Function, reached: Function, call: Call, instead: str) -> Finding:
    written = ast.unparse(call.node.func)
    where = "calls" if reached is function else f"runs `{reached.shown}`, which calls"
    return finding(
        BlockingCallError,
        reached.file.place(call.node),
        f"`{function.shown}` {where} `{written}(...)`, which stops the event loop",
        hint=f"Use {_shown(instead)}, or make `{function.shown}` a `def`, which runs in a thread",
    )


def _shown(instead: str) -> str:
    return instead if "`" in instead else f"`{instead}`"


def _instead_of(call: Call, function: Function) -> str:
    """What to use instead of a blocking call; empty where it does not block."""
    if call.use == "awaited":
        return ""
    if call.path.startswith("socket.socket().") and _is_told_not_to_block(function):
        return ""
    if call.path in _LOCKS:
        return "" if _may_fail(call) else "an `asyncio.Lock`"
    if call.path in _RESULTS:
        return "await asyncio.wrap_future(...)"
    return _BLOCKING.get(call.path, "")


def _may_fail(call: Call) -> bool:
    """Whether a lock is only tried."""
    first = call.node.args[0] if call.node.args else None
    for each in call.node.keywords:
        if each.arg == "blocking":
            first = each.value
    return isinstance(first, ast.Constant) and not first.value


def _is_told_not_to_block(function: Function) -> bool:
    return any(call.path == "socket.socket().setblocking" for call in function.calls)
