"""The yardsticks of the parity tests and of the benchmarks: others' predictors over the same weights.

SAM and SAM 2.1 are held against Meta's own predictors, SAM-HQ and SAM 3 against the pipelines that transformers
documents, with the image encoded once as theirs allow it. RITM, FocalClick and CDNet come as no package: they are
held against the bare work that no predictor of theirs can do without: the passes through the very same networks,
resizing, pasting, the search for FocalClick's focus and CDNet's diffusion, played again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

Run = Callable[[np.ndarray, np.ndarray], None]  # an image, and clicks (n, 2): encode, then click after click
ROUNDS = {
    "sam": 3,
    "sam_hq": 3,
    "sam3": 2,
    "ritm": 2,
    "cdnet": 1,
}  # fewer of those that take long on a processor


def random_sam2() -> Any:
    """Return transformers' SAM 2.1 tiny with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    return transformers.Sam2Model(transformers.Sam2Config()).eval().requires_grad_(False)


def ratios(rounds: int, clicks: int, seed: int, families: str = "") -> dict[str, float | None]:
    """Time encode + clicks of each family, ours and the reference in turn; return the ratio of the medians.

    ``families`` names some of them, separated by commas; by default all are measured.
    """
    found: dict[str, float | None] = {}
    for family in families.split(",") if families else FAMILIES:
        try:
            ours, theirs = FAMILIES[family]()
        except ImportError as missing:
            print(f"{family} was left out: {missing}. Install the meta extra.")
            found[f"{family}_vs_reference_ratio"] = None
            continue
        rng = np.random.default_rng(seed)
        image = rng.integers(0, 255, (768, 1024, 3), dtype=np.uint8)
        points = rng.uniform((100, 100), (900, 650), (clicks, 2))
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(min(rounds, ROUNDS.get(family, rounds)) + 1):
            for name, run in (("ours", ours), ("theirs", theirs)):
                start = time.perf_counter()
                run(image, points)
                times[name].append(time.perf_counter() - start)
        mine, reference = (median(times[name][1:]) for name in ("ours", "theirs"))  # the first warms up
        found[f"{family}_encode_{clicks}_clicks_s"] = mine
        found[f"{family}_reference_s"] = reference
        found[f"{family}_vs_reference_ratio"] = mine / reference
        print(
            f"{family}: {mine:.2f} s, reference {reference:.2f} s, ratio {mine / reference:.3f}", flush=True
        )
    return found


# ---- Meta's predictors ----------------------------------------------------------------------------


def _sam() -> tuple[Run, Run]:
    from segment_anything import SamPredictor, sam_model_registry

    from models._sam import meta
    from models.sam import SamSegmenter

    _seeded()
    reference = sam_model_registry["vit_b"]().eval().requires_grad_(False)
    segmenter = SamSegmenter(meta.sam_model(meta.tensors_of(reference.state_dict())))
    return _clicking(segmenter), _predicting(SamPredictor(reference))


def _sam2() -> tuple[Run, Run]:
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    from models._sam.meta import sam2_weights
    from models._sam.sam2 import Sam2Segmenter

    reference = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    model = random_sam2()
    model.load_state_dict(sam2_weights(reference.state_dict()), strict=True)
    return _clicking(Sam2Segmenter(model)), _predicting(SAM2ImagePredictor(reference))


def _predicting(predictor: Any) -> Run:
    def theirs(image: np.ndarray, points: np.ndarray) -> None:
        predictor.set_image(image)
        previous = None
        for n in range(1, len(points) + 1):
            _, scores, logits = predictor.predict(
                points[:n], np.ones(n, int), mask_input=previous, multimask_output=n == 1
            )
            previous = logits[[int(scores.argmax())]]

    return theirs


# ---- transformers' pipelines ----------------------------------------------------------------------


def _sam_hq() -> tuple[Run, Run]:
    import torch
    import transformers

    from models.sam import SamSegmenter

    _seeded()
    model = transformers.SamHQModel(transformers.SamHQConfig()).eval().requires_grad_(False)
    processor = transformers.SamHQProcessor(transformers.SamImageProcessor())

    def theirs(image: np.ndarray, points: np.ndarray) -> None:
        with torch.inference_mode():
            given = processor(image, input_points=[[points.tolist()]], return_tensors="pt")
            final, early = model.get_image_embeddings(given["pixel_values"])
            where, previous = given["input_points"].float(), None
            for n in range(1, len(points) + 1):
                answer = model(
                    image_embeddings=final,
                    intermediate_embeddings=early,
                    input_points=where[:, :, :n],
                    input_labels=torch.ones(1, 1, n, dtype=torch.int64),
                    input_masks=previous,
                    multimask_output=n == 1,
                )
                best = int(answer.iou_scores[0, 0].argmax())
                previous = answer.pred_masks[:, 0, best : best + 1]
                processor.image_processor.post_process_masks(
                    answer.pred_masks, given["original_sizes"], given["reshaped_input_sizes"]
                )

    return _clicking(SamSegmenter(model)), theirs


