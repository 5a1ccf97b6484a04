"""Where the blocks of one page run: a folder, free ports, and what was left running."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.docs.blocks import Block

COMMAND_SECONDS = 60
START_SECONDS = 30.0
STOP_SECONDS = 20.0
SERVES = re.compile(r"^(?:python -m )?outgrow (?:run|dev)\b(?!.*--(?:explain|help))")
READY = re.compile(r"outgrow: serving ")  # behind half a line, where an app prints meanwhile
ASSIGNMENT = re.compile(r"\w+=")
PORT = re.compile(r"\b[89]\d{3}\b")


@dataclass
class Stage:
    """Runs the blocks of one page, one after the other.

    Attributes:
        page: The page, for messages.
        folder: Where files are written and commands run.
    """

    page: Path
    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__page__"})
    ports: dict[str, str] = field(default_factory=dict[str, str])
    running: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]])

    def play(self, block: Block) -> None:
        """Do with a block what its language and comments ask for."""
        text = self._with_free_ports(block.text)
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if block.language == "toml":
            self._read_settings(tomllib.loads(text), text)
        elif block.language == "json":
            json.loads(text)
        elif block.language == "python" and not block.file:
            code = "\n" * (block.line - 1) + text
            exec(compile(code, str(self.page), "exec"), self.names)
        elif block.language in ("console", "sh"):
            for command in block.commands():
                self._run(self._with_free_ports(command), block)

    def _with_free_ports(self, text: str) -> str:
        return PORT.sub(lambda match: self._free_port(match[0]), text)

    def _free_port(self, named: str) -> str:
        """The free port that stands for one that the page names."""
        if named not in self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[named] = str(probe.getsockname()[1])
        return self.ports[named]

    def _environment(self) -> dict[str, str]:
        here = str(Path(sys.executable).parent)
        return os.environ | {
            "NO_COLOR": "1",
            "OUTGROW_PORT": self._free_port("8000"),
            "PATH": here + os.pathsep + os.environ["PATH"],
        }

    def _run(self, command: str, block: Block) -> None:
        where = f"{self.page.name}:{block.line}: {command}"
        if SERVES.match(command) and 0 in block.exit_codes:
            self._serve(command, where)
            return
        words = command.split()
        program = next(word for word in words if not ASSIGNMENT.match(word))
        environment = self._environment()
        if not shutil.which(program, path=environment["PATH"]):
            pytest.skip(f"{where}: {program} is not installed")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode in block.exit_codes, f"{where}\n{done.stdout}{done.stderr}"

    def _serve(self, command: str, where: str) -> None:
        log = self.folder / f"serve-{len(self.running)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command.rstrip(' &')}"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self.running.append(process)
        end = time.monotonic() + START_SECONDS
        while not READY.search(text := log.read_text()):
            assert process.poll() is None, f"{where} ended\n{text}"
            assert time.monotonic() < end, f"{where} was not ready in time\n{text}"
            time.sleep(0.05)

    def _read_settings(self, document: dict[str, Any], text: str) -> None:
        """Settings in a block are such as `outgrow run` takes."""
        if "run" in document:
            name = "outgrow.toml"
        elif "run" in document.get("tool", {}).get("outgrow", {}):
            name = "pyproject.toml"
        else:
            return
        apart = self.folder / ".settings"
        apart.mkdir(exist_ok=True)
        (apart / name).write_text(text)
        command = [sys.executable, "-m", "outgrow", "run", "main:app", "--explain"]
        done = subprocess.run(command, cwd=apart, capture_output=True, check=False, text=True)
        shutil.rmtree(apart)
        assert done.returncode == 0, f"{self.page.name}: {done.stderr}"

    def clear(self) -> None:
        """Stop what was left running; it must end by itself when asked to."""
        for process in self.running:
            process.terminate()
        slow: list[int] = []
        for process in self.running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                slow.append(process.pid)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert not slow, f"{self.page.name}: did not stop when asked to"
