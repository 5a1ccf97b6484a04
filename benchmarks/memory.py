"""Memory of eight workers of the Django example: ours, and gunicorn's with and without preload."""

from __future__ import annotations

from . import cost, servers
from .harness import Measurements, publish, turned
from .load import load
from .servers import Contender

WORKERS = 8
CONTENDERS = [
    servers.gunicorn(),
    servers.gunicorn(preload=True),
    servers.outgrow(),
    servers.outgrow(is_observed=True),
    servers.outgrow("--fork", "never", name="outgrow --fork never"),
]


def run(rounds: int, _: float) -> None:
    """Measure each contender once a round, after its workers have served."""
    measured = Measurements("memory", reference="gunicorn")
    for number in range(min(rounds, 3)):
        for contender in turned(CONTENDERS, number):
            _measure(measured, contender)
    publish(measured)


def _measure(measured: Measurements, contender: Contender) -> None:
    with servers.serving(contender, "django_example:application", workers=WORKERS) as server:
        server.until_answering()
        workers = server.until_workers(WORKERS)
        load(server.port, "/admin/login/", 2)
        members = cost.tree(server.process.pid)
        pss = {pid: cost.pss_bytes(pid) / 2**20 for pid in members}
        private = [cost.private_bytes(pid) / 2**20 for pid in workers]
    total, each = sum(pss.values()), sum(pss[pid] for pid in workers) / WORKERS
    measured.add(contender.name, "PSS of all processes", total, "MB")
    measured.add(contender.name, "PSS of one worker", each, "MB")
    measured.add(contender.name, "private memory of one worker", sum(private) / WORKERS, "MB")
