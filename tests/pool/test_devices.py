from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studio.devices import CpuDevice, best_device, size_text
from studio.errors import BadInput

KB = 1024


def machine(root: Path, files: dict[str, str]) -> CpuDevice:
    files = {"proc/meminfo": "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n"} | files
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return CpuDevice(root)


def test_without_a_container_the_machines_memory_counts(tmp_path):
    cpu = machine(tmp_path, {})
    assert (cpu.total(), cpu.free()) == (1000 * KB, 600 * KB)


@pytest.mark.parametrize("path", ["/", "/box/inner", "/not/there"])
def test_a_containers_limit_counts_in_the_second_version_of_control_groups(tmp_path, path):
    cpu = machine(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "sys/fs/cgroup/memory.max": f"{500 * KB}\n",
            "sys/fs/cgroup/memory.current": f"{300 * KB}\n",
            "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {100 * KB}\n",
            "sys/fs/cgroup/box/inner/memory.max": "max\n",
            "sys/fs/cgroup/box/inner/memory.current": "1\n",
        },
    )
    assert (cpu.total(), cpu.free()) == (500 * KB, 300 * KB)


def test_a_containers_limit_counts_in_the_first_version_of_control_groups(tmp_path):
    cpu = machine(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu:/box\n4:memory:/box\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{200 * KB}\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{150 * KB}\n",
        },
    )
    assert (cpu.total(), cpu.free()) == (200 * KB, 50 * KB)


def test_this_machines_memory_can_be_read():
    cpu = CpuDevice()
    assert 0 < cpu.free() <= cpu.total()


def test_the_peak_of_a_block_is_measured():
    # In a process of its own: what other tests' threads let go of meanwhile would count here.
    code = """
import numpy as np
from studio.devices import CpuDevice
with CpuDevice().measured() as usage:
    passing = np.ones(40_000_000, np.uint8)
    del passing
    kept = np.ones(10_000_000, np.uint8)
print(usage.peak, usage.held)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, held = (int(v) for v in done.stdout.split())
    assert peak > held
    assert 30e6 < peak < 120e6 and held < 40e6


def test_out_of_memory_is_told_from_other_errors():
    cpu = CpuDevice()
    assert cpu.is_out_of_memory(MemoryError())
    assert cpu.is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
    )
    assert not cpu.is_out_of_memory(RuntimeError("shapes differ"))


def test_a_device_can_be_named_from_outside(monkeypatch):
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    assert best_device().name == "cpu"
    with pytest.raises(BadInput, match="no device “cuda:77” here. There is: .*cpu"):
        best_device("cuda:77")


def test_sizes_are_read_easily():
    assert [size_text(n) for n in (900, 155_900_000, 3_240_000_000)] == ["1 kB", "156 MB", "3.2 GB"]
