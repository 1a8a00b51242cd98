"""Where models run and how much memory is there: CUDA, Apple's MPS, or the CPU in its container's limit."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from studio.errors import BadInput


def size_text(count: float) -> str:
    """Return a number of bytes as a person reads it: "156 MB", "3.2 GB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{max(count, 0) / 1e3:.0f} kB"


@dataclass
class Usage:
    """What a piece of work took: ``held`` bytes when it ended, ``peak`` bytes at most meanwhile.

    ``alone`` is False where other work ran at the same time, so that the numbers say little.
    """

    held: int = 0
    peak: int = 0
    alone: bool = True


class Device(Protocol):
    """A place to run models. All sizes are bytes, and are read anew at each call.

    ``raises_out_of_memory`` says that asking for too much raises an exception; where it is False the
    system may end the process instead, so nothing should be tried that does not fit.
    """

    name: str
    raises_out_of_memory: bool

    def total(self) -> int: ...

    def free(self) -> int: ...

    def empty_cache(self) -> None: ...

    def measured(self) -> AbstractContextManager[Usage]:
        """Fill in the Usage of the block when it ends. Blocks that overlap disturb each other."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool: ...


class CudaDevice:
    """One NVIDIA (or ROCm) card. Needs torch."""

    raises_out_of_memory = True

    def __init__(self, index: int = 0) -> None:
        import torch

        self._torch = torch
        self._index = index
        self.name = f"cuda:{index}"

    def total(self) -> int:
        return self._torch.cuda.mem_get_info(self._index)[1]

    def free(self) -> int:
        cuda = self._torch.cuda
        unused = cuda.memory_reserved(self._index) - cuda.memory_allocated(self._index)
        return cuda.mem_get_info(self._index)[0] + unused

    def empty_cache(self) -> None:
        self._torch.cuda.empty_cache()

    @contextmanager
    def measured(self) -> Iterator[Usage]:
        cuda, usage = self._torch.cuda, Usage()
        start = cuda.memory_allocated(self._index)
        cuda.reset_peak_memory_stats(self._index)
        try:
            yield usage
        finally:
            usage.peak = max(0, cuda.max_memory_allocated(self._index) - start)
            usage.held = max(0, cuda.memory_allocated(self._index) - start)

    def is_out_of_memory(self, error: BaseException) -> bool:
        if isinstance(error, self._torch.cuda.OutOfMemoryError | MemoryError):
            return True
        text = str(error)
        return isinstance(error, RuntimeError) and (
            "CUDA error: out of memory" in text or "ALLOC_FAILED" in text or "CUDA out of memory" in text
        )


class MpsDevice:
    """Apple's GPU, which shares the machine's memory. Needs torch."""

    name = "mps"
    raises_out_of_memory = True

    def __init__(self) -> None:
        import torch

        self._mps = torch.mps

    def total(self) -> int:
        return self._mps.recommended_max_memory()

    def free(self) -> int:
        return max(0, self.total() - self._mps.driver_allocated_memory())

    def empty_cache(self) -> None:
        self._mps.empty_cache()

    @contextmanager
    def measured(self) -> Iterator[Usage]:
        usage, start = Usage(), self._mps.current_allocated_memory()
        driver = self._mps.driver_allocated_memory()
        try:
            yield usage
        finally:
            usage.held = max(0, self._mps.current_allocated_memory() - start)
            # MPS keeps no record of the peak; what the driver had to add comes nearest.
            usage.peak = max(usage.held, self._mps.driver_allocated_memory() - driver)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or "MPS backend out of memory" in str(error)


class CpuDevice:
    """The processor and the memory this process may use, a container's limit included.

    ``root`` is where /proc and /sys are found.
    """

    name = "cpu"
    raises_out_of_memory = False

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def total(self) -> int:
        limits = [limit for limit, _ in self._groups()]
        return min([self._meminfo().get("MemTotal") or _physical_memory(), *limits])

    def free(self) -> int:
        available = self._meminfo().get("MemAvailable")
        if available is None:
            available = max(0, _physical_memory() - self._resident())
        return max(0, min([available, *(limit - used for limit, used in self._groups())]))

    def empty_cache(self) -> None:
        # glibc keeps freed memory for itself unless it is asked to give it back.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)

    @contextmanager
    def measured(self) -> Iterator[Usage]:
        usage, start = Usage(), self._resident()
        with suppress(OSError):
            (self._root / "proc/self/clear_refs").write_text("5")  # the peak starts again from here
        try:
            yield usage
        finally:
            usage.held = max(0, self._resident() - start)
            usage.peak = max(usage.held, self._resident("VmHWM") - start)

    def is_out_of_memory(self, error: BaseException) -> bool:
        if isinstance(error, MemoryError):
            return True
        text = str(error)
        return isinstance(error, RuntimeError) and (
            "can't allocate memory" in text or "not enough memory" in text
        )

    def _meminfo(self) -> dict[str, int]:
        found = {}
        for line in _read(self._root / "proc/meminfo").splitlines():
            name, _, rest = line.partition(":")
            with suppress(ValueError, IndexError):
                found[name] = int(rest.split()[0]) * 1024
        return found

    def _resident(self, field: str = "VmRSS") -> int:
        for line in _read(self._root / "proc/self/status").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def _groups(self) -> list[tuple[int, int]]:
        """Return (limit, used) of each control group this process is in, those without a limit left out."""
        folders: list[tuple[Path, str, str]] = []
        for line in _read(self._root / "proc/self/cgroup").splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds:
                base, names = self._root / "sys/fs/cgroup", ("memory.max", "memory.current")
            elif "memory" in kinds.split(","):
                base = self._root / "sys/fs/cgroup/memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            else:
                continue
            # Inside a container the path is often that of the host; its own group is then the base itself.
            folder = base / path.lstrip("/")
            while folder != base and base in folder.parents:
                folders.append((folder, *names))
                folder = folder.parent
            folders.append((base, *names))
        found = []
        for folder, limit_name, used_name in folders:
            with suppress(ValueError):
                limit, used = int(_read(folder / limit_name)), int(_read(folder / used_name))
                found.append((limit, max(0, used - _reclaimable(folder))))
        return [(limit, used) for limit, used in found if limit < 1 << 60]


def _reclaimable(folder: Path) -> int:
    for line in _read(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _windows_memory()


def _windows_memory() -> int:
    if sys.platform != "win32":
        return 4 << 30
    kilobytes = ctypes.c_ulonglong()
    ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
    return kilobytes.value * 1024


def best_device(name: str | None = None) -> Device:
    """Return the fastest device of this machine, or the named one ("cpu", "mps", "cuda", "cuda:1").

    ``STUDIO_DEVICE`` names one from outside. Raises BadInput where the named one is not there.
    """
    wanted = (name or os.environ.get("STUDIO_DEVICE") or "").strip().lower()
    if wanted == "cpu":
        return CpuDevice()
    torch = _torch()
    cuda = torch.cuda.device_count() if torch is not None and torch.cuda.is_available() else 0
    mps = torch is not None and torch.backends.mps.is_available()
    if not wanted:
        return CudaDevice() if cuda else MpsDevice() if mps else CpuDevice()
    kind, _, number = wanted.partition(":")
    if kind == "cuda" and (number or "0").isdigit() and int(number or 0) < cuda:
        return CudaDevice(int(number or 0))
    if wanted == "mps" and mps:
        return MpsDevice()
    there = [f"cuda:{i}" for i in range(cuda)] + ["mps"] * bool(mps) + ["cpu"]
    raise BadInput(f"There is no device “{wanted}” here. There is: {', '.join(there)}.")


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch
