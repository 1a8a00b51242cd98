"""The names of a model's classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def class_names(config: Any) -> tuple[str, ...]:
    """Return the class names of a transformers config, in the order of the model's numbers.

    Some checkpoints leave numbers out, as COCO does; such a class is called by its number.
    """
    labels: Mapping[int, str] = config.id2label
    count = max([len(labels), *(number + 1 for number in labels)])
    return tuple(str(labels.get(number, f"class {number}")) for number in range(count))
