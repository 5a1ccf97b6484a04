"""What workers are told of each other: which sockets to accept from, and where services run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.host import Directory, Listen, Release
from outgrow.placement.crew import send
from outgrow.placement.sockets import share_out
from outgrow.wire import DESCRIPTORS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.placement.crew import Worker
    from outgrow.placement.sockets import Listeners


def share(listeners: Listeners, ready: Sequence[Worker], now: float) -> None:
    """Have the workers with the edge that work accept from all sockets between them."""
    serving = [worker for worker in ready if worker.state(now) == "ready"]
    if not serving:
        return  # a silent worker that comes back is better than none
    if listeners.is_shared:
        shares = {worker.key: {0} for worker in serving}
    else:
        owners = {worker.key: worker.listening for worker in serving}
        shares = share_out(len(listeners.sockets), owners, [worker.key for worker in serving])
    for worker in serving:
        _listen(listeners, worker, shares[worker.key] - worker.listening)
    for worker in ready:
        # A silent worker is told as well: it will read it when it wakes.
        lost = worker.listening - shares.get(worker.key, set())
        if lost and not listeners.is_shared:
            send(worker.channel, Release(sorted(lost)))
            worker.listening -= lost


def release(worker: Worker) -> None:
    """Have a worker accept no more connections, and serve those that it has."""
    if worker.listening:
        send(worker.channel, Release(sorted(worker.listening)))
        worker.listening.clear()


def _listen(listeners: Listeners, worker: Worker, numbers: set[int]) -> None:
    ordered = sorted(numbers)
    for start in range(0, len(ordered), DESCRIPTORS_MAX):
        some = ordered[start : start + DESCRIPTORS_MAX]
        sockets = tuple(listeners.sockets[number].fileno() for number in some)
        send(worker.channel, Listen(some), sockets)
    worker.listening |= numbers


def tell_directory(workers: Iterable[Worker], present: Sequence[Worker], now: float) -> None:
    """Tell each worker where the services are that it does not run, in its own version.

    Args:
        workers: Who is told.
        present: Those that may be called: ready, and not about to leave; but with the edge they
            answer until all of their own requests have ended.
        now: Seconds, on the loop's clock.
    """
    for worker in workers:
        if not worker.meeting:
            continue  # it runs all of the app
        peers = [each for each in present if each is not worker and _share_version(each, worker)]
        directory = _directory([each for each in peers if each.meeting], set(worker.runs), now)
        if directory != worker.directory:
            worker.directory = directory
            send(worker.channel, Directory(directory))


def _share_version(one: Worker, other: Worker) -> bool:
    return one.serves(other.load) or other.serves(one.load)


def _directory(peers: Sequence[Worker], own: set[str], now: float) -> dict[str, list[str]]:
    found: dict[str, list[Worker]] = {}
    for peer in peers:
        for service in peer.runs:
            if service not in own:
                found.setdefault(service, []).append(peer)
    return {
        service: [each.meeting for each in _best(there, now)]
        for service, there in sorted(found.items())
    }


def _best(peers: Sequence[Worker], now: float) -> Sequence[Worker]:
    """Those that work; if there are none those that leave, and if there are none, all."""
    leaving = [each for each in peers if each.drain_at]
    working = [each for each in peers if each.state(now) in ("ready", "stuck")]
    return working or leaving or peers
