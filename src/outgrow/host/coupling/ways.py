"""By which measure parts are coupled: one set of formulas, for code that runs and for source alone.

Source:
    Thresholds of change coupling: those of code-maat (A. Tornhill, Your Code as a Crime Scene,
    Pragmatic Bookshelf 2015): 5 shared revisions, 30 %, changes of at most 30 files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

COMMITS_MIN = 5
SHARED_RATIO_MIN = 0.30
FILES_MAX = 30
"""A commit of more files is a mass change, and tells nothing of what belongs together."""
CHANCE_TIMES_MIN = 2.0
"""Files that change all the time share commits with others by chance: not less often than this."""
WRITERS_MIN = 2
"""So many that write one table."""
SHARERS_MIN = 4
"""So many that use one table, or a tenth of one database each."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """How often two things change in one commit.

    Attributes:
        both: Commits that touch both.
        rarer: Commits that touch the one that changes less often.
    """

    both: int
    rarer: int

    @property
    def ratio(self) -> float:
        """Of the commits of the rarer one, those that touch both."""
        return self.both / self.rarer if self.rarer else 0.0

    @property
    def is_coupled(self) -> bool:
        """Whether that is often enough."""
        return self.both >= COMMITS_MIN and self.ratio >= SHARED_RATIO_MIN


def shared_of(one: str, other: str, commits: Iterable[Collection[str]]) -> Shared:
    """How often two things were changed together; commits of more than 30 files are left out."""
    of_one = of_other = both = 0
    for commit in commits:
        in_one, in_other = one in commit, other in commit
        of_one, of_other, both = of_one + in_one, of_other + in_other, both + (in_one and in_other)
    return Shared(both=both, rarer=min(of_one, of_other))


def reached(imports: Mapping[str, Collection[str]], start: str) -> set[str]:
    """What something imports, and what that does, and so on; itself where it is in a circle."""
    known: set[str] = set()
    ahead = [start]
    while ahead:
        for name in imports.get(ahead.pop(), ()):
            if name not in known:
                known.add(name)
                ahead.append(name)
    return known
