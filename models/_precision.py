"""The precision that networks compute in: bfloat16 on a graphics card that has it, where nobody asked for more."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


def bfloat16_helps(device: Any, full_precision: bool = False) -> bool:
    """Say whether a model on a torch device is to compute in bfloat16."""
    import torch

    halves = device.type == "cuda" and not full_precision
    return halves and torch.cuda.is_bf16_supported(including_emulation=False)


def precision(device: Any, bf16: bool) -> AbstractContextManager[Any]:
    """Return the context in which a network computes: bfloat16 where ``bf16``, else as its weights are."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()
