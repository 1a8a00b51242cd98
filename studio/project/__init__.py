"""Projects and all that is in them: images, classes, annotations, history. Start at ``Store``."""

from __future__ import annotations

from studio.project.records import (
    Answered,
    Applied,
    Cell,
    Change,
    ColumnFilter,
    Entry,
    Filters,
    ImageColumn,
    ImageRecord,
    Job,
    JobImage,
    LabelClass,
    Project,
    SavedView,
)
from studio.project.store import Store

__all__ = [
    "Answered",
    "Applied",
    "Cell",
    "Change",
    "ColumnFilter",
    "Entry",
    "Filters",
    "ImageColumn",
    "ImageRecord",
    "Job",
    "JobImage",
    "LabelClass",
    "Project",
    "SavedView",
    "Store",
]
