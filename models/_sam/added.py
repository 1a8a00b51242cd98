"""Files in Meta's own format that people add: which kind each is, and loading it. Imports nothing heavy before that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.adapters import CHECKPOINT_FILE
from studio.errors import BadInput
from studio.weights import open_weights


def examine_sam(saved: Any) -> str | None:
    from models._sam import meta

    tensors = meta.tensors_of(saved)
    if not meta.is_sam(tensors) or meta.is_sam_hq(tensors):
        return None
    meta.sam_model(tensors, own=False)
    return meta.sam_size(tensors)


def examine_sam_hq(saved: Any) -> str | None:
    from models._sam import meta

    tensors = meta.tensors_of(saved)
    if not meta.is_sam_hq(tensors):
        return None
    meta.sam_model(tensors, own=False)
    return meta.sam_size(tensors)


def examine_sam2(saved: Any) -> str | None:
    from models._sam import meta

    tensors = meta.tensors_of(saved)
    if not meta.is_sam2(tensors):
        return None
    meta.sam2_model(tensors, own=False)
    return meta.sam2_size(tensors)


def added_sam(folder: str | None) -> Any:
    """Return the network of a file of segment_anything or SAM-HQ. Raises BadInput where it is neither."""
    from models._sam import meta

    tensors = _tensors(folder)
    if not meta.is_sam(tensors):
        raise BadInput("The file is not SAM's any more. Add it again.")
    return meta.sam_model(tensors)


def added_sam2(folder: str | None) -> Any:
    """Return the network of a file of sam2. Raises BadInput where it is none."""
    from models._sam import meta

    tensors = _tensors(folder)
    if not meta.is_sam2(tensors):
        raise BadInput("The file is not SAM 2's any more. Add it again.")
    return meta.sam2_model(tensors)


def _tensors(folder: str | None) -> dict[str, Any]:
    from models._sam.meta import tensors_of

    return tensors_of(open_weights(Path(folder or "") / CHECKPOINT_FILE))
