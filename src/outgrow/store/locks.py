"""Who holds the write lock of an SQLite file, as the kernel says."""

from __future__ import annotations

from pathlib import Path

# SQLite's WAL_WRITE_LOCK: the byte of the -shm file that a writer has locked.
_WRITE_LOCK_BYTE = 120


def writer_of(path: str) -> int | None:
    """The process that writes to this file; None where that cannot be told."""
    # Never by opening the -shm file: closing it again would drop our own locks on it.
    try:
        inode = Path(f"{path}-shm").stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        # `1: POSIX  ADVISORY  WRITE 4711 fe:01:7711 120 120`; with `->` after the number it waits.
        _, kind, _, mode, process, file, first, last = [*line.split(), ""][:8]
        if (kind, mode, file.rpartition(":")[2]) != ("POSIX", "WRITE", str(inode)):
            continue
        if int(first) <= _WRITE_LOCK_BYTE and (last == "EOF" or int(last) >= _WRITE_LOCK_BYTE):
            return int(process) or None  # 0: of another container
    return None
