"""Geometry and prompts as few bytes: a mask of a thousand runs takes about one kilobyte."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from studio.annotations import (
    Alpha,
    Mask,
    Prompt,
    Shape,
    prompt_from_json,
    prompt_to_json,
    shape_from_json,
    shape_to_json,
)

_MASK = struct.Struct("<QQc")
_LENGTH = struct.Struct("<I")
_LEVEL = 1  # higher levels save a few bytes and cost most of a click's time


def pack(shape: Shape, prompt: Prompt | None) -> bytes:
    """Encode a shape and the prompt that made it; the same input always gives the same bytes."""
    start = prompt.mask if prompt else None
    words = b""
    if prompt:
        words = _json(prompt_to_json(Prompt(prompt.points, prompt.box, None, prompt.text)))
    parts = (_shape(shape), words, _shape(start) if start else b"")
    return zlib.compress(b"".join(_LENGTH.pack(len(part)) + part for part in parts), _LEVEL)


def unpack(data: bytes) -> tuple[Shape, Prompt | None]:
    """Decode what ``pack`` made."""
    raw = zlib.decompress(data)
    parts, at = [], 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size + length
        parts.append(raw[at - length : at])
    shape, words, start = parts
    if not words:
        return _read_shape(shape), None
    prompt = prompt_from_json(json.loads(words))
    mask = _read_shape(start) if start else None
    return _read_shape(shape), Prompt(prompt.points, prompt.box, mask, prompt.text)


def pack_json(value: Any) -> bytes:
    return zlib.compress(_json(value), _LEVEL)


def unpack_json(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _shape(shape: Shape) -> bytes:
    if isinstance(shape, Alpha) and shape.mask is not None:
        told = _json(shape_to_json(replace(shape, mask=None)))
        return b"a" + _LENGTH.pack(len(told)) + told + _shape(shape.mask)
    if not isinstance(shape, Mask):
        return b"j" + _json(shape_to_json(shape))
    # Neighbouring columns of an object have runs of nearly the same length: their differences are small.
    steps = shape.counts.astype(np.int64)
    steps[2:] -= shape.counts[:-2].astype(np.int64)
    largest = int(np.abs(steps).max(initial=0))
    kind = "h" if largest < 2**15 else "i" if largest < 2**31 else "q"
    return b"m" + _MASK.pack(shape.height, shape.width, kind.encode()) + steps.astype("<" + kind).tobytes()


def _read_shape(data: bytes) -> Shape:
    if data[:1] == b"j":
        return shape_from_json(json.loads(data[1:]))
    if data[:1] == b"a":
        (length,) = _LENGTH.unpack_from(data, 1)
        start = 1 + _LENGTH.size
        alpha = shape_from_json(json.loads(data[start : start + length]))
        return replace(alpha, mask=_read_shape(data[start + length :]))
    height, width, kind = _MASK.unpack_from(data, 1)
    steps = np.frombuffer(data, "<" + kind.decode(), offset=1 + _MASK.size)
    counts = np.empty(steps.size, np.int64)
    for parity in (0, 1):
        np.cumsum(steps[parity::2], dtype=np.int64, out=counts[parity::2])
    return Mask(height, width, counts)
