"""Files and functions stay small; what does not is recorded, and the record may only fall."""

from __future__ import annotations

import ast

from tests.tidy.source import (
    CODE_FOLDERS,
    Function,
    functions_of,
    python_files,
    ratchet,
    short,
    tree_of,
)

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60


def test_no_file_is_longer_than_the_cap_or_its_record() -> None:
    lengths = {short(p): len(p.read_text().splitlines()) for p in python_files(*CODE_FOLDERS)}
    over = {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert_ratchet(over, ratchet()["file_lines"], "file_lines")


def test_no_function_is_longer_than_the_cap_or_its_record() -> None:
    over: dict[str, int] = {}
    for path in python_files(*CODE_FOLDERS):
        for name, function in functions_of(tree_of(path)):
            if (lines := lines_without_docstring(function)) > FUNCTION_LINES_MAX:
                over[f"{short(path)}::{name}"] = lines
    assert_ratchet(over, ratchet()["function_lines"], "function_lines")


def lines_without_docstring(function: Function) -> int:
    """Lines from `def` to the end, less the docstring's own."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def assert_ratchet(over: dict[str, int], recorded: dict[str, int], key: str) -> None:
    """Every excess is recorded, and no record is higher than what is there."""
    too_long = {name: lines for name, lines in over.items() if lines > recorded.get(name, 0)}
    assert not too_long, f"split these, lines: {too_long}"
    better = {name: over.get(name) for name, lines in recorded.items() if over.get(name) != lines}
    assert not better, f"lower or remove under {key} in tests/tidy/ratchet.json: {better}"
