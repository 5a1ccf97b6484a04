"""A module is looked at once it is imported, however late, and never imported by that."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from outgrow.telemetry.outside.importing import after_import


@pytest.fixture(autouse=True)
def no_finder_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(tmp_path)


def test_a_module_that_is_there_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("there_already")
    monkeypatch.setitem(sys.modules, "there_already", module)
    seen: list[Any] = []
    after_import({"there_already": seen.append})
    assert seen == [module]


def test_a_module_that_comes_later_is_looked_at_then(tmp_path: Path) -> None:
    (tmp_path / "comes_later.py").write_text("value = 1")
    seen: list[Any] = []
    after_import({"comes_later": lambda module: seen.append(module.value)})
    assert "comes_later" not in sys.modules
    module = importlib.import_module("comes_later")
    assert seen == [1]
    assert module.__spec__ is not None
    assert "exec_module" not in vars(module.__spec__.loader)
    importlib.reload(module)
    assert seen == [1]


def test_a_module_within_a_package_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "package_later").mkdir()
    (tmp_path / "package_later" / "__init__.py").touch()
    (tmp_path / "package_later" / "part.py").write_text("value = 2")
    seen: list[Any] = []
    after_import({"package_later.part": lambda module: seen.append(module.value)})
    importlib.import_module("package_later.part")
    assert seen == [2]


def test_what_fails_for_one_module_fails_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "is_other.py").write_text("")
    after_import({"is_other": lambda module: module.not_there})
    importlib.import_module("is_other")
    assert "cannot see what is_other does" in caplog.text


def test_a_module_that_is_nowhere_is_missed_as_ever() -> None:
    after_import({"is_nowhere": print})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("is_nowhere")
