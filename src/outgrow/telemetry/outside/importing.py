"""Something done to a module once it is imported, now or ever; none is imported by it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.abc import MetaPathFinder
    from importlib.machinery import ModuleSpec

_logger = logging.getLogger("outgrow.telemetry")
_waiting: dict[str, Callable[[Any], None]] = {}


def after_import(watches: Mapping[str, Callable[[Any], None]]) -> None:
    """Call each of these with the module of its name: now where it is imported, else once it is.

    What one of them raises is logged: a library that is not as we know it goes unseen, no more.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, cast("MetaPathFinder", _Finder()))
    for name, watch in watches.items():
        module = sys.modules.get(name)
        if module is None or _is_being_imported(module):
            _waiting[name] = watch
        else:
            _watch(name, watch, module)


def _is_being_imported(module: Any) -> bool:
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


def _watch(name: str, watch: Callable[[Any], None], module: Any) -> None:
    try:
        watch(module)
    except Exception:
        _logger.warning("cannot see what %s does; all else goes on", name, exc_info=True)


class _Finder:
    """Finds no module by itself, but stands by when one of those that are waited for is found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> ModuleSpec | None:
        watch = _waiting.pop(fullname, None)
        if watch is None:
            return None
        for finder in sys.meta_path:
            if finder is cast("MetaPathFinder", self):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                _then(spec, fullname, watch)
                return spec
        _waiting[fullname] = watch  # it is not there, and may be later
        return None


def _then(spec: ModuleSpec, name: str, watch: Callable[[Any], None]) -> None:
    loader: Any = spec.loader
    if loader is None:
        return
    execute = loader.exec_module

    def execute_and_watch(module: Any) -> None:
        del loader.exec_module  # of this one alone: what its class has is back
        execute(module)
        _watch(name, watch, module)

    try:
        loader.exec_module = execute_and_watch
    except AttributeError:  # a loader that is a class, or has no place for it
        _waiting[name] = watch
