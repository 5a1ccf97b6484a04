"""The functions of the code under review, with what every expression in them stands for."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from outgrow.host.review.code import FunctionNode
from outgrow.host.review.values import (
    CLIENT,
    USES,
    Bound,
    Client,
    Given,
    Named,
    Own,
    Value,
    sketch,
    thing_at,
)
from outgrow.model import is_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.host.review.code import SourceFile

Node = FunctionNode | ast.Lambda | ast.Module
Use = Literal["awaited", "dropped", "kept"]


@dataclass(frozen=True, eq=False)
class Call:
    """One call in a function.

    Attributes:
        node: In the syntax tree.
        called: What is called; None where nobody can say.
        use: What becomes of its result.
        positional: The arguments by position; None where nobody can say.
        keywords: The others by name.
    """

    node: ast.Call
    called: Value | None
    use: Use
    positional: tuple[Value | None, ...]
    keywords: Mapping[str, Value | None]

    @property
    def path(self) -> str:
        """The path of what is called; empty where it has none."""
        return self.called.path if isinstance(self.called, Named) else ""


@dataclass(frozen=True, eq=False)
class Function:
    """A function, a method or a lambda; for the code at the top of a module, the module.

    Attributes:
        file: Where it is written.
        path: Such as `shop.orders.Orders.place`.
        node: In the syntax tree.
        own: The service that it is a method of.
        is_plain: Whether calling it runs its code there and then: no decorator makes it otherwise.
        nodes: All below it, each with its parent, but not what is inside other functions.
        value: Says what an expression in it stands for.
        is_local: Says whether a name is bound in it or in a function around it.
        given: Its parameters that are annotated with services and may hold a client, by name.
    """

    file: SourceFile
    path: str
    node: Node
    own: type | None
    is_plain: bool
    nodes: tuple[tuple[ast.AST, ast.AST], ...]
    value: Callable[[ast.AST], Value | None]
    is_local: Callable[[str], bool]
    given: Mapping[str, Given]

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def`."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def name(self) -> str:
        """Such as `place`."""
        return self.path.rpartition(".")[2]

    @property
    def operation(self) -> Bound | None:
        """The operation that it is."""
        is_one = self.own is not None and self.name in sketch(self.own).operations
        return Bound(self.own, self.name) if self.own is not None and is_one else None

    @property
    def shown(self) -> str:
        """Such as `Orders.place`."""
        return self.path.removeprefix(self.file.module + ".").replace(".<locals>", "")

    @functools.cached_property
    def calls(self) -> tuple[Call, ...]:
        """The calls in it, in the order in which they are written."""
        found = [self._call(n, above) for n, above in self.nodes if isinstance(n, ast.Call)]
        return tuple(sorted(found, key=lambda one: (one.node.lineno, one.node.col_offset)))

    def _call(self, node: ast.Call, above: ast.AST) -> Call:
        use: Use = "dropped" if isinstance(above, ast.Expr) else "kept"
        return Call(
            node,
            self.value(node.func),
            "awaited" if isinstance(above, ast.Await) else use,
            tuple(self.value(each) for each in node.args),
            {each.arg: self.value(each.value) for each in node.keywords if each.arg},
        )

    @property
    def returned(self) -> tuple[ast.expr, ...]:
        """What it returns, or yields where it is a generator."""
        found = [n for n, _ in self.nodes if isinstance(n, ast.Yield)]
        found = found or [n for n, _ in self.nodes if isinstance(n, ast.Return)]
        return tuple(each.value for each in found if each.value is not None)

    @functools.cached_property
    def links(self) -> tuple[tuple[Bound, ast.AST], ...]:
        """The operations of others that it calls or hands on."""
        found: list[tuple[Bound, ast.AST]] = []
        for node, _ in self.nodes:
            value = self.value(node) if isinstance(node, ast.Attribute) else None
            if isinstance(value, Bound):
                found.append((value, node))
        return tuple(found)

    @functools.cached_property
    def enqueued(self) -> tuple[tuple[type, str, ast.AST], ...]:
        """The jobs that it names, of its own service or of others, to enqueue them."""
        found: list[tuple[type, str, ast.AST]] = []
        for node, _ in self.nodes:
            owner = self.value(node.value) if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Attribute) and isinstance(owner, Client | Own):
                is_service_of_ours = isinstance(owner, Client) or is_service(owner.cls)
                if is_service_of_ours and node.attr in sketch(owner.cls).work.jobs:
                    found.append((owner.cls, node.attr, node))
        return tuple(found)

    @functools.cached_property
    def asked(self) -> tuple[tuple[type, ast.AST], ...]:
        """The services whose clients it takes from elsewhere than its own fields."""
        found: list[tuple[type, ast.AST]] = []
        for node, _ in self.nodes:
            cls = self._asked_by(node)
            if cls is not None:
                found.append((cls, node))
        return tuple(found)

    def _asked_by(self, node: ast.AST) -> type | None:
        if isinstance(node, ast.Call):
            is_asking = getattr(self.value(node.func), "path", "") in CLIENT | USES
            argument = self.value(node.args[0]) if is_asking and node.args else None
            cls = thing_at(argument.path) if isinstance(argument, Named) else None
            return cls if is_service(cls) else None
        is_from_top = isinstance(node, ast.Name) and not self.is_local(node.id)
        is_of_module = isinstance(node, ast.Attribute) and isinstance(self.value(node.value), Named)
        value = self.value(node) if is_from_top or is_of_module else None
        return value.cls if isinstance(value, Client) else None
