"""Which files of the app change, for `outgrow dev`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import watchfiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from outgrow.model import Settings

_SUFFIXES = {".py", ".toml", ".html", ".jinja", ".jinja2", ".j2", ".env", ".json", ".yaml", ".yml"}


def changed_files(settings: Settings) -> AsyncIterator[str]:
    """A file that changed, each time any of the app's folder does. Bursts count as one change."""
    return _paths(settings.app_dir, _AppFiles(ignore_paths=[Path(settings.folder).absolute()]))


async def _paths(folder: str, kept: watchfiles.DefaultFilter) -> AsyncIterator[str]:
    watched = cast(
        "AsyncIterator[set[tuple[object, str]]]",
        watchfiles.awatch(folder, watch_filter=kept),  # pyright: ignore[reportUnknownMemberType]
    )
    async for changes in watched:
        yield min(path for _, path in changes)


class _AppFiles(watchfiles.DefaultFilter):
    """Files that an app is made of, but for those of tools and of Outgrow itself."""

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        return Path(path).suffix in _SUFFIXES and super().__call__(change, path)
