"""One behaviour, observed on both servers at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from .launches import KINDS, Kind
from .registry import Behaviour, Observation
from .servers import NotServingError, Servers


@dataclass(frozen=True)
class Seen:
    """What the two servers showed."""

    uvicorn: Observation
    outgrow: Observation

    def expected(self, behaviour: Behaviour) -> Seen:
        """What they should have shown: the same, or the documented difference."""
        if behaviour.difference is None:
            return Seen(self.uvicorn, self.uvicorn)
        return Seen(behaviour.difference.uvicorn, behaviour.difference.outgrow)


class Pair:
    """Both servers, side by side."""

    def __init__(self) -> None:
        self._servers = {kind: Servers(kind) for kind in KINDS}
        self._threads = ThreadPoolExecutor(len(KINDS))

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for servers in self._servers.values():
            servers.close()
        self._threads.shutdown()

    def observe(self, behaviour: Behaviour) -> Seen:
        """Drive both servers through the behaviour."""
        waiting = {kind: self._threads.submit(self._one, kind, behaviour) for kind in KINDS}
        return Seen(waiting["uvicorn"].result(), waiting["outgrow"].result())

    def _one(self, kind: Kind, behaviour: Behaviour) -> Observation:
        servers = self._servers[kind]
        try:
            if behaviour.launch is None:
                return behaviour.observe(servers.program)
            return behaviour.observe(servers.get(behaviour.launch))
        except NotServingError as problem:
            return "does not start", str(problem)
