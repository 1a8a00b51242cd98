"""The training loop that every demo checkpoint shares."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Make what follows repeatable, up to the order in which a processor adds numbers."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(
    model: torch.nn.Module,
    batches: Iterable[Any],
    loss: Callable[[Any], torch.Tensor | dict[str, torch.Tensor]],
    *,
    steps: int,
    rate: float = 1e-3,
    decay: float = 0.02,
    warm: float = 0.05,
    average: float = 0.998,
    clip: float = 1.0,
    muon: bool = False,
    bf16: bool = True,
    say: str = "",
    every: int = 100,
    snapshot: Callable[[torch.nn.Module], None] | None = None,
    snapshot_every: int = 1000,
) -> torch.nn.Module:
    """Train ``model`` in place by AdamW with a cosine schedule; return it with its averaged weights.

    ``loss(batch)`` gives a number or several, which are added up. One-dimensional weights do not decay.
    With ``muon`` the weights of linear layers are trained by Muon (Jordan et al., 2024), at steps as long as
    AdamW's.
    ``snapshot`` is called now and then with the averaged model.
    """
    optimizers = _optimizers(model, rate, decay, muon)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _factor(step, steps, warm))
        for optimizer in optimizers
    ]
    averaged = copy.deepcopy(model).requires_grad_(False)
    model.train()
    started, sums = time.perf_counter(), {}
    for step, batch in enumerate(batches):
        if step >= steps:
            break
        kind = next(model.parameters()).device.type
        with torch.autocast(kind, torch.bfloat16) if bf16 else nullcontext():
            parts = loss(batch)
        parts = parts if isinstance(parts, dict) else {"loss": parts}
        total = sum(parts.values())
        model.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        _follow(averaged, model, min(average, (1 + step) / (10 + step)))
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())
        if (step + 1) % every == 0:
            shown = "  ".join(f"{name} {value / every:.4f}" for name, value in sums.items())
            print(f"{say} {step + 1}/{steps}  {shown}  {time.perf_counter() - started:.0f} s", flush=True)
            sums = {}
        if snapshot is not None and (step + 1) % snapshot_every == 0:
            snapshot(averaged)
    model.load_state_dict(averaged.state_dict())
    return model.eval()


def _optimizers(model: torch.nn.Module, rate: float, decay: float, muon: bool) -> list[torch.optim.Optimizer]:
    learnt = [p for p in model.parameters() if p.requires_grad]
    linear = {id(m.weight) for m in model.modules() if muon and isinstance(m, torch.nn.Linear)}
    linear -= {
        id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)
    }  # a tied one is no map
    turned = [p for p in learnt if id(p) in linear]
    others = [p for p in learnt if id(p) not in linear]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))]
    if turned:
        optimizers.append(
            torch.optim.Muon(turned, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        )
    return optimizers


def _factor(step: int, steps: int, warm: float) -> float:
    rising = max(1, int(steps * warm))
    if step < rising:
        return (step + 1) / rising
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


@torch.no_grad()
def _follow(averaged: torch.nn.Module, model: torch.nn.Module, share: float) -> None:
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new.to(old.dtype), 1 - share)
        else:
            old.copy_(new)
