"""A fresh folder of migrations is Python that compiles, and is never written over another."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.store import write_migrations


def test_it_holds_what_alembic_needs(tmp_path: Path) -> None:
    write_migrations(tmp_path / "m", service="orders", tables="shop.orders:Base.metadata")
    found = {path.relative_to(tmp_path / "m").as_posix() for path in (tmp_path / "m").rglob("*.*")}
    assert {"env.py", "script.py.mako", "alembic.ini"} <= found
    env = (tmp_path / "m" / "env.py").read_text()
    assert "from shop.orders import Base" in env
    assert 'run_migrations(context, Base.metadata, service="orders")' in env
    compile(env, "env.py", "exec")


def test_without_names_it_is_of_the_service_whose_folder_it_is_in(tmp_path: Path) -> None:
    write_migrations(tmp_path / "orders" / "migrations")
    env = (tmp_path / "orders" / "migrations" / "env.py").read_text()
    assert 'run_migrations(context, None, service="orders")' in env


def test_migrations_that_are_there_stay(tmp_path: Path) -> None:
    write_migrations(tmp_path / "m", service="orders")
    with pytest.raises(FileExistsError):
        write_migrations(tmp_path / "m", service="mail")
    assert "orders" in (tmp_path / "m" / "env.py").read_text()
