"""Projects and all that is in them: images, classes, annotations, history. Start at ``Store``."""

from __future__ import annotations

from studio.project.records import (
    Applied,
    Change,
    Entry,
    Filters,
    ImageRecord,
    Job,
    JobImage,
    LabelClass,
    Project,
)
from studio.project.store import Store

__all__ = [
    "Applied",
    "Change",
    "Entry",
    "Filters",
    "ImageRecord",
    "Job",
    "JobImage",
    "LabelClass",
    "Project",
    "Store",
]
