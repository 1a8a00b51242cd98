"""Meta's own predictors over the same weights: the yardsticks of the parity tests and of the benchmarks."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np


def random_sam2() -> Any:
    """Return transformers' SAM 2.1 tiny with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    return transformers.Sam2Model(transformers.Sam2Config()).eval().requires_grad_(False)


def ratios(rounds: int, clicks: int, seed: int) -> dict[str, float | None]:
    """Time encode + clicks of each family, ours and the reference in turn; return the ratio of the medians."""
    found: dict[str, float | None] = {}
    for family, pair in {"sam2": _sam2}.items():
        try:
            ours, theirs = pair()
        except ImportError as missing:
            print(f"{family} was left out: {missing}. Install the meta extra.")
            found[f"{family}_vs_reference_ratio"] = None
            continue
        rng = np.random.default_rng(seed)
        image = rng.integers(0, 255, (768, 1024, 3), dtype=np.uint8)
        points = rng.uniform((100, 100), (900, 650), (clicks, 2))
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(rounds + 1):
            for name, run in (("ours", ours), ("theirs", theirs)):
                start = time.perf_counter()
                run(image, points)
                times[name].append(time.perf_counter() - start)
        mine, reference = (median(times[name][1:]) for name in ("ours", "theirs"))  # the first warms up
        found[f"{family}_encode_20_clicks_s"] = mine
        found[f"{family}_reference_s"] = reference
        found[f"{family}_vs_reference_ratio"] = mine / reference
    return found


def _sam2():
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    from models._sam.meta import sam2_weights
    from models._sam.sam2 import Sam2Segmenter
    from studio.annotations import Point, Prompt

    reference = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    model = random_sam2()
    model.load_state_dict(sam2_weights(reference.state_dict()), strict=True)
    segmenter, predictor = Sam2Segmenter(model), SAM2ImagePredictor(reference)

    def ours(image: np.ndarray, points: np.ndarray) -> None:
        embedding, previous = segmenter.embed(image), None
        for n in range(1, len(points) + 1):
            prompt = Prompt(tuple(Point(x, y) for x, y in points[:n]))
            previous = segmenter.segment(embedding, prompt, previous)[0].state

    def theirs(image: np.ndarray, points: np.ndarray) -> None:
        predictor.set_image(image)
        previous = None
        for n in range(1, len(points) + 1):
            _, scores, logits = predictor.predict(
                points[:n], np.ones(n, int), mask_input=previous, multimask_output=n == 1
            )
            previous = logits[[int(scores.argmax())]]

    return ours, theirs
