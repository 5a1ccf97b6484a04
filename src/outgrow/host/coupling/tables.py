"""Which tables a code base names and where: in SQL, and by models of SQLAlchemy and Django.

What is not understood names no table, rather than a wrong one.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.host.coupling.modules import walk
from outgrow.telemetry import statement_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from outgrow.host.coupling.imports import Import
    from outgrow.host.coupling.modules import Module

# In capitals anywhere; in small letters only where it is handed to something that runs it.
_SQL = re.compile(
    r"\s*(SELECT\s.*\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|REPLACE\s+INTO\s|DELETE\s+FROM\s"
    r"|UPDATE\s+\S+\s+SET\s|WITH\s+.*\sAS\s*\(|CREATE\s+TABLE\s)",
    re.DOTALL,
)
_RUNS_SQL = re.compile(
    r"(execute\w*|text|raw|fetch\w*|scalars?|query\w*|read_sql\w*|prepare|select|SQL)"
)
_SQL_CHARACTERS_MAX = 20_000
_CREATES = {"bulk_create", "create", "get_or_create", "update_or_create"}
_CHANGES = {"bulk_update", "delete", "insert", "update"} | _CREATES
_READS = {
    *("aliased", "exists", "get", "get_list_or_404", "get_object_or_404", "join", "outerjoin"),
    *("query", "select", "select_from"),
}
_REFERS = {"ForeignKey", "ManyToManyField", "OneToOneField"}
_DJANGO = ("django.db", "django.db.models", "django.contrib.gis.db", "django.contrib.gis.db.models")


@dataclass(frozen=True, kw_only=True)
class TableUse:
    """One line that names a table.

    Attributes:
        declares: It says what the table is.
    """

    table: str
    module: str
    line: int
    writes: bool
    declares: bool = False


@dataclass(frozen=True)
class _Model:
    table: str
    module: str
    name: str


def table_uses(modules: Mapping[str, Module], imports: Iterable[Import]) -> list[TableUse]:
    """All lines that name a table."""
    taken: dict[str, dict[str, tuple[str, str]]] = {}
    for one in imports:
        taken.setdefault(one.importer, {})[one.local] = (one.imported, one.name)
    models = {(one.module, one.name): one for one in _models(modules, taken)}
    found: list[TableUse] = []
    for module in modules.values():
        reader = _Reader(module, taken.get(module.name, {}), models)
        found += reader.uses()
    return found


def _models(
    modules: Mapping[str, Module], taken: Mapping[str, Mapping[str, tuple[str, str]]]
) -> Iterator[_Model]:
    """The models, those that inherit from one of the same code base as well."""
    classes = {
        (module.name, node.name): node
        for module in modules.values()
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
    }
    django = {key for key, node in classes.items() if _is_django(node, modules[key[0]].tree)}
    while True:
        heirs = {
            (module, name)
            for (module, name), node in classes.items()
            if (module, name) not in django
            and any(_named(base, module, taken) in django for base in node.bases)
        }
        if not heirs:
            break
        django |= heirs
    for (module, name), node in classes.items():
        table = _own_table(node)
        if not table and (module, name) in django:
            table = _django_table(node, module)
        if table:
            yield _Model(table, module, name)
    for module in modules.values():
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                table = _core_table(node.value)
                if table:
                    yield _Model(table, module.name, node.targets[0].id)


def _named(
    node: ast.expr, module: str, taken: Mapping[str, Mapping[str, tuple[str, str]]]
) -> tuple[str, str]:
    """Where a name was made, such as that of a base."""
    local = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    owner, _, name = local.rpartition(".")
    of_module = taken.get(module, {})
    if owner in of_module and not of_module[owner][1]:
        return of_module[owner][0], name
    return of_module.get(local, (module, local))


def _is_django(node: ast.ClassDef, tree: ast.Module) -> bool:
    bases = {ast.unparse(base) for base in node.bases}
    if not bases & {"models.Model", "Model", "AbstractUser", "AbstractBaseUser"}:
        return False
    return any(
        isinstance(each, ast.ImportFrom) and (each.module or "").startswith("django.")
        for each in tree.body
    )


def _own_table(node: ast.ClassDef) -> str:
    """The table that SQLAlchemy is told by name; that of SQLModel is the name of the class."""
    for each in node.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__tablename__":
            value = each.value
            return str(value.value).lower() if isinstance(value, ast.Constant) else ""
    is_table = any(
        each.arg == "table" and isinstance(each.value, ast.Constant) and each.value.value is True
        for each in node.keywords
    )
    return node.name.lower() if is_table else ""


def _django_table(node: ast.ClassDef, module: str) -> str:
    settings = {
        ast.unparse(line.targets[0]): line.value
        for each in node.body
        if isinstance(each, ast.ClassDef) and each.name == "Meta"
        for line in each.body
        if isinstance(line, ast.Assign)
    }
    if any(_is_true(settings.get(name)) for name in ("abstract", "proxy")):
        return ""
    named = settings.get("db_table")
    if isinstance(named, ast.Constant):
        return str(named.value).lower()
    steps = module.split(".")
    label = steps[steps.index("models") - 1] if "models" in steps[1:] else steps[-2:][0]
    return f"{label}_{node.name}".lower()


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _core_table(node: ast.expr) -> str:
    """The name in `Table("orders", metadata, Column(...))`."""
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return ""
    first = node.args[0]
    if ast.unparse(node.func) not in ("Table", "sa.Table", "sqlalchemy.Table", "db.Table"):
        return ""
    return (
        first.value.lower()
        if isinstance(first, ast.Constant) and isinstance(first.value, str)
        else ""
    )


class _Reader:
    """Reads one module."""

    def __init__(
        self,
        module: Module,
        taken: Mapping[str, tuple[str, str]],
        models: Mapping[tuple[str, str], _Model],
    ) -> None:
        self._module = module
        self._taken = taken
        self._models = models
        self._labels = {one.table.replace("_", ".", 1): one.table for one in models.values()}
        self._tables = {one.table for one in models.values()}

    def uses(self) -> Iterator[TableUse]:
        name = self._module.name
        for node in self._module.tree.body:
            local = node.name if isinstance(node, ast.ClassDef) else ""
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                local = node.targets[0].id
            model = self._models.get((name, local))
            if model is not None:
                yield self._use(model.table, node, writes=True, declares=True)
        run: set[int] = set()
        for node, _ in walk(self._module.tree):
            if isinstance(node, ast.Call):
                yield from self._called(node)
                called = _last(node.func)
                if _RUNS_SQL.fullmatch(called):
                    run.update(id(each) for each in node.args)
            if isinstance(node, ast.Constant | ast.JoinedStr):
                yield from self._said(node, is_run=id(node) in run)

    def _use(
        self, table: str, node: ast.stmt | ast.expr, *, writes: bool, declares: bool = False
    ) -> TableUse:
        module = self._module.name
        return TableUse(
            table=table, module=module, line=node.lineno, writes=writes, declares=declares
        )

    def _called(self, node: ast.Call) -> Iterator[TableUse]:
        called = _last(node.func)
        model = self._model(node.func)
        if model is not None:  # `Item(...)` makes a row, whoever adds it to a session
            yield self._use(model.table, node, writes=True)
        else:
            model = self._model_within(node.func)
            if model is not None:
                yield self._use(model.table, node, writes=called in _CHANGES)
        for each in node.args if called in _CHANGES | _READS | _REFERS else ():
            model = self._model_within(each)
            if model is not None:
                yield self._use(model.table, node, writes=called in _CHANGES)
        if called in _REFERS and node.args and isinstance(node.args[0], ast.Constant):
            said = str(node.args[0].value).lower()
            table = self._labels.get(said) or said.rpartition(".")[0]
            if table in self._tables:
                yield self._use(table, node, writes=False)

    def _model(self, node: ast.expr) -> _Model | None:
        """The model that an expression is, by the name that it has here."""
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        key = _named(node, self._module.name, {self._module.name: self._taken})
        return self._models.get(key)

    def _model_within(self, node: ast.expr) -> _Model | None:
        """The model that a chain begins with, such as `Item.objects.filter(...).update`."""
        model = self._model(node)
        while model is None and isinstance(node, ast.Attribute | ast.Call):
            node = node.value if isinstance(node, ast.Attribute) else node.func
            model = self._model(node)
        return model

    def _said(self, node: ast.Constant | ast.JoinedStr, *, is_run: bool) -> Iterator[TableUse]:
        text = _text_of(node)
        if not text or len(text) > _SQL_CHARACTERS_MAX:
            return
        if not _SQL.match(text) and not (is_run and _SQL.match(text.upper())):
            return
        statement = statement_of(text)
        is_made = statement.text.upper().startswith("CREATE TABLE")
        for tables, writes in ((statement.reads, False), (statement.writes, True)):
            for table in tables:
                if _HOLE not in table:
                    yield self._use(table.lower(), node, writes=writes, declares=is_made)


_HOLE = "_put_in_"


def _text_of(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(
        str(each.value) if isinstance(each, ast.Constant) else _HOLE for each in node.values
    )


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


Users = dict[str, list[TableUse]]
"""Lines that name one table, by part."""


def users_of(uses: Iterable[TableUse], parts: Mapping[str, str]) -> dict[str, Users]:
    """The lines that name each table, by the part that they are in.

    Where a table is declared by a part, only parts count that declare tables of their own: others
    are layers above those, such as views, forms and commands, and own no rows.
    """
    found: dict[str, Users] = {}
    owners: set[str] = set()
    for one in uses:
        part = parts.get(one.module)
        if part:
            found.setdefault(one.table, {}).setdefault(part, []).append(one)
            owners |= {part} if one.declares else set()
    for table, by_part in found.items():
        if any(one.declares for several in by_part.values() for one in several):
            found[table] = {part: several for part, several in by_part.items() if part in owners}
    return found


def writers_of(by_part: Mapping[str, Collection[TableUse]]) -> list[str]:
    """The parts that change a table, those last that declare it."""
    writers = [part for part, uses in by_part.items() if any(one.writes for one in uses)]
    declared = {part for part, uses in by_part.items() if any(one.declares for one in uses)}
    return sorted(writers, key=lambda part: (part in declared, part))
