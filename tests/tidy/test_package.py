"""What people install is whole, and says the same everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import outgrow
from tests.tidy.source import PACKAGE, ROOT, project_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built here and now by the installed backend, without a network."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    code = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    # The backend looks for its program on the path, where an environment may be not activated.
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": found},
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if not name.endswith("/")}
    packed = {name for name in held if not name.startswith("outgrow-")}
    files = [path for path in project_files() if path.is_relative_to(PACKAGE)]
    assert packed == {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    assert "outgrow/py.typed" in packed
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_wheel_offers_the_command(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "outgrow = outgrow.cli:main" in wheel.read(name).decode().replace(
        "outgrow=", "outgrow ="
    )


def test_the_version_is_the_same_everywhere() -> None:
    assert outgrow.__version__ == PROJECT["project"]["version"]


def test_every_dependency_is_pinned_for_development() -> None:
    pinned = {normal(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    groups = [*PROJECT["dependency-groups"].values(), PROJECT["project"]["dependencies"]]
    groups += PROJECT["project"]["optional-dependencies"].values()
    wanted = [one for group in groups for one in group if isinstance(one, str)]
    assert {normal(one) for one in wanted} - {"outgrow"} <= pinned


def normal(requirement: str) -> str:
    """The package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def test_pins_name_versions_and_no_place() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    odd = [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+(; [\w =<>\"'.]+)?", line)]
    assert not odd


def test_the_changelog_has_a_section_for_what_is_not_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.search(r"^## \[?Unreleased\]?$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, "CHANGELOG.md needs `## [Unreleased]`"
    assert re.search(r"^- ", found.group(1), re.MULTILINE), "say what changed for users"