def _sam3() -> tuple[Run, Run]:
    import torch
    import transformers

    from models._sam.sam3 import Sam3
    from tests.models.tiny_sam3 import processor as words

    _seeded()
    detector = transformers.Sam3Model(transformers.Sam3Config()).eval().requires_grad_(False)
    tracker = transformers.Sam3TrackerModel(transformers.Sam3TrackerConfig()).eval().requires_grad_(False)
    tracker.vision_encoder.backbone = detector.vision_encoder.backbone
    reading = words()
    reading.image_processor.size = {"height": 1008, "width": 1008}
    processor = transformers.Sam3TrackerProcessor(reading.image_processor, target_size=1008)
    encoder = detector.vision_encoder.backbone

    def theirs(image: np.ndarray, points: np.ndarray) -> None:
        tracker.vision_encoder.backbone = encoder
        with torch.inference_mode():
            asked = {"input_points": [[points.tolist()]], "input_labels": [[[1] * len(points)]]}
            given = processor(images=image, input_data_format="channels_last", return_tensors="pt", **asked)
            seen = tracker.get_image_embeddings(given["pixel_values"])
            previous = None
            for n in range(1, len(points) + 1):
                answer = tracker(
                    image_embeddings=seen,
                    input_points=given["input_points"][:, :, :n],
                    input_labels=given["input_labels"][:, :, :n],
                    input_masks=previous,
                    multimask_output=n == 1,
                )
                best = int(answer.iou_scores[0, 0].argmax())
                previous = answer.pred_masks[:, 0, best : best + 1]
                processor.post_process_masks(answer.pred_masks, given["original_sizes"])

    sam3 = Sam3(detector, tracker, reading)
    shared = tracker.vision_encoder.backbone

    def ours(image: np.ndarray, points: np.ndarray) -> None:
        tracker.vision_encoder.backbone = shared
        sam3._seen.clear()  # each time from the image on
        sam3._latest = None
        _clicking(sam3)(image, points)

    return ours, theirs


# ---- the click networks ---------------------------------------------------------------------------


def _ritm() -> tuple[Run, Run]:
    return _bare("ritm_hrnet18s_itermask")


def _focalclick() -> tuple[Run, Run]:
    return _bare("focalclick_segformerB0_S2")


def _cdnet() -> tuple[Run, Run]:
    return _bare("cdnet_resnet34")


def _bare(name: str) -> tuple[Run, Run]:
    """Return our segmenter, and the bare work that it did, alone and once more."""
    import torch

    from models._clicks import cdnet, focal, ritm, zoom
    from models._clicks.checkpoint import build
    from models._clicks.segmenter import ClickSegmenter
    from tests.models.click_networks import known

    checkpoint = build(known(name))
    segmenter = ClickSegmenter(checkpoint)
    network = checkpoint.network
    parts = [network.coarse, network.refiner] if hasattr(network, "refiner") else [network]
    work: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            work.append((function, given))
            return function(*given)

        return noted

    def ours(image: np.ndarray, points: np.ndarray) -> None:
        if work:
            _clicking(segmenter)(image, points)
            return
        with ExitStack() as stack:
            for part in parts:
                hook = part.register_forward_pre_hook(lambda m, a: work.append((m, a)))
                stack.callback(hook.remove)
            for module in (cdnet, focal, ritm, zoom):
                for function in ("resize", "paste", "diffuse", "focus_of"):
                    if hasattr(module, function):
                        stack.enter_context(patch.object(module, function, noting(getattr(module, function))))
            _clicking(segmenter)(image, points)
        # Pasting resizes by itself: what it did inside is not to be done twice.
        work[:] = [step for step in work if step[0] is not zoom.resize or not _pasted(step, work)]

    def theirs(image: np.ndarray, points: np.ndarray) -> None:
        with torch.inference_mode():
            for step, given in work:
                step(*given)

    return ours, theirs


def _pasted(step: tuple[Any, Any], work: list[tuple[Any, Any]]) -> bool:
    return any(
        other[1] and other[1][0] is step[1][0]
        for other in work
        if getattr(other[0], "__name__", "") == "paste"
    )


# ---- what they share ------------------------------------------------------------------------------


def _seeded() -> None:
    import torch

    torch.manual_seed(0)


def _clicking(segmenter: Any) -> Run:
    from studio.annotations import Point, Prompt

    def ours(image: np.ndarray, points: np.ndarray) -> None:
        embedding, previous = segmenter.embed(image), None
        for n in range(1, len(points) + 1):
            prompt = Prompt(tuple(Point(x, y) for x, y in points[:n]))
            previous = segmenter.segment(embedding, prompt, previous)[0].state

    return ours


FAMILIES: dict[str, Callable[[], tuple[Run, Run]]] = {
    "sam": _sam,
    "sam2": _sam2,
    "sam_hq": _sam_hq,
    "sam3": _sam3,
    "ritm": _ritm,
    "focalclick": _focalclick,
    "cdnet": _cdnet,
}
