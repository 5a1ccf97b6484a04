"""The other end of the control socket: how the verbs speak to a running supervisor."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.errors import NotRunningError, RefusedError, error_from
from outgrow.placement.changes import nothing_asked_for
from outgrow.placement.folder import SOCKET_NAME, short_path
from outgrow.placement.seat import API_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.placement.changes import Wish

ANSWER_SECONDS = 10.0


class ControlClient:
    """Speaks to the supervisor that runs in a folder.

    Args:
        folder: The supervisor's folder, such as `.outgrow`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def status(self) -> dict[str, Any]:
        """What runs and how it fares.

        Raises:
            NotRunningError: No supervisor answers in this folder.
        """
        return next(self._lines("GET", "/status"))

    def apply(self, wish: Wish) -> Iterator[str]:
        """Ask for a change; yields lines that tell how it goes.

        Raises:
            RefusedError: Nothing is asked for.
            NotRunningError: No supervisor answers in this folder.
            OutgrowError: The change failed; what was there before serves on.
        """
        if wish.is_empty:
            raise nothing_asked_for()
        is_done = False
        body: dict[str, Any] = msgspec.to_builtins(wish)
        for line in self._lines("POST", "/apply", body, seconds=None):
            if "error" in line:
                error = line["error"]
                raise error_from(error["code"], error["text"], error["hint"])
            is_done = is_done or "done" in line
            if "step" in line:
                yield line["step"]
        if not is_done:
            raise RefusedError("the supervisor ended before the change was done")

    def logs(self, query: str, *, follows: bool) -> Iterator[dict[str, Any]]:
        """Lines of the log, as `placement.control.log_entry` makes them.

        Raises:
            NotRunningError: No supervisor answers in this folder.
        """
        yield from self._lines("GET", f"/logs?{query}", seconds=None if follows else ANSWER_SECONDS)

    def _lines(
        self,
        method: str,
        target: str,
        body: dict[str, Any] | None = None,
        seconds: float | None = ANSWER_SECONDS,
    ) -> Iterator[dict[str, Any]]:
        connection = _UnixConnection(self.folder / SOCKET_NAME, seconds)
        try:
            connection.request(method, target, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            for line in answer:
                yield json.loads(line)
        except TimeoutError:
            raise NotRunningError(f"the supervisor in {self.folder} does not answer") from None
        except (OSError, http.client.HTTPException) as problem:
            raise NotRunningError(f"no supervisor answers in {self.folder}") from problem
        finally:
            connection.close()


class ApiClient:
    """Asks the observer of a folder what the page asks it, without a token.

    Args:
        folder: The supervisor's, or the observer's own.
        seconds: How long an answer may take.
    """

    def __init__(self, folder: str | Path, *, seconds: float = ANSWER_SECONDS) -> None:
        self.folder = Path(folder).absolute()
        self._seconds = seconds

    def get(self, target: str) -> dict[str, Any]:
        """An answer of the API.

        Args:
            target: Path below `/api/`, with its query.

        Raises:
            NotRunningError: No observer answers in this folder.
            RefusedError: It does not answer this.
        """
        connection = _UnixConnection(self.folder / API_NAME, self._seconds)
        try:
            connection.request("GET", f"/api/{target}")
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except TimeoutError:
            raise NotRunningError(f"the observer in {self.folder} does not answer") from None
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise self._nobody() from problem
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise RefusedError(content.get("text", "refused"), hint=content.get("hint"))
        return content

    def _nobody(self) -> NotRunningError:
        """Why nobody answers, as far as it can be seen from outside."""
        if not (self.folder / SOCKET_NAME).exists():
            return NotRunningError(f"nothing runs in {self.folder}")
        return NotRunningError(
            f"no observer answers in {self.folder}",
            hint='It is being started, is off (`observe = "never"`), or lacks `outgrow[watch]`: '
            "see `outgrow logs --worker observer`",
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float | None) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_path(self._path) as short:
            self.sock.connect(short)
