"""Frameworks that hand objects over, each doing the same with the same three classes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from importlib import import_module, metadata

from .graph import Way

__all__ = ["PACKAGES", "Way", "missing", "prepare", "versions"]

# Contender -> the package that must be installed for it.
PACKAGES = {
    "plain": "",
    "FastAPI Depends": "fastapi",
    "dishka": "dishka",
    "dependency-injector": "dependency-injector",
    "that-depends": "that-depends",
    "wireup": "wireup",
    "outgrow": "outgrow",
}
_MODULES = {
    "plain": "plain",
    "FastAPI Depends": "fastapi_depends",
    "dishka": "in_dishka",
    "dependency-injector": "in_dependency_injector",
    "that-depends": "in_that_depends",
    "wireup": "in_wireup",
    "outgrow": "in_outgrow",
}


def missing() -> list[str]:
    """Contenders that are not installed."""
    return [name for name, package in PACKAGES.items() if package and not _version(package)]


def versions() -> dict[str, str]:
    """Package -> version of those that are installed, besides those that every table names."""
    found = {name: _version(name) for name in PACKAGES.values() if name}
    return {name: version for name, version in found.items() if version}


async def prepare(name: str, stack: AsyncExitStack, *, anew: bool) -> Way | None:
    """A contender at work until the stack is closed; None for ours where objects are made anew."""
    if name == "outgrow" and anew:
        return None
    prepared = import_module(f"{__name__}.{_MODULES[name]}").prepared
    return await stack.enter_async_context(prepared(anew=anew))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
