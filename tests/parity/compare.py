"""One behaviour, observed on both servers at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from .launches import KINDS, Kind
from .registry import Behaviour, Observation
from .servers import NotServingError, Program, Server, Servers


@dataclass(frozen=True)
class Seen:
    """What the two servers showed.

    Attributes:
        uvicorn: What was observed of the one.
        outgrow: What was observed of the other.
        output: All that both printed, for whoever must find out why they differ.
    """

    uvicorn: Observation
    outgrow: Observation
    output: str = field(default="", compare=False, repr=False)

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
        uvicorn, outgrow = (waiting[kind].result() for kind in KINDS)
        return Seen(uvicorn[0], outgrow[0], f"{uvicorn[1]}\n{outgrow[1]}")

    def _one(self, kind: Kind, behaviour: Behaviour) -> tuple[Observation, str]:
        """What one server shows, and what it printed."""
        program = Program(kind)
        running = program.spawned
        try:
            if behaviour.launch is None:
                observed = behaviour.observe(program)
            else:
                running = [self._servers[kind].get(behaviour.launch)]
                observed = behaviour.observe(running[0])
        except NotServingError as problem:
            observed = "does not start", str(problem)
        except Exception as problem:
            problem.add_note(printed(running))
            raise
        return observed, printed(running)


def printed(servers: list[Server]) -> str:
    """All that some servers printed, each under its name."""
    return "\n".join(
        f"---- {server.kind}, process {server.process.pid}, {stream} ----\n"
        f"{server.output.text(stream)}"
        for server in servers
        for stream in ("stdout", "stderr")
    )
