"""Tests say a sentence, and wait for a condition, never for a time."""

from __future__ import annotations

import ast

from tests.tidy.source import functions_of, python_files, short, tree_of

TEST_FILES = [path for path in python_files("tests") if path.name.startswith("test_")]
WORDS_MIN = 3


def test_every_test_is_named_by_a_sentence() -> None:
    named = [(path, name.split(".")[-1]) for path in TEST_FILES for name in names_in(tree_of(path))]
    tests = [(path, name) for path, name in named if name.startswith("test_")]
    found = [f"{short(p)}: {name}" for p, name in tests if len(name.split("_")) <= WORDS_MIN]
    assert not found, "write what is true when the test passes:\n" + "\n".join(found)


def names_in(tree: ast.Module) -> list[str]:
    """The dotted names of all functions."""
    return [name for name, _ in functions_of(tree)]


def test_no_test_sleeps() -> None:
    found = [
        f"{short(path)}:{node.lineno}"
        for path in TEST_FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        if ast.unparse(node.func) in ("time.sleep", "asyncio.sleep", "sleep")
        if ast.unparse(node.args[0]) != "0"
    ]
    assert not found, "wait for a condition, with a bound:\n" + "\n".join(found)
