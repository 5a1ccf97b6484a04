"""Names say what a thing is, and numbers their unit."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.tidy.source import ROOT, functions_of, python_files, short, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMPTY = (
    *("base", "common", "data", "handle", "helper", "helpers", "info", "magic", "manager"),
    *("managers", "misc", "simple", "seamless", "util", "utils"),
)
# Names that an interface which we implement imposes on us.
IMPOSED = {"data_received", "handle_exit", "handle_async_request", "handle_request"}

UNITS = "bytes|count|days|hertz|lines|ms|ns|percent|ratio|seconds|us"
HAS_UNIT = re.compile(rf"(^|_)({UNITS})(_|$)", re.IGNORECASE)
NEEDS_UNIT = re.compile(
    r"(^|_)(age|delay|duration|elapsed|interval|latency|memory|pause|period|size|timeout|ttl"
    r"|uptime|wait|waited)(_min|_max)?$",
    re.IGNORECASE,
)


def words_of(name: str) -> list[str]:
    """The words of a snake_case or CamelCase name."""
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)


def empty_names(path: Path) -> Iterator[str]:
    """The file, class and function names in a file that hold an empty word."""
    names = [(1, part) for part in path.relative_to(ROOT).with_suffix("").parts]
    tree = tree_of(path)
    names += [(node.lineno, node.name) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names += [(function.lineno, function.name) for _, function in functions_of(tree)]
    for line, name in names:
        if name not in IMPOSED and any(word.lower() in EMPTY for word in words_of(name)):
            yield f"{short(path)}:{line}: {name}"


def test_no_file_class_or_function_has_an_empty_name() -> None:
    paths = python_files("src", "tests", "benchmarks", "scripts")
    found = [line for path in paths for line in empty_names(path)]
    assert not found, "say what it is:\n" + "\n".join(found)


def numbers_without_unit(path: Path) -> Iterator[str]:
    """Fields and constants whose name is a duration or size and has no unit."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and is_number(n)]
            names = [n.target.id for n in fields if isinstance(n.target, ast.Name)]
        elif isinstance(node, ast.Assign) and is_literal_number(node.value):
            names = [n.id for n in node.targets if isinstance(n, ast.Name) and n.id.isupper()]
        else:
            continue
        for name in names:
            if NEEDS_UNIT.search(name) and not HAS_UNIT.search(name):
                yield f"{short(path)}:{node.lineno}: {name}"


def is_number(field: ast.AnnAssign) -> bool:
    """Whether a field holds an int or a float, perhaps or None."""
    return bool(re.search(r"\b(int|float)\b", ast.unparse(field.annotation)))


def is_literal_number(value: ast.expr) -> bool:
    """Whether a constant is a number, perhaps a product of some."""
    if isinstance(value, ast.BinOp):
        return is_literal_number(value.left) and is_literal_number(value.right)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def test_every_duration_and_size_says_its_unit() -> None:
    found = [line for path in python_files("src") for line in numbers_without_unit(path)]
    assert not found, "add _seconds, _ms, _bytes, ...:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        pytest.param("timeout", True, id="a timeout in nobody knows what"),
        pytest.param("buffer_size_max", True, id="a size with a bound, without a unit"),
        pytest.param("timeout_seconds", False, id="a timeout in seconds"),
        pytest.param("wait_seconds_max", False, id="a bound after the unit"),
        pytest.param("message", False, id="a word that only ends like age"),
    ],
)
def test_the_unit_rule_tells_names_apart(name: str, needs: bool) -> None:
    assert (bool(NEEDS_UNIT.search(name)) and not HAS_UNIT.search(name)) is needs
