"""Describing models of the hub that people add by their id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from studio.adapters import Card, Download

ROOM = 400_000_000  # bytes for working, beside the weights
TIMES = 3  # what weights take in memory while they are loaded and used, of their file


def architecture(config: Mapping[str, Any]) -> str:
    """Return the name of the class that a config.json is for, or nothing where it does not say."""
    named = config.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""


def is_one_of(name: str, *mappings: str) -> bool:
    """Say whether a class is in one of transformers' own mappings from kinds of models to classes."""
    from transformers.models.auto import modeling_auto

    known: set[str] = set()
    for mapping in mappings:
        for classes in getattr(modeling_auto, mapping).values():
            known |= {classes} if isinstance(classes, str) else set(classes)
    return name in known


def needs_timm(config: Mapping[str, Any]) -> bool:
    """Say whether a model's backbone comes from the package timm."""
    backbone = config.get("backbone_config")
    kind = backbone.get("model_type") if isinstance(backbone, Mapping) else ""
    return kind == "timm_backbone" or bool(config.get("use_timm_backbone") and not backbone)


def hub_card(like: Card, size: int, *patterns: str) -> Card:
    """Return a card like another for weights of ``size`` bytes; the studio puts in where they come from.

    ``patterns`` are of the files that the model needs beside its weights and what is JSON.
    """
    download = Download("", size, patterns=("*.json", *patterns))
    return replace(like, memory_bytes=ROOM + TIMES * size, download=download)
