"""Hooks are called with the worker's name, and what is wrong with them is said."""

from __future__ import annotations

import sys
import types

import pytest

from outgrow.errors import HookFailedError
from outgrow.host.worker import run_hook


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A module `shop_hooks` whose `note` notes the names it is called with."""
    called: list[str] = []
    module = types.ModuleType("shop_hooks")
    setattr(module, "note", called.append)  # noqa: B010
    monkeypatch.setitem(sys.modules, "shop_hooks", module)
    return called


def test_a_hook_is_called_with_the_name_of_the_worker(hooks: list[str]) -> None:
    run_hook("shop_hooks:note", "web/1")
    assert hooks == ["web/1"]


def test_no_hook_is_no_mistake() -> None:
    run_hook(None, "web/1")


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize(
    ("hook", "said"),
    [
        pytest.param("shop_hooks:none", "AttributeError", id="no such function"),
        pytest.param("shop_none:note", "ModuleNotFoundError", id="no such module"),
        pytest.param("shop_hooks", "AttributeError", id="no function named"),
        pytest.param("builtins:int", "ValueError", id="a function that raises"),
    ],
)
def test_a_hook_that_fails_is_said_with_why(hook: str, said: str) -> None:
    with pytest.raises(HookFailedError, match=f"`{hook}` raised {said}"):
        run_hook(hook, "web/1")
