"""Puts together what is coupled in a code base: by imports, by changes, by tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.host.coupling.history import History, by_parts, history_of, together
from outgrow.host.coupling.imports import Graph, Import, Names, graph_of, shortest_circle
from outgrow.host.coupling.modules import modules_in, parts_of
from outgrow.host.coupling.tables import TableUse, table_uses, users_of, writers_of
from outgrow.host.coupling.ways import (
    COMMITS_MIN,
    SHARERS_MIN,
    WRITERS_MIN,
    Shared,
    reached,
    shared_of,
)
from outgrow.host.review.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from outgrow.host.coupling.modules import Module

NAMES_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """What was found in one code base.

    Attributes:
        findings: Tight couplings first, then circles that are the easiest to cut, then files that
            change together most often, then tables.
        file_count: Files that were read.
        part_count: Parts that they make up.
        commit_count: Commits that were read and touch at least one of the files.
        since: The day of the oldest of them; empty where there is none.
        missing: What could not be looked at, each as a text.
    """

    findings: tuple[Finding, ...]
    file_count: int
    part_count: int
    commit_count: int
    since: str
    missing: tuple[str, ...]


def coupling_of(folder: Path) -> Coupling:
    """Look at a code base; nothing of it is imported or run."""
    folder = folder.resolve()
    modules, unread = modules_in(folder)
    parts = parts_of(modules)
    history = history_of(folder, {one.path: one.name for one in modules.values()})
    names = Names(modules)
    imports = [each for one in modules.values() for each in names.imports_in(one)]
    looking = _Looking(modules, parts, graph_of(imports, parts), history)
    tables = users_of(table_uses(modules, imports), parts)
    is_known = isinstance(history, History)
    return Coupling(
        findings=(*looking.circles(), *looking.changes(), *looking.tables(tables)),
        file_count=len(modules),
        part_count=len(set(parts.values())),
        commit_count=len(history.commits) if is_known else 0,
        since=history.since if is_known else "",
        missing=tuple(_missing(unread, history)),
    )


def _missing(unread: Sequence[str], history: History | str) -> Iterator[str]:
    if isinstance(history, str):
        yield f"what changes together: {history}"
    elif len(history.commits) < COMMITS_MIN:
        yield f"what changes together: {len(history.commits)} commits say too little"
    yield from (f"{path}: cannot be read as Python" for path in unread)


class _Looking:
    def __init__(
        self,
        modules: Mapping[str, Module],
        parts: Mapping[str, str],
        graph: Graph,
        history: History | str,
    ) -> None:
        self._modules = modules
        self._parts = parts
        self._graph = graph
        commits = history.commits if isinstance(history, History) else ()
        self._commits = by_parts(commits, parts)
        self._pairs = together(commits, parts)

    def circles(self) -> list[Finding]:
        """Parts that import one another, those first that are coupled by changes as well."""
        found: dict[tuple[str, str], tuple[tuple[bool, int, str], Finding]] = {}
        reach = {part: reached(self._graph, part) for part in self._graph}
        for part in sorted(self._graph):
            tangle = {one for one in reach[part] if part in reach.get(one, ())}
            mutual = [one for one in sorted(self._graph[part]) if part in self._graph.get(one, ())]
            circles = [[part, other] for other in mutual if part < other]
            if tangle and not mutual:
                circles.append(shortest_circle(self._graph, part))
            for circle in circles:
                step = self._weakest(circle)
                if step not in found:  # one cut may open several
                    found[step] = self._circle(circle, step, len(tangle))
        return [each for _, each in sorted(found.values(), key=lambda one: one[0])]

    def _weakest(self, circle: list[str]) -> tuple[str, str]:
        """The step of a circle that the fewest imports make, best such as run late already."""

        def strength(step: tuple[str, str]) -> tuple[int, bool, tuple[str, str]]:
            imports = self._graph[step[0]][step[1]]
            return len(imports), not all(one.is_late for one in imports), step

        return min(zip(circle, [*circle[1:], circle[0]], strict=True), key=strength)

    def _circle(
        self, circle: list[str], step: tuple[str, str], tangled: int
    ) -> tuple[tuple[bool, int, str], Finding]:
        source, target = step
        cut = sorted(self._graph[source][target], key=lambda one: (one.is_late, one.importer))
        shared = self._shared(circle[0], circle[1])
        is_tight = len(circle) == 2 and shared.is_coupled
        if len(circle) == 2:
            text = f"`{circle[0]}` and `{circle[1]}` import each other"
        else:
            text = f"a circle of imports: {' -> '.join(f'`{one}`' for one in [*circle, circle[0]])}"
        if is_tight:
            text += f", and {_commits(shared)} touch both"
        count = len(cut)
        times = "only here" if count == 1 else f"in {count} places, the fewest"
        late = ", inside functions" if all(one.is_late for one in cut) else ""
        text += f"; `{source}` takes {_taken(cut)} {times}{late}"
        if tangled > len(circle):
            text += f"; {tangled} parts hang together by circles"
        hint = (
            f"Cut it there: have `{target}` hand it to `{source}`, or move it to where `{target}` "
            "is not needed"
        )
        code = "tight coupling" if is_tight else "import circle"
        finding = self._at(cut[0].importer, cut[0].line, code, text, hint)
        return (not is_tight, count, text), finding

    def _shared(self, one: str, other: str) -> Shared:
        return shared_of(one, other, self._commits)

    def _at(self, module: str, line: int, code: str, text: str, hint: str) -> Finding:
        return Finding(self._modules[module].shown, line, code, text, hint)

    def changes(self) -> list[Finding]:
        """Pairs of parts of which files change together."""
        by_pair: dict[tuple[str, str], list[tuple[Shared, str, str]]] = {}
        for (rarer, other), shared in self._pairs.items():
            pair = self._parts[rarer], self._parts[other]
            by_pair.setdefault((min(pair), max(pair)), []).append((shared, rarer, other))
        ranked: list[tuple[tuple[int, str], Finding]] = []
        for (one, other), files in by_pair.items():
            files.sort(key=lambda each: (-each[0].both, -each[0].ratio, each[1:]))
            shared, rarer, changed = files[0]
            direct = other in self._graph.get(one, ()), one in self._graph.get(other, ())
            text = (
                f"it changed with {self._modules[changed].shown} in {shared.both} of its "
                f"{shared.rarer} commits ({shared.ratio:.0%})"
            )
            if len(files) > 1:
                text += f", and so did {len(files) - 1} more of `{one}` and `{other}`"
            if not any(direct):
                text += "; neither part imports the other"
            hint = "Have what changes together in one part" + (
                ", or what both rely on behind one function of a third"
                if not any(direct)
                else ", or behind fewer names, so that one can change alone"
            )
            finding = self._at(rarer, 1, "change coupling", text, hint)
            ranked.append(((-shared.both, finding.file), finding))
        return [each for _, each in sorted(ranked, key=lambda one: one[0])]

    def tables(self, tables: Mapping[str, Mapping[str, Sequence[TableUse]]]) -> list[Finding]:
        """Tables that several parts write, or many use."""
        ranked: list[tuple[tuple[bool, int, str], Finding]] = []
        for table, by_part in tables.items():
            writers = writers_of(by_part)
            if len(writers) >= WRITERS_MIN:
                text = f"table `{table}` is written by {_named(writers)}"
                hint = f"Have one part own `{table}`, and the others ask it"
                first = next(one for one in by_part[writers[0]] if one.writes)
            elif len(by_part) >= SHARERS_MIN:
                text = f"table `{table}` is used by {_named(sorted(by_part))}"
                hint = f"Have the part that owns `{table}` answer what the others ask of it"
                first = next(iter(by_part.values()))[0]
            else:
                continue
            others = [part for part in sorted(by_part) if part not in writers]
            if others and len(writers) >= WRITERS_MIN:
                text += f", and read by {_named(others)}"
            finding = self._at(first.module, first.line, "shared table", text, hint)
            ranked.append(((len(writers) < WRITERS_MIN, -len(by_part), table), finding))
        return [each for _, each in sorted(ranked, key=lambda one: one[0])]


def _commits(shared: Shared) -> str:
    return f"{shared.both} of {shared.rarer} commits ({shared.ratio:.0%})"


def _taken(imports: Sequence[Import]) -> str:
    """The names that some imports take, in full."""
    return _named(sorted({".".join(filter(None, (one.imported, one.name))) for one in imports}))


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more"
