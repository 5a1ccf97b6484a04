"""A fresh folder of migrations."""

from __future__ import annotations

from pathlib import Path

_ENV = '''"""How Alembic reaches the database: at start and on the command line in the same way."""

from alembic import context
from outgrow.store import run_migrations
{imported}
run_migrations(context, {tables}, service="{service}")
'''

_SCRIPT = '''"""${message}

Revision: ${up_revision}
After: ${down_revision | comma,n}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | tuple[str, ...] | None = ${repr(down_revision)}
branch_labels: str | tuple[str, ...] | None = ${repr(branch_labels)}
depends_on: str | tuple[str, ...] | None = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''

_INI = """# For `alembic -c` with this file; a service that starts does not read it.
[alembic]
script_location = %(here)s
prepend_sys_path = .
path_separator = os
"""


def write_migrations(folder: str | Path, *, service: str = "", tables: str = "") -> None:
    """Write a folder of migrations without any: env.py, script.py.mako, alembic.ini, versions.

    Args:
        folder: Which there may be, but not with an env.py in it.
        service: Whose database it is; the name of the folder around it where empty.
        tables: Import string of its tables, such as `shop.orders:Base.metadata`; without it
            `alembic revision --autogenerate` has nothing to compare.

    Raises:
        FileExistsError: There are migrations already.
    """
    folder = Path(folder)
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    module, _, name = tables.partition(":")
    imported = f"\nfrom {module} import {name.split('.')[0]}\n" if tables else ""
    env = _ENV.format(
        imported=imported, tables=name or None, service=service or folder.absolute().parent.name
    )
    for file, text in {"env.py": env, "script.py.mako": _SCRIPT, "alembic.ini": _INI}.items():
        with (folder / file).open("x") as new:
            new.write(text)
    (folder / "versions" / ".gitkeep").touch()
