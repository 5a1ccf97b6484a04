"""All functions of the code under review, and which of them run which."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING

from outgrow.host.review.code import classes_of
from outgrow.host.review.given import given_clients
from outgrow.host.review.names import Names
from outgrow.host.review.reader import Reader
from outgrow.host.review.values import thing_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.host.review.code import Code, SourceFile
    from outgrow.host.review.functions import Call, Function
    from outgrow.host.review.given import Parameter


class Reading:
    """All functions of the code.

    Attributes:
        code: What was read.
        names: Of its modules.
        functions: By path.
        used: The services that each module asks for by `uses`.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.names = Names(code)
        self.functions: dict[str, Function] = {}
        self.used: dict[str, frozenset[type]] = {}
        for file in code.involved_files:
            self._note_attributes(file)
        for file in code.involved_files:
            reader = Reader(file, self.names, self.service_of)
            self.functions |= reader.functions
            self.used[file.module] = reader.used
        self._read_again(given_clients(self))

    def _read_again(self, clients: frozenset[Parameter]) -> None:
        """Read the files in which parameters turned out to hold clients."""
        paths = {path for path, _ in clients}
        files = {one.file.module: one.file for one in self.functions.values() if one.path in paths}
        for file in files.values():
            self.functions |= Reader(file, self.names, self.service_of, clients).functions

    def service_of(self, path: str) -> type | None:
        """The service whose methods a class holds: itself, or one that inherits them."""
        cls = thing_at(path)
        if not isinstance(cls, type):
            return None
        if cls in self.code.sketches:
            return cls
        heirs = [each.cls for each in self.code.services if cls in each.cls.__mro__]
        return heirs[0] if heirs else None

    def called_by(self, function: Function) -> Iterator[tuple[Function, Call]]:
        """The functions under review that this one calls and thereby runs, with the calls."""
        for call in function.calls:
            found = self.at(call.path)
            if found is not None and (found.is_plain or found.operation is not None):
                yield found, call

    def reached(self, first: Function, *, in_file: bool = False) -> list[Function]:
        """A function and all that it runs by calling, in the order in which they are met.

        Args:
            first: Where it begins.
            in_file: Whether to stay in its file.
        """
        found = [first]
        for function in found:
            for further, _ in self.called_by(function):
                if further not in found and not (in_file and further.file is not first.file):
                    found.append(further)
        return found

    def within(self, function: Function) -> list[Function]:
        """A function with those that are written in it."""
        start = f"{function.path}.<locals>."
        return [function, *(one for one in self.functions.values() if one.path.startswith(start))]

    def at(self, path: str) -> Function | None:
        """The function that a path leads to, which may go through an object of a class."""
        if not path:
            return None
        holder, _, name = path.rpartition(".")
        if not holder.endswith("()"):
            return self.functions.get(path)
        cls = thing_at(holder[:-2])
        for owner in getattr(cls, "__mro__", ()):
            found = self.functions.get(f"{owner.__module__}.{owner.__qualname__}.{name}")
            if found is not None:
                return found
        return None

    def methods_of(self, cls: type) -> list[Function]:
        """The functions written in a service or in the classes that it inherits from."""
        homes = {f"{owner.__module__}.{owner.__qualname__}" for owner in cls.__mro__[:-1]}
        return [one for path, one in self.functions.items() if path.rpartition(".")[0] in homes]

    def _note_attributes(self, file: SourceFile) -> None:
        """What objects hold that is given to `self.name` in a method."""
        look_up = functools.partial(self.names.at_top, self.names.of(file))
        for name, cls in classes_of(file.tree):
            held = self.names.attributes.setdefault(f"{file.module}.{name}", {})
            for node in ast.walk(cls):
                if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                    continue
                target = node.targets[0]
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    value = self.names.value(node.value, look_up)
                    held[target.attr] = value if target.attr not in held else None
