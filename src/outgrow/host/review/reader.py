"""Reads the functions of one file: which names they bind, and to what."""

from __future__ import annotations

import ast
import functools
from collections import ChainMap
from typing import TYPE_CHECKING

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.functions import Function, Node
from outgrow.host.review.tree import Within, bindings, inner_of, own_nodes
from outgrow.host.review.values import (
    CLIENT,
    USES,
    Client,
    Env,
    Given,
    LookUp,
    Named,
    Own,
    Value,
    thing_at,
)
from outgrow.model import is_service

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from outgrow.host.review.code import SourceFile
    from outgrow.host.review.given import Parameter
    from outgrow.host.review.names import Names

Scope = ChainMap[str, Value | None]

_HARMLESS = {
    *("builtins.staticmethod", "builtins.classmethod", "functools.cache", "functools.lru_cache"),
    *("functools.lru_cache()", "typing.override", "typing_extensions.override"),
}


class Reader:
    """Reads one file.

    Args:
        file: The file.
        names: Of all modules.
        service_of: Says which service has the methods of the class at a path.
        clients: Parameters that are known to hold a client.

    Attributes:
        functions: By path; the code at the top is by the module's own.
        used: The services that it asks for by `uses`, whose clients frameworks then pass.
    """

    def __init__(
        self,
        file: SourceFile,
        names: Names,
        service_of: Callable[[str], type | None],
        clients: Collection[Parameter] = (),
    ) -> None:
        self.functions: dict[str, Function] = {}
        self._file = file
        self._names = names
        self._service_of = service_of
        self._clients = clients
        self._at_top = names.of(file)
        self.used = self._used_services()
        self._enter(file.tree, file.module, Scope(), None)

    def _look_up(self, scope: Scope, name: str) -> Value | None:
        return scope[name] if name in scope else self._names.at_top(self._at_top, name)

    def _used_services(self) -> frozenset[type]:
        look_up = functools.partial(self._look_up, Scope())
        calls = [node for node in ast.walk(self._file.tree) if isinstance(node, ast.Call)]
        found = [self._names.asked_service(node, look_up, by=USES) for node in calls]
        return frozenset(cls for cls in found if cls is not None)

    def _enter(self, node: Node, path: str, around: Scope, own: type | None) -> None:
        """Read a function and those in it.

        Args:
            node: The function.
            path: Of it.
            around: Names of the functions around it.
            own: The service that it is a method of.
        """
        scope, inside = around, path
        given: dict[str, Given] = {}
        nodes = tuple(own_nodes(node))
        if not isinstance(node, ast.Module):
            scope, inside = around.new_child(), f"{path}.<locals>"
            given = self._bind(node, path, scope, own)
        value = functools.partial(
            self._names.value, look_up=functools.partial(self._look_up, scope)
        )
        is_plain = self._is_plain(node, value)
        is_local = scope.__contains__
        function = Function(self._file, path, node, own, is_plain, nodes, value, is_local, given)
        # A name may be written twice: once for each branch, or for a property and its setter.
        key = f"{path}#{len(self.functions)}" if path in self.functions else path
        self.functions[key] = function
        for each in inner_of(node):
            self._enter_below(each, inside, scope, own)

    def _enter_below(self, node: Within, path: str, scope: Scope, own: type | None) -> None:
        if isinstance(node, ast.ClassDef):
            here = f"{path}.{node.name}"
            service = self._service_of(here)
            for each in inner_of(node):
                self._enter_below(each, here, scope, service)
        elif isinstance(node, ast.Lambda):
            self._enter(node, f"{path}.<lambda {node.lineno}:{node.col_offset}>", scope, own)
        else:
            self._enter(node, f"{path}.{node.name}", scope, own)

    def _bind(
        self,
        node: FunctionNode | ast.Lambda,
        path: str,
        scope: Scope,
        own: type | None,
    ) -> dict[str, Given]:
        """Note what the names of a function stand for; gives the parameters that may be clients."""
        look_up = functools.partial(self._look_up, scope)
        kept = self._parameters(node, path, look_up)
        maybe = {name: value for name, value in kept.items() if isinstance(value, Given)}
        holder = path.rpartition(".")[0]
        if holder != self._file.module and not holder.endswith("<locals>"):
            kept |= _first_parameter(node, Own(own) if own else Named(f"{holder}()"))
        for each in inner_of(node):
            if isinstance(each, FunctionNode | ast.ClassDef):
                kept[each.name] = Named(f"{path}.<locals>.{each.name}")
        scope.update(kept)
        for _ in range(2):  # a name may be given what another holds that is given further down
            found, given = dict(kept), set(kept)
            for name, expression in bindings(node, self._file.module):
                is_path = isinstance(expression, Named | None)
                new = expression if is_path else self._names.value(expression, look_up)
                found[name] = new if name not in given or found[name] == new else None
                given.add(name)
            scope.update(found)
        return maybe

    def _parameters(self, node: FunctionNode | ast.Lambda, path: str, look_up: LookUp) -> Env:
        every = node.args
        positional = [*every.posonlyargs, *every.args]
        others = [each for each in (every.vararg, every.kwarg) if each is not None]
        found: Env = dict.fromkeys([each.arg for each in others])
        for each in (*positional, *every.kwonlyargs):
            found[each.arg] = self._parameter(each, path, look_up)
        defaults = [
            *zip(positional[::-1], every.defaults[::-1], strict=False),
            *zip(every.kwonlyargs, every.kw_defaults, strict=True),
        ]
        for each, default in defaults:
            client = self._asked_in(default, look_up) if default is not None else None
            found[each.arg] = client or found[each.arg]
        return found

    def _parameter(self, each: ast.arg, path: str, look_up: LookUp) -> Value | None:
        found = self._names.annotated(each.annotation, look_up)
        cls = thing_at(found.path.removesuffix("()")) if isinstance(found, Named) else None
        if not isinstance(found, Named) or not isinstance(cls, type) or not is_service(cls):
            return found
        if (path, each.arg) in self._clients:
            return Client(cls)
        return Given(found.path, cls, path, each.arg)

    def _asked_in(self, default: ast.expr, look_up: LookUp) -> Value | None:
        """The client that a default such as `Depends(uses(Orders))` stands for."""
        for node in ast.walk(default):
            cls = None
            if isinstance(node, ast.Call):
                cls = self._names.asked_service(node, look_up, by=USES | CLIENT)
            if cls is not None:
                return Client(cls)
        return None

    def _is_plain(self, node: Node, value: Callable[[ast.AST], Value | None]) -> bool:
        if not isinstance(node, FunctionNode):
            return isinstance(node, ast.Lambda)
        found = [value(each) for each in node.decorator_list]
        return all(isinstance(each, Named) and each.path in _HARMLESS for each in found)


def _first_parameter(node: FunctionNode | ast.Lambda, value: Value) -> Env:
    """What `self` stands for in a method."""
    first = [*node.args.posonlyargs, *node.args.args][:1]
    is_method = isinstance(node, FunctionNode) and not _is_static(node)
    return {each.arg: value for each in first if is_method}


def _is_static(node: FunctionNode) -> bool:
    return any(ast.unparse(each) in ("staticmethod", "classmethod") for each in node.decorator_list)
