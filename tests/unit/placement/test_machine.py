"""The limits of a container are seen through the files that hold them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outgrow.placement.machine import Machine, this_machine

OWN_CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
MEMINFO = {"proc/meminfo": "MemTotal:        2048 kB\nMemFree:          100 kB\n"}
V2 = "0::/{}\n"


def machine(root: Path, files: dict[str, str]) -> Machine:
    """What is read from a made-up file system."""
    for name, content in (MEMINFO | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return this_machine(root)


def test_without_limits_all_of_the_machine_can_be_used(tmp_path: Path) -> None:
    found = machine(tmp_path, {})
    assert found == Machine(cpus=OWN_CPUS, memory_bytes=2048 * 1024, is_container=False)


def test_nothing_to_read_is_no_mistake(tmp_path: Path) -> None:
    found = this_machine(tmp_path)
    assert (found.cpus, found.memory_bytes) == (OWN_CPUS, 0)


def test_the_limits_of_version_2_hold(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": V2.format("app"),
            "sys/fs/cgroup/app/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/app/memory.max": "1000000\n",
        },
    )
    assert (found.cpus, found.memory_bytes) == (0.5, 1_000_000)


def test_of_nested_groups_the_tightest_limit_holds(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": V2.format("slice/app/inner"),
            "sys/fs/cgroup/slice/cpu.max": "25000 100000",
            "sys/fs/cgroup/slice/app/cpu.max": "max 100000",
            "sys/fs/cgroup/slice/app/inner/cpu.max": "80000 100000",
            "sys/fs/cgroup/slice/memory.max": "900000",
            "sys/fs/cgroup/slice/app/inner/memory.max": "max",
            "sys/fs/cgroup/slice/other/cpu.max": "1000 100000",
        },
    )
    assert (found.cpus, found.memory_bytes) == (0.25, 900_000)


def test_a_path_of_the_host_inside_a_container_means_the_root_of_the_mount(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": V2.format("docker/0123456789abcdef"),
            "sys/fs/cgroup/cpu.max": "75000 100000",
            "sys/fs/cgroup/memory.max": "700000",
        },
    )
    assert (found.cpus, found.memory_bytes) == (0.75, 700_000)


V1 = {"proc/self/cgroup": "9:memory:/app\n4:cpu,cpuacct:/app\n1:name=systemd:/app\n"}


def test_the_limits_of_version_1_hold(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        V1
        | {
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": "20000",
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": "50000",
            "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "500000",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert (found.cpus, found.memory_bytes) == (0.4, 500_000)


@pytest.mark.parametrize(
    ("quota", "period"),
    [
        pytest.param("-1", "100000", id="no quota"),
        pytest.param("100000", "0", id="no period"),
        pytest.param("", "", id="nothing there"),
        pytest.param("many", "100000", id="no number"),
    ],
)
def test_a_quota_that_limits_nothing_is_ignored(tmp_path: Path, quota: str, period: str) -> None:
    found = machine(
        tmp_path,
        V1
        | {
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": quota,
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": period,
            "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert (found.cpus, found.memory_bytes) == (OWN_CPUS, 2048 * 1024)


def test_controllers_in_another_order_than_their_folder_are_found(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpuacct,cpu:/app\n",
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": "20000",
            "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": "50000",
        },
    )
    assert found.cpus == 0.4


def test_a_quota_above_the_machine_is_no_more_than_the_machine(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": V2.format(""),
            "sys/fs/cgroup/cpu.max": "9900000 100000",
            "sys/fs/cgroup/memory.max": "99999999999",
        },
    )
    assert (found.cpus, found.memory_bytes) == (OWN_CPUS, 2048 * 1024)


@pytest.mark.parametrize(
    "mark", [".dockerenv", "run/.containerenv", "run/secrets/kubernetes.io/token"]
)
def test_a_container_is_known_by_its_mark(tmp_path: Path, mark: str) -> None:
    assert machine(tmp_path, {mark: ""}).is_container


@pytest.mark.parametrize(
    ("cpus", "workers"),
    [(0.1, 1), (0.9, 1), (1.0, 1), (1.9, 1), (2.0, 2), (7.5, 7)],
)
def test_there_is_a_worker_for_each_whole_cpu_and_one_at_least(cpus: float, workers: int) -> None:
    assert Machine(cpus=cpus, memory_bytes=0, is_container=False).workers_max == workers


def test_this_very_machine_can_be_read() -> None:
    found = this_machine()
    assert 0 < found.cpus <= OWN_CPUS
    assert found.memory_bytes > 0 or not Path("/proc/meminfo").exists()
