"""The fenced blocks of a page, with what the comment before each says about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(
    r"(?P<notes>(?:^[ ]*<!--.*?-->[ ]*\n(?:[ ]*\n)?)*)"
    r"^(?P<indent>[ ]*)(?P<fence>```+|~~~+)[ ]*(?P<language>[\w+-]*)[^\n]*\n"
    r"(?P<text>.*?)^[ ]*(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
NOTE = re.compile(r"<!--\s*(file|not run|exit):\s*(.+?)\s*-->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        language: The word after the fence; empty where there is none.
        text: What stands between the fences, less the fence's indentation.
        line: Where the text begins in its page; 1 is the first line.
        file: The file it is written to, or empty.
        not_run: Why it is only shown, or empty.
        exit_codes: Of which its commands must have one; several where it depends on the machine.
    """

    language: str
    text: str
    line: int
    file: str = ""
    not_run: str = ""
    exit_codes: tuple[int, ...] = (0,)

    def commands(self) -> list[str]:
        """The lines after `$ `, each with the lines that a backslash continues."""
        joined = self.text.replace("\\\n", " ")
        return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    whole = page.read_text()
    found: list[Block] = []
    for match in BLOCK.finditer(whole):
        notes = dict(NOTE.findall(match["notes"]))
        block = Block(
            language=match["language"].lower(),
            text=re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            line=whole.count("\n", 0, match.start("text")) + 1,
            file=notes.get("file", ""),
            not_run=notes.get("not run", ""),
            exit_codes=tuple(int(code) for code in notes.get("exit", "0").split(" or ")),
        )
        found.append(block)
    return found
