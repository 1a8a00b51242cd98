"""From what mask transformers answer to the scores of classes, and to the masks of things.

Each family's own image processor does it a little differently; here it is done in the memory of a few maps, however
large the image is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from studio.errors import BadInput

SIDE = 384  # at which Mask2Former's processor reads the masks
PATCHES = 4  # of an image that EoMT cuts up, that go through the network together
THINNEST = 16  # an image longer than this many times its breadth would be cut into too many


def check_shape(height: int, width: int) -> None:
    """Raise BadInput where an image is so thin that cutting it into squares would never end."""
    if max(height, width) > THINNEST * min(height, width):
        raise BadInput(
            f"This model cannot look at an image of {width} × {height}: it may be at most {THINNEST} times as long as "
            "it is broad. Choose another model."
        )


def class_scores(answer: Any, enlarge: tuple[int, int] | None = None) -> Any:
    """Return the scores of classes, float32 (images, classes, h, w); masks are enlarged to ``enlarge`` before."""
    import torch

    classes = answer.class_queries_logits.float().softmax(-1)[..., :-1]
    masks = answer.masks_queries_logits.float()
    if enlarge:
        masks = torch.nn.functional.interpolate(masks, enlarge, mode="bilinear", align_corners=False)
    return torch.einsum("bqc,bqhw->bchw", classes, masks.sigmoid())


def merged(patches: Any, offsets: Sequence[Any], height: int, width: int, size: Any) -> Any:
    """Return the mean scores, (classes, h, w), of patches cut along the longer side of an image."""
    import torch
    from transformers.image_transforms import get_size_with_aspect_ratio

    seen = get_size_with_aspect_ratio((height, width), size["shortest_edge"], size["longest_edge"])
    total = torch.zeros((patches.shape[1], *seen), device=patches.device)
    count = torch.zeros(seen, device=patches.device)
    for patch, (_, start, end) in zip(patches, offsets, strict=True):
        where = (
            (slice(int(start), int(end)), slice(None))
            if height > width
            else (slice(None), slice(int(start), int(end)))
        )
        total[:, where[0], where[1]] += patch
        count[where] += 1
    return total / count.clamp(min=1)


def eomt_instances(
    answer: Any, processor: Any, height: int, width: int, floor: float
) -> Iterator[tuple[int, float, Any]]:
    """Yield class, score and mask, bool (height, width), of what EoMT sees in an image."""
    import torch
    from transformers.models.eomt.image_processing_eomt import get_target_size

    scores, numbers = answer.class_queries_logits[0].float().softmax(-1)[:, :-1].max(-1)
    for query in torch.nonzero(scores >= floor).flatten().tolist():
        # One at a time: a few hundred of a large photograph would take gigabytes.
        logits = torch.nn.functional.interpolate(
            answer.masks_queries_logits[:, query : query + 1].float(),
            get_target_size(processor.size),
            mode="bilinear",
        )
        wide = processor.unpad_image(logits, [(height, width)], processor.size)[0][0]
        mask = wide > 0
        sure = float((wide.sigmoid() * mask).sum() / (mask.sum() + 1e-6))
        score = float(scores[query]) * sure
        if score >= floor and mask.any() and math.isfinite(score):
            yield int(numbers[query]), score, mask
