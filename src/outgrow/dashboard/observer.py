"""The observer: hears workers, keeps what they tell, and answers by API and page, on one loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import ssl
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from outgrow import __version__
from outgrow.dashboard.access import Access, access_from, check_address
from outgrow.dashboard.app import page_app
from outgrow.dashboard.besides import largest_statements
from outgrow.dashboard.feeds import Feeds
from outgrow.dashboard.foresight import Foresight
from outgrow.dashboard.marking import Marking
from outgrow.dashboard.objectives import promises_in
from outgrow.dashboard.placing import Supervision
from outgrow.dashboard.pricing import prices_in
from outgrow.dashboard.reaching import Reach
from outgrow.dashboard.record import slowdowns_in, verified_in
from outgrow.dashboard.silencing import silences_in
from outgrow.dashboard.sounding import Sounding, backlogs_in
from outgrow.dashboard.tending import Tending
from outgrow.errors import AlreadyRunningError, FolderError, SettingValueError
from outgrow.host import WebServer
from outgrow.placement import short_path
from outgrow.telemetry import Archive, ForwardTarget, ReportServer

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from outgrow.dashboard.marking import Release
    from outgrow.dashboard.shapes import Group, Verified
    from outgrow.placement import Seat

LOCK_NAME = "observer.lock"
LOCK_SECONDS = 40.0
QUIET_SECONDS = 0.5
KNOWN_SECONDS = 3600
_BACKLOG = 128
_NO_LIMIT = sys.maxsize

_log = logging.getLogger(__name__)


class Observer:
    """Observes one app until it is stopped.

    Args:
        seat: What it keeps, and whom it answers.
        page: Socket on which the page is asked for; None where there is none.

    Attributes:
        reports: Hears workers; None before `start`.
        reports_port: On which workers of other machines report; 0 for none.

    Raises:
        SettingValueError: The tokens, objectives, prices or signs are not understood, or strangers
            could look.
    """

    def __init__(self, seat: Seat, page: socket.socket | None = None) -> None:
        self._seat = seat
        self._page = page
        self._promises = promises_in(seat.objectives, seat.objectives_from or "the settings")
        self._prices = prices_in(seat.prices, seat.objectives_from or "the settings")
        self._silences = silences_in(seat.signs, seat.objectives_from or "the settings")
        tokens_file = Path(seat.tokens_file) if seat.tokens_file else None
        self._access = access_from(tokens_file, hosts=seat.page_hosts)
        if page is not None:
            check_address(page.getsockname()[0], self._access)
        self._tls = _tls_of(seat)
        self._feeds = Feeds(app=seat.app, version=__version__, forward=_forward_of(seat))
        self._servers: list[WebServer] = []
        self._lock: int | None = None
        self._foresight: Foresight | None = None
        self._reach: Reach | None = None
        self._sounding: Sounding | None = None
        self.archive: Archive | None = None
        self.reports: ReportServer | None = None
        self.reports_port = 0

    async def start(self) -> None:
        """Hear and answer from now on.

        Raises:
            OutgrowError: It cannot; says why.
        """
        store = Path(self._seat.store)
        self._lock = await _locked(store)
        seat = self._seat
        self.archive = archive = Archive(
            store,
            days_max=seat.days_max or _NO_LIMIT,
            bytes_max=seat.bytes_max or _NO_LIMIT,
            keeps_records=seat.keeps_records,
            on_kept=self._feeds.kept,
        )
        archive.start()
        self._foresight = Foresight(
            archive,
            self._promises,
            self._groups,
            self._silences,
            record=self._verified,
            backlogs=partial(backlogs_in, archive),
            prices=self._prices,
            folder=Path(seat.supervisor) if seat.supervisor else None,
            statements=partial(largest_statements, archive),
            marks=archive.marks,
            slowdowns=self._slowdowns,
        )
        self._reach = Reach(seat.durable) if seat.durable else None
        self._feeds.open(archive)
        if self._reach is not None:
            supervision = Supervision(Path(seat.supervisor)) if seat.supervisor else None
            self._sounding = Sounding(Tending(self._reach, supervision).backlogs, archive)
            self._sounding.start()
        intake = Marking(archive, time.time_ns, _known(archive))
        self.reports = ReportServer(intake, token=seat.reports_token)
        if seat.reports:
            await self.reports.listen(Path(seat.reports))
        if self._tls is not None:
            self.reports_port = await self.reports.listen_tls(
                seat.reports_host, seat.reports_port, self._tls
            )
        await self._answer()

    async def _answer(self) -> None:
        seat = self._seat
        if seat.api:
            # Whoever can open it owns the app: no token is asked for.
            self._servers.append(WebServer(self._app(Access()), [_own_socket(Path(seat.api))]))
        if self._page is not None:
            self._servers.append(
                WebServer(
                    self._app(self._access),
                    [self._page],
                    certificate=seat.certificate or None,
                    key=seat.key or None,
                )
            )
        for server in self._servers:
            await server.start()

    def _app(self, access: Access) -> Starlette:
        assert self.archive is not None
        seat = self._seat
        return page_app(
            self.archive,
            app=seat.app,
            version=__version__,
            folder=Path(seat.supervisor) if seat.supervisor else None,
            access=access,
            promises=self._promises,
            foresight=self._foresight,
            reach=self._reach,
            further=self._feeds.routes(access),
        )

    def _groups(self) -> list[Group]:
        """Who runs where; none where no supervisor is near."""
        if not self._seat.supervisor:
            return []
        return Supervision(Path(self._seat.supervisor)).placement(may_change=False).groups

    def _verified(self) -> list[Verified]:
        """Load tests of the app; none where it has no folder."""
        return verified_in(Path(self._seat.api).parent) if self._seat.api else []

    def _slowdowns(self) -> dict[str, tuple[float, ...]]:
        """Of this machine, where `outgrow forecast --calibrate` has measured it."""
        return slowdowns_in(Path(self._seat.api).parent) if self._seat.api else {}

    def remark(self, at_ns: int, kind: str, text: str) -> None:
        """Mark a moment."""
        if self.archive is not None:
            self.archive.mark(at_ns, kind, text)

    async def answer_no_more(self) -> None:
        """Let go of the page, and hear workers on."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.stop()
        if servers and self._seat.api:
            with contextlib.suppress(OSError):
                os.unlink(self._seat.api)  # noqa: PTH108 - one call, on the loop

    async def hear_out(self, seconds: float) -> None:
        """Wait until no worker reports any more, for so long at the most."""
        loop = asyncio.get_running_loop()
        give_up, quiet_since = loop.time() + seconds, loop.time()
        while (now := loop.time()) < give_up and now - quiet_since < QUIET_SECONDS:
            if self.reports is not None and self.reports.origins:
                quiet_since = now
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Hear and answer no more, and write all that waits."""
        await self.answer_no_more()
        if self._sounding is not None:
            await self._sounding.stop()
        if self._reach is not None:
            await self._reach.stop()
        if self.reports is not None:
            await self.reports.close()
        await asyncio.to_thread(self._feeds.close)
        if self.archive is not None:
            await asyncio.to_thread(self.archive.close)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _tls_of(seat: Seat) -> ssl.SSLContext | None:
    """What reports over a network are heard with; None where none are.

    Raises:
        SettingValueError: The files are no certificate and key.
    """
    if not seat.reports_host:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(seat.certificate, seat.key or None)
    except (OSError, ssl.SSLError) as problem:
        raise SettingValueError(f"the TLS files cannot be used: {problem}") from None
    return context


def _forward_of(seat: Seat) -> ForwardTarget | None:
    """Where what is kept goes on to; None where it stays.

    Raises:
        SettingValueError: The headers are not understood.
    """
    headers = dict(_header(line) for line in seat.forward_headers)
    return ForwardTarget(url=seat.forward, headers=headers) if seat.forward else None


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        # Not the line itself: it may hold a secret.
        raise SettingValueError(
            "`forward_headers` has a line without `:`", hint="Write NAME: VALUE"
        )
    return name.strip(), value.strip()


def _lock_of(store: Path) -> int:
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(store / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise FolderError(f"cannot use the folder {store}: {problem.strerror}") from None


async def _locked(store: Path) -> int:
    """The lock of a folder, as soon as nobody else has it.

    Of a supervisor that was killed, the observer hears the last workers out, while the next begins.
    """
    lock = _lock_of(store)
    loop = asyncio.get_running_loop()
    give_up = loop.time() + LOCK_SECONDS
    try:
        while loop.time() <= give_up:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        os.close(lock)
        raise
    os.close(lock)
    raise AlreadyRunningError(f"another observer keeps {store}")


def _known(archive: Archive) -> dict[str, Release]:
    """Workers that an observer before this one has heard."""
    now_ns = time.time_ns()
    found = archive.workers(now_ns - KNOWN_SECONDS * 10**9, now_ns)
    return {one.epoch: (one.version, one.commit) for one in found}


def _own_socket(path: Path) -> socket.socket:
    """A Unix socket that only its owner can open.

    Raises:
        FolderError: There can be none.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of an observer that was killed
        with short_path(path) as short:
            sock.bind(short)
        path.chmod(0o600)  # before `listen`, so that nobody can have come in
        sock.listen(_BACKLOG)
    except OSError as problem:
        sock.close()
        raise FolderError(f"cannot listen on {path}: {problem.strerror}") from None
    return sock
