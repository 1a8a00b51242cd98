"""What is labelled on an image already, to tell what is found anew from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from studio.annotations import Alpha, Annotation, Box, Mask, Polygon, Shape
from studio.geometry import box_iou, mask_to_rle, shape_box, shape_mask

LABELLED = 0.5  # IoU from which a finding is what somebody labelled already: outlines by hand are rough


class Labelled:
    """Annotations of an image of a size, by their outlines where they have any, else by their boxes."""

    def __init__(self, annotations: Sequence[Annotation], height: int, width: int) -> None:
        boxed = [(a.shape, shape_box(a.shape, (height, width))) for a in annotations]
        shapes = [(shape, box) for shape, box in boxed if box]
        self._boxes = [box for _, box in shapes]
        self._outlined = [i for i, (shape, _) in enumerate(shapes) if _outlined(shape)]
        self._drawn = [i for i, (shape, _) in enumerate(shapes) if isinstance(shape, Box)]
        self._masks = [mask_to_rle(shape_mask(shapes[i][0], height, width)) for i in self._outlined]

    def among(self, found: Sequence[Mask | Box]) -> list[int | None]:
        """Return for each finding the number of the labelled object that it is, or None where it is a new one."""
        overlaps = np.zeros((len(found), len(self._boxes)))
        if not overlaps.size:
            return [None] * len(found)
        boxes = [i for i, shape in enumerate(found) if isinstance(shape, Box)]
        masks = [i for i, shape in enumerate(found) if isinstance(shape, Mask)]
        if boxes:
            overlaps[boxes] = box_iou([found[i] for i in boxes], self._boxes)
        if masks and self._masks:
            packed = [mask_to_rle(found[i]) for i in masks]
            overlaps[np.ix_(masks, self._outlined)] = coco_mask.iou(
                packed, self._masks, [0] * len(self._masks)
            )
        if masks and self._drawn:
            around = [found[i].box or Box(0, 0, 0, 0) for i in masks]
            overlaps[np.ix_(masks, self._drawn)] = box_iou(around, [self._boxes[i] for i in self._drawn])
        return [int(row.argmax()) if row.max() >= LABELLED else None for row in overlaps]


def _outlined(shape: Shape) -> bool:
    return isinstance(shape, Mask | Polygon) or (isinstance(shape, Alpha) and shape.mask is not None)
